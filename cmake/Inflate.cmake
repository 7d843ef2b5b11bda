# gzip: zlib, and ISA-L where its header is there at build time and the library at run time.
option(REPX_ISAL "decompress gzip with ISA-L where it is installed" ON)

pkg_check_modules(ZLIB REQUIRED IMPORTED_TARGET zlib)
add_library(repx_inflate INTERFACE)
target_link_libraries(repx_inflate INTERFACE PkgConfig::ZLIB ${CMAKE_DL_LIBS})
if(REPX_ISAL)
  pkg_check_modules(ISAL libisal>=2.30)
  if(ISAL_FOUND)
    target_compile_definitions(repx_inflate INTERFACE REPX_HAVE_ISAL)
  endif()
endif()
