# repx_layer(NAME [DEPENDS layer...] [LIBS target...]): one static library per layer, made of
# src/NAME/*.c. What a layer may include is checked by scripts/lint-layers.
function(repx_layer name)
  cmake_parse_arguments(ARG "" "" "DEPENDS;LIBS" ${ARGN})
  file(GLOB sources CONFIGURE_DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/${name}/*.c)
  add_library(repx_${name} STATIC ${sources})
  target_include_directories(repx_${name} PUBLIC ${CMAKE_SOURCE_DIR}/src)
  target_link_libraries(repx_${name} PRIVATE repx_warnings)
  target_link_libraries(repx_${name} PUBLIC repx_hardening repx_sanitizers)
  foreach(dep IN LISTS ARG_DEPENDS)
    target_link_libraries(repx_${name} PUBLIC repx_${dep})
  endforeach()
  target_link_libraries(repx_${name} PRIVATE ${ARG_LIBS})
endfunction()
