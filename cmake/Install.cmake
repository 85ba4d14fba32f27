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

file(RELATIVE_PATH SMARTVPN_PC_UP ${CMAKE_INSTALL_FULL_LIBDIR}/pkgconfig ${CMAKE_INSTALL_PREFIX})
string(REGEX REPLACE "/$" "" SMARTVPN_PC_UP "${SMARTVPN_PC_UP}")
foreach(name smartvpn smartvpn-static)
  configure_file(pkgconfig/${name}.pc.in pkgconfig/${name}.pc @ONLY)
  install(FILES ${PROJECT_BINARY_DIR}/pkgconfig/${name}.pc DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig COMPONENT library)
endforeach()

install(FILES include/smartvpn.h DESTINATION ${CMAKE_INSTALL_INCLUDEDIR} COMPONENT library)
install(TARGETS smartvpn EXPORT smartvpnTargets
  LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR} COMPONENT library NAMELINK_COMPONENT library)
install(TARGETS smartvpn_static ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR} COMPONENT library)

set(package ${CMAKE_INSTALL_LIBDIR}/cmake/smartvpn)
install(EXPORT smartvpnTargets NAMESPACE smartvpn:: DESTINATION ${package} COMPONENT library)
configure_package_config_file(cmake/smartvpnConfig.cmake.in ${PROJECT_BINARY_DIR}/smartvpnConfig.cmake
  INSTALL_DESTINATION ${package} PATH_VARS CMAKE_INSTALL_LIBDIR CMAKE_INSTALL_INCLUDEDIR)
write_basic_package_version_file(${PROJECT_BINARY_DIR}/smartvpnConfigVersion.cmake COMPATIBILITY SameMajorVersion)
install(FILES ${PROJECT_BINARY_DIR}/smartvpnConfig.cmake ${PROJECT_BINARY_DIR}/smartvpnConfigVersion.cmake
  DESTINATION ${package} COMPONENT library)
