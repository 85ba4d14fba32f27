# `make install`: the header, both libraries, pkg-config files and a CMake package. The installed tree
# can be moved as a whole: nothing in it names its place.
include(CMakePackageConfigHelpers)

# What a static link needs besides libsmartvpn.a, as flags: only -l and -pthread, which cgo takes, and
# no Requires.private, which would ask every user for the -dev packages.
set(SMARTVPN_CONFIG_PRIVATE "")
foreach(name IN LISTS UV_LIBRARIES SODIUM_LIBRARIES SQLITE_LIBRARIES QR_LIBRARIES)
  list(APPEND SMARTVPN_CONFIG_PRIVATE -l${name})
endforeach()
list(APPEND SMARTVPN_CONFIG_PRIVATE -lssl -lcrypto -lstdc++ -lm -ldl -pthread)
list(JOIN SMARTVPN_CONFIG_PRIVATE " " SMARTVPN_PC_PRIVATE)

# smartvpn_install_metadata(PREFIX PC_PREFIX LIBDIR INCLUDEDIR WORK EXPORT COMPONENT [EXCLUDE_FROM_ALL]): the pkg-config
# files and the CMake package of one layout. PC_PREFIX is what the pkg-config files take for the prefix.
function(smartvpn_install_metadata prefix SMARTVPN_PC_PREFIX CMAKE_INSTALL_LIBDIR CMAKE_INSTALL_INCLUDEDIR work export
         component)
  foreach(name smartvpn smartvpn-static)
    configure_file(pkgconfig/${name}.pc.in ${work}/pkgconfig/${name}.pc @ONLY)
    install(FILES ${work}/pkgconfig/${name}.pc DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig COMPONENT ${component} ${ARGN})
  endforeach()
  set(package ${CMAKE_INSTALL_LIBDIR}/cmake/smartvpn)
  install(EXPORT ${export} FILE smartvpnTargets.cmake NAMESPACE smartvpn:: DESTINATION ${package}
    COMPONENT ${component} ${ARGN})
  configure_package_config_file(cmake/smartvpnConfig.cmake.in ${work}/smartvpnConfig.cmake
    INSTALL_PREFIX ${prefix} INSTALL_DESTINATION ${package} PATH_VARS CMAKE_INSTALL_LIBDIR CMAKE_INSTALL_INCLUDEDIR)
  write_basic_package_version_file(${work}/smartvpnConfigVersion.cmake COMPATIBILITY SameMajorVersion)
  install(FILES ${work}/smartvpnConfig.cmake ${work}/smartvpnConfigVersion.cmake
    DESTINATION ${package} COMPONENT ${component} ${ARGN})
endfunction()

install(FILES include/smartvpn.h DESTINATION ${CMAKE_INSTALL_INCLUDEDIR} COMPONENT library)
install(TARGETS smartvpn EXPORT smartvpnTargets
  LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR} COMPONENT library NAMELINK_COMPONENT library)
install(TARGETS smartvpn_static ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR} COMPONENT library)
file(RELATIVE_PATH up ${CMAKE_INSTALL_FULL_LIBDIR}/pkgconfig ${CMAKE_INSTALL_PREFIX})
string(REGEX REPLACE "/$" "" up "${up}")
smartvpn_install_metadata(${CMAKE_INSTALL_PREFIX} "\${pcfiledir}/${up}" ${CMAKE_INSTALL_LIBDIR}
  ${CMAKE_INSTALL_INCLUDEDIR} ${PROJECT_BINARY_DIR} smartvpnTargets library)
