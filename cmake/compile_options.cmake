# One interface target with the flags that all of our own code gets.
add_library(loquat_options INTERFACE)
target_compile_options(loquat_options INTERFACE -Wall -Wextra -Wpedantic -Wconversion -Werror)
target_include_directories(loquat_options INTERFACE ${PROJECT_SOURCE_DIR}/src)
target_compile_definitions(loquat_options INTERFACE
  BOOST_ASIO_SEPARATE_COMPILATION BOOST_BEAST_SEPARATE_COMPILATION BOOST_ASIO_NO_DEPRECATED
  LOQUAT_VERSION="${PROJECT_VERSION}")

add_compile_options(-ffile-prefix-map=${PROJECT_SOURCE_DIR}/=)
if(LOQUAT_SANITIZE)
  add_compile_options(-fsanitize=${LOQUAT_SANITIZE} -fno-omit-frame-pointer -O0 -g1)
  add_link_options(-fsanitize=${LOQUAT_SANITIZE})
  if(LOQUAT_SANITIZE MATCHES "undefined")
    add_compile_options(-fno-sanitize-recover=all)
  endif()
endif()
if(LOQUAT_FUZZ)
  add_compile_options(-fsanitize=fuzzer-no-link)
endif()

if(CMAKE_BUILD_TYPE STREQUAL "Release")
  set(CMAKE_CXX_FLAGS_RELEASE "-O3 -DNDEBUG")
  add_compile_options(-U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=3 -fstack-protector-strong -flto=thin)
  add_link_options(-flto=thin -Wl,-z,relro,-z,now -pie)
endif()
add_link_options(-fuse-ld=lld-19)

find_program(CCACHE ccache)
if(CCACHE)
  set(CMAKE_CXX_COMPILER_LAUNCHER ${CMAKE_COMMAND} -E env CCACHE_NOHASHDIR=1 CCACHE_BASEDIR=${PROJECT_SOURCE_DIR} ${CCACHE})
  if(LOQUAT_PCH)
    list(INSERT CMAKE_CXX_COMPILER_LAUNCHER 3 CCACHE_SLOPPINESS=pch_defines,time_macros)
  endif()
endif()
