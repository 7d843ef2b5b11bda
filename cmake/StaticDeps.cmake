# Third-party libraries linked into the programs, where their archives are installed: the
# loader then has libc to load and nothing else, which is most of what a warm start costs
# beside bwrap (docs/performance.md). libarchive alone brings 14 libraries into each
# process, for formats that are never read.
#
# On for what is installed. Off for Debug, where many test programs are linked often.
if(CMAKE_BUILD_TYPE MATCHES "^Rel" AND NOT REPX_SANITIZE)
  set(static_default ON)
else()
  set(static_default OFF)
endif()
option(REPX_STATIC_DEPS "link third-party libraries statically where possible"
  ${static_default})

# The archive beside each shared library of an imported target takes its place.
function(repx_prefer_static)
  if(NOT REPX_STATIC_DEPS)
    return()
  endif()
  foreach(target IN LISTS ARGN)
    if(NOT TARGET ${target})
      continue()
    endif()
    get_target_property(libs ${target} INTERFACE_LINK_LIBRARIES)
    set(replaced)
    foreach(lib IN LISTS libs)
      string(REGEX REPLACE "\\.so$" ".a" archive "${lib}")
      if(lib MATCHES "\\.so$" AND EXISTS ${archive})
        list(APPEND replaced ${archive})
      else()
        list(APPEND replaced ${lib})
      endif()
    endforeach()
    set_property(TARGET ${target} PROPERTY INTERFACE_LINK_LIBRARIES ${replaced})
  endforeach()
endfunction()

# libarchive's archive needs the decompressors that we ask of it, and others only where
# its builder chose so: it is linked statically when a program that uses what we use links.
function(repx_static_archive target)
  if(NOT REPX_STATIC_DEPS)
    return()
  endif()
  get_target_property(shared ${target} INTERFACE_LINK_LIBRARIES)
  foreach(module zlib libzstd liblzma)
    pkg_check_modules(STATIC_${module} QUIET IMPORTED_TARGET ${module})
    if(NOT STATIC_${module}_FOUND)
      return()
    endif()
    repx_prefer_static(PkgConfig::STATIC_${module})
    list(APPEND parts PkgConfig::STATIC_${module})
  endforeach()
  repx_prefer_static(${target})
  set_property(TARGET ${target} APPEND PROPERTY INTERFACE_LINK_LIBRARIES ${parts})
  set(CMAKE_REQUIRED_LIBRARIES ${target})
  check_c_source_compiles([[
    #include <archive.h>
    int main(void)
    {
        struct archive *a = archive_read_new();
        return archive_read_support_filter_gzip(a) + archive_read_support_filter_xz(a) +
               archive_read_support_filter_zstd(a) + archive_read_support_format_tar(a) +
               archive_read_support_format_empty(a) + archive_read_support_format_raw(a) +
               archive_read_open1(a) + archive_read_free(a);
    }]] REPX_ARCHIVE_LINKS_STATICALLY)
  if(NOT REPX_ARCHIVE_LINKS_STATICALLY)
    set_property(TARGET ${target} PROPERTY INTERFACE_LINK_LIBRARIES ${shared})
  endif()
endfunction()

# FindOpenSSL has a switch of its own, which must not make the search fail.
if(REPX_STATIC_DEPS)
  include(CheckCSourceCompiles)
  find_library(REPX_CRYPTO_ARCHIVE libcrypto.a)
  if(REPX_CRYPTO_ARCHIVE)
    set(OPENSSL_USE_STATIC_LIBS ON)
  endif()
endif()
