# Hardening of everything that is installed.
set(CMAKE_C_STANDARD 11)
set(CMAKE_C_STANDARD_REQUIRED ON)
set(CMAKE_C_EXTENSIONS ON)
set(CMAKE_POSITION_INDEPENDENT_CODE ON)
if(NOT CMAKE_BUILD_TYPE)
  set(CMAKE_BUILD_TYPE RelWithDebInfo CACHE STRING "build type" FORCE)
endif()

add_library(repx_hardening INTERFACE)
target_compile_definitions(repx_hardening INTERFACE _GNU_SOURCE _FILE_OFFSET_BITS=64)
target_compile_options(repx_hardening INTERFACE -fstack-protector-strong -fno-common
  -ffunction-sections -fdata-sections)
if(CMAKE_SYSTEM_PROCESSOR MATCHES "x86_64")
  target_compile_options(repx_hardening INTERFACE -fcf-protection -fstack-clash-protection)
endif()
if(NOT CMAKE_BUILD_TYPE STREQUAL "Debug")
  target_compile_options(repx_hardening INTERFACE -U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=2)
endif()
target_link_options(repx_hardening INTERFACE -Wl,-z,relro -Wl,-z,now -Wl,-z,noexecstack
  -Wl,--as-needed -Wl,--gc-sections)
