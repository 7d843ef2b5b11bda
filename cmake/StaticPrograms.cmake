# Programs that run where no libc is, linked statically (src/init/). With musl where its
# compiler wrapper is installed: a program of glibc's asks the CPU for its caches at each
# start, which a virtual machine answers slowly (docs/performance.md).
include(CheckCSourceCompiles)
option(REPX_MUSL "link the static programs with musl where musl-gcc is installed" ON)

add_library(repx_static_libc INTERFACE)
target_link_options(repx_static_libc INTERFACE -static)

# The wrapper calls gcc with a specs file; so that flags and dependencies are CMake's, the
# file is used without the wrapper. Those of Linux are the only headers of the system then.
function(repx_use_musl)
  find_program(REPX_MUSL_GCC musl-gcc)
  if(NOT REPX_MUSL OR NOT REPX_MUSL_GCC OR CMAKE_CROSSCOMPILING OR
     NOT CMAKE_C_COMPILER_ID STREQUAL "GNU")
    return()
  endif()
  file(STRINGS ${REPX_MUSL_GCC} call REGEX "-specs")
  string(REGEX MATCH "-specs[ =]\"?([^\" ]+)" found "${call}")
  if(NOT found OR NOT EXISTS ${CMAKE_MATCH_1})
    return()
  endif()
  set(specs ${CMAKE_MATCH_1})
  set(headers ${CMAKE_BINARY_DIR}/linux-headers)
  file(MAKE_DIRECTORY ${headers})
  foreach(part linux asm asm-generic)
    find_path(REPX_LINUX_${part} ${part}/types.h)
    if(NOT REPX_LINUX_${part})
      return()
    endif()
    file(CREATE_LINK ${REPX_LINUX_${part}}/${part} ${headers}/${part} SYMBOLIC)
  endforeach()
  set(CMAKE_REQUIRED_FLAGS "-specs=${specs} -idirafter ${headers} -static")
  set(CMAKE_REQUIRED_DEFINITIONS -D_GNU_SOURCE)
  check_c_source_compiles([[
    #include <linux/mount.h>
    #include <linux/openat2.h>
    #include <stdlib.h>
    #include <sys/syscall.h>
    int main(void)
    {
        return SYS_openat2 + SYS_close_range + SYS_mount_setattr + !reallocarray(NULL, 1, 1);
    }]] REPX_MUSL_WORKS)
  if(NOT REPX_MUSL_WORKS)
    return()
  endif()
  target_compile_options(repx_static_libc INTERFACE -specs=${specs} -idirafter ${headers})
  target_link_options(repx_static_libc INTERFACE -specs=${specs})
endfunction()
repx_use_musl()
