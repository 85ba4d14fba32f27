# SMARTVPN_HARDENED: what the compiler and linker do against memory errors, on by default for all of ours.
# ctest tools.hardening reads it back from the built library and command.
include(CheckCXXCompilerFlag)
include(CheckPIESupported)
check_pie_supported()

add_library(smartvpn_hardening INTERFACE)
set(SMARTVPN_HARDENED_LINK "")
if(SMARTVPN_HARDENED)
  target_compile_options(smartvpn_hardening INTERFACE -fstack-protector-strong)
  foreach(flag -fstack-clash-protection -fcf-protection) # not on every processor
    string(MAKE_C_IDENTIFIER "SMARTVPN_HAS${flag}" known)
    check_cxx_compiler_flag("${flag} -Werror" ${known})
    if(${known})
      target_compile_options(smartvpn_hardening INTERFACE ${flag})
    endif()
  endforeach()
  # The C library's checks need optimisation, and hide from the sanitizers what they replace.
  if(NOT SMARTVPN_SANITIZE)
    set(level 2)
    if(CMAKE_CXX_COMPILER_ID STREQUAL "Clang" OR CMAKE_CXX_COMPILER_VERSION VERSION_GREATER_EQUAL 12)
      set(level 3) # a C library that has no third takes it for the second
    endif()
    target_compile_options(smartvpn_hardening INTERFACE
      $<$<CONFIG:Release,RelWithDebInfo,MinSizeRel>:-U_FORTIFY_SOURCE>
      $<$<CONFIG:Release,RelWithDebInfo,MinSizeRel>:-D_FORTIFY_SOURCE=${level}>)
  endif()
  # An index or an iterator out of bounds ends the program where it would have read a stranger's memory.
  target_compile_definitions(smartvpn_hardening INTERFACE $<$<COMPILE_LANGUAGE:CXX>:_GLIBCXX_ASSERTIONS>)
  set(SMARTVPN_HARDENED_LINK LINKER:-z,relro LINKER:-z,now LINKER:-z,noexecstack)
  target_link_options(smartvpn_hardening INTERFACE ${SMARTVPN_HARDENED_LINK})
endif()
