set(CMAKE_CXX_STANDARD 20)
set(CMAKE_CXX_STANDARD_REQUIRED ON)
set(CMAKE_CXX_EXTENSIONS OFF)
set(CMAKE_C_STANDARD 11)
set(CMAKE_POSITION_INDEPENDENT_CODE ON)
set(CMAKE_CXX_VISIBILITY_PRESET hidden)
set(CMAKE_C_VISIBILITY_PRESET hidden)
set(CMAKE_VISIBILITY_INLINES_HIDDEN ON)
set(CMAKE_EXPORT_COMPILE_COMMANDS ON)

# Flags of every target of ours, never of a consumer.
add_library(smartvpn_flags INTERFACE)
target_compile_options(smartvpn_flags INTERFACE
  -Wall -Wextra -Wpedantic
  $<$<CXX_COMPILER_ID:GNU>:-Wshadow=local>
  $<$<BOOL:${SMARTVPN_WERROR}>:-Werror>)
if(CMAKE_SIZEOF_VOID_P EQUAL 4) # times after 2038, files of any size and inode number
  target_compile_definitions(smartvpn_flags INTERFACE _FILE_OFFSET_BITS=64 _TIME_BITS=64)
  target_compile_options(smartvpn_flags INTERFACE -Wno-psabi) # a note on gcc 7, whatever the code
endif()
if(CMAKE_CXX_COMPILER_ID STREQUAL "Clang")
  target_compile_options(smartvpn_flags INTERFACE -Wno-shadow -Wthread-safety)
endif()
include(cmake/Hardening.cmake)
target_link_libraries(smartvpn_flags INTERFACE smartvpn_hardening)
if(SMARTVPN_SANITIZE)
  target_compile_options(smartvpn_flags INTERFACE -fsanitize=${SMARTVPN_SANITIZE} -fno-omit-frame-pointer)
  target_link_options(smartvpn_flags INTERFACE -fsanitize=${SMARTVPN_SANITIZE})
  if(SMARTVPN_SANITIZE MATCHES "undefined")
    target_compile_options(smartvpn_flags INTERFACE -fno-sanitize-recover=undefined)
    # These two need the C++ runtime, which programs in C that link the library have not.
    if(CMAKE_CXX_COMPILER_ID STREQUAL "Clang")
      target_compile_options(smartvpn_flags INTERFACE -fno-sanitize=vptr,function)
    endif()
  endif()
endif()
