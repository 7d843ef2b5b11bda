# The warning set. A flag that the compiler does not know is a configure error, so that the
# set cannot shrink unseen.
include(CheckCCompilerFlag)
option(REPX_WERROR "Treat warnings as errors" OFF)

set(repx_warnings
    -Wall -Wextra -Wshadow -Wstrict-prototypes -Wmissing-prototypes
    -Wold-style-definition -Wpointer-arith -Wcast-qual -Wwrite-strings -Wundef
    -Wformat=2 -Wimplicit-fallthrough -Wvla -Wnull-dereference -Wdouble-promotion
    -Wno-unused-parameter)
if(CMAKE_C_COMPILER_ID STREQUAL "GNU")
  list(APPEND repx_warnings -Wlogical-op -Wduplicated-cond -Wduplicated-branches
       -Wjump-misses-init -Wformat-overflow=2 -Wno-format-truncation)
elseif(CMAKE_C_COMPILER_ID STREQUAL "Clang")
  list(APPEND repx_warnings -Wcomma -Wassign-enum -Wno-gnu-statement-expression
       -Wno-gnu-zero-variadic-macro-arguments -Wno-gnu-empty-initializer)
endif()

add_library(repx_warnings INTERFACE)
foreach(flag IN LISTS repx_warnings)
  string(MAKE_C_IDENTIFIER "REPX_HAVE${flag}" known)
  check_c_compiler_flag(${flag} ${known})
  if(NOT ${known})
    message(FATAL_ERROR "compiler ${CMAKE_C_COMPILER} does not know ${flag}")
  endif()
endforeach()
target_compile_options(repx_warnings INTERFACE ${repx_warnings})
if(REPX_WERROR)
  target_compile_options(repx_warnings INTERFACE -Werror)
endif()
