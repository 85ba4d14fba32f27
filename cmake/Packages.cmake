# Debian packages by CPack: libsmartvpn1, libsmartvpn-dev, smartvpn and, where the Python module is built for Debian's
# interpreter, python3-smartvpn.
#   cpack -G DEB --config build/release/CPackConfig.cmake       scripts/package.sh builds, packs and checks
# They lie under /usr and in the multiarch folder whatever prefix the build was configured for, so each has a component
# of its own that a plain `cmake --install` leaves alone.
find_program(SMARTVPN_DPKG_ARCHITECTURE dpkg-architecture)
if(NOT PROJECT_IS_TOP_LEVEL OR NOT SMARTVPN_DPKG_ARCHITECTURE OR NOT CMAKE_LIBRARY_ARCHITECTURE OR SMARTVPN_SANITIZE)
  return()
endif()
execute_process(COMMAND ${SMARTVPN_DPKG_ARCHITECTURE} -t${CMAKE_LIBRARY_ARCHITECTURE} -qDEB_HOST_ARCH
  OUTPUT_VARIABLE CPACK_DEBIAN_PACKAGE_ARCHITECTURE OUTPUT_STRIP_TRAILING_WHITESPACE ERROR_QUIET)
if(NOT CPACK_DEBIAN_PACKAGE_ARCHITECTURE)
  return()
endif()

set(SMARTVPN_PACKAGE_CONTACT "The smartvpn authors <maintainers@smartvpn.invalid>" CACHE STRING
    "Name and address of who maintains the Debian packages")
set(CPACK_GENERATOR DEB)
set(CPACK_PACKAGE_NAME smartvpn)
set(CPACK_PACKAGE_CONTACT ${SMARTVPN_PACKAGE_CONTACT})
set(CPACK_PACKAGE_DESCRIPTION_SUMMARY "complete VPN server that other programs carry inside themselves")
set(CPACK_PACKAGE_DIRECTORY ${PROJECT_BINARY_DIR}/packages)
set(CPACK_PACKAGING_INSTALL_PREFIX /usr)
set(CPACK_STRIP_FILES ON)
set(CPACK_COMPONENTS_GROUPING IGNORE)
set(CPACK_DEB_COMPONENT_INSTALL ON)
set(CPACK_DEBIAN_FILE_NAME DEB-DEFAULT)
set(CPACK_DEBIAN_COMPRESSION_TYPE xz)
set(CPACK_DEBIAN_PACKAGE_RELEASE 1)
set(SMARTVPN_DEB_VERSION ${PROJECT_VERSION}-${CPACK_DEBIAN_PACKAGE_RELEASE})
set(CPACK_DEBIAN_PACKAGE_SOURCE smartvpn)
set(CPACK_DEBIAN_PACKAGE_SHLIBDEPS ON)
set(CPACK_DEBIAN_PACKAGE_SHLIBDEPS_PRIVATE_DIRS ${PROJECT_BINARY_DIR}/src)
set(CPACK_DEBIAN_PACKAGE_CONTROL_STRICT_PERMISSION ON)
set(CPACK_COMPONENTS_ALL deb_library deb_development)

set(packaging ${PROJECT_SOURCE_DIR}/packaging/debian)
set(texts ${PROJECT_BINARY_DIR}/packaging)
set(library lib/${CMAKE_LIBRARY_ARCHITECTURE})
configure_file(${packaging}/changelog.in ${texts}/changelog @ONLY)
foreach(name changelog.Debian changelog)
  set(source ${texts}/changelog)
  if(name STREQUAL "changelog")
    set(source ${PROJECT_SOURCE_DIR}/CHANGELOG.md)
  endif()
  execute_process(COMMAND gzip -9nc ${source} OUTPUT_FILE ${texts}/${name}.gz COMMAND_ERROR_IS_FATAL ANY)
endforeach()

# smartvpn_package(COMPONENT NAME SECTION "DEPENDS" "what it is"): what all have, and the scripts and lintian overrides
# that lie in packaging/debian/NAME.
function(smartvpn_package component name section depends description)
  string(TOUPPER ${component} upper)
  foreach(pair "NAME=${name}" "SECTION=${section}" "DEPENDS=${depends}")
    string(REGEX MATCH "^([A-Z]+)=(.*)$" _ "${pair}")
    set(CPACK_DEBIAN_${upper}_PACKAGE_${CMAKE_MATCH_1} "${CMAKE_MATCH_2}" PARENT_SCOPE)
  endforeach()
  set(CPACK_COMPONENT_${upper}_DESCRIPTION "${description}" PARENT_SCOPE)
  file(GLOB scripts ${packaging}/${name}/p*)
  set(CPACK_DEBIAN_${upper}_PACKAGE_CONTROL_EXTRA "${scripts}" PARENT_SCOPE)
  set(documents ${packaging}/copyright ${texts}/changelog.Debian.gz)
  if(component STREQUAL "deb_library")
    list(APPEND documents ${texts}/changelog.gz)
  endif()
  install(FILES ${documents} DESTINATION share/doc/${name} COMPONENT ${component} EXCLUDE_FROM_ALL)
  if(EXISTS ${packaging}/${name}/lintian-overrides)
    install(FILES ${packaging}/${name}/lintian-overrides DESTINATION share/lintian/overrides RENAME ${name}
            COMPONENT ${component} EXCLUDE_FROM_ALL)
  endif()
endfunction()
set(ours "libsmartvpn1 (= ${SMARTVPN_DEB_VERSION})")

smartvpn_package(deb_library libsmartvpn1 libs ""
"This package has the shared library. It runs a complete VPN server, or the
dialling end of one, inside the program that links it: transports, client
registry, access lists, forwarding and events behind one C interface.")
file(WRITE ${texts}/shlibs "libsmartvpn 1 libsmartvpn1 (>= ${PROJECT_VERSION})\n")
file(WRITE ${texts}/triggers "activate-noawait ldconfig\n")
list(APPEND CPACK_DEBIAN_DEB_LIBRARY_PACKAGE_CONTROL_EXTRA ${texts}/shlibs ${texts}/triggers)
install(TARGETS smartvpn EXPORT smartvpnPackageTargets
  LIBRARY DESTINATION ${library} COMPONENT deb_library NAMELINK_COMPONENT deb_development EXCLUDE_FROM_ALL)

smartvpn_package(deb_development libsmartvpn-dev libdevel ${ours}
"This package has the header, which is also the manual, the static library,
and what pkg-config and CMake need to find both. Programs that link the
static library need the -dev packages that are suggested.")
set(suggests libuv1-dev libsodium-dev libssl-dev)
if(SMARTVPN_WITH_SQLITE)
  list(APPEND suggests libsqlite3-dev)
endif()
if(SMARTVPN_WITH_QR)
  list(APPEND suggests libqrencode-dev libpng-dev)
endif()
list(JOIN suggests ", " CPACK_DEBIAN_DEB_DEVELOPMENT_PACKAGE_SUGGESTS)
install(FILES include/smartvpn.h DESTINATION include COMPONENT deb_development EXCLUDE_FROM_ALL)
install(TARGETS smartvpn_static ARCHIVE DESTINATION ${library} COMPONENT deb_development EXCLUDE_FROM_ALL)
install(CODE "execute_process(COMMAND \"${CMAKE_STRIP}\" --strip-debug --enable-deterministic-archives
  \"\$ENV{DESTDIR}\${CMAKE_INSTALL_PREFIX}/${library}/libsmartvpn.a\" COMMAND_ERROR_IS_FATAL ANY)"
  COMPONENT deb_development EXCLUDE_FROM_ALL)
smartvpn_install_metadata(/usr /usr ${library} include ${texts} smartvpnPackageTargets deb_development EXCLUDE_FROM_ALL)

if(TARGET smartvpn_cli_texts)
  list(APPEND CPACK_COMPONENTS_ALL deb_command)
  smartvpn_package(deb_command smartvpn net
    "${ours}, systemd | systemd-standalone-sysusers | systemd-sysusers"
"This package has the smartvpn command, which serves, connects and manages
clients, its completions, and units for systemd. Nothing is started on
installation: the server needs /etc/smartvpn/server.json first, for which
there is an example in /usr/share/doc/smartvpn/examples.")
  install(TARGETS smartvpn_cli RUNTIME DESTINATION bin COMPONENT deb_command EXCLUDE_FROM_ALL)
  install(CODE "file(RPATH_REMOVE FILE \"\$ENV{DESTDIR}\${CMAKE_INSTALL_PREFIX}/bin/smartvpn\")"
    COMPONENT deb_command EXCLUDE_FROM_ALL)
  set(printed ${PROJECT_BINARY_DIR}/apps/smartvpn/texts)
  install(CODE "file(MAKE_DIRECTORY \"\$ENV{DESTDIR}\${CMAKE_INSTALL_PREFIX}/share/man/man1\")
    execute_process(COMMAND gzip -9nc \"${printed}/smartvpn.1\"
    OUTPUT_FILE \"\$ENV{DESTDIR}\${CMAKE_INSTALL_PREFIX}/share/man/man1/smartvpn.1.gz\" COMMAND_ERROR_IS_FATAL ANY)"
    COMPONENT deb_command EXCLUDE_FROM_ALL)
  foreach(file "bash-completion/completions/smartvpn=smartvpn.bash" "zsh/vendor-completions/_smartvpn=_smartvpn"
               "fish/vendor_completions.d/smartvpn.fish=smartvpn.fish")
    string(REGEX MATCH "^(.+)/([^/=]+)=(.+)$" _ ${file})
    install(FILES ${printed}/${CMAKE_MATCH_3} DESTINATION share/${CMAKE_MATCH_1} RENAME ${CMAKE_MATCH_2}
            COMPONENT deb_command EXCLUDE_FROM_ALL)
  endforeach()
  set(CMAKE_INSTALL_FULL_BINDIR /usr/bin) # the units name the command's place
  foreach(unit smartvpn.service smartvpn.socket)
    configure_file(contrib/systemd/${unit}.in ${texts}/${unit} @ONLY)
    install(FILES ${texts}/${unit} DESTINATION lib/systemd/system COMPONENT deb_command EXCLUDE_FROM_ALL)
  endforeach()
  install(FILES contrib/systemd/smartvpn.sysusers DESTINATION lib/sysusers.d RENAME smartvpn.conf
          COMPONENT deb_command EXCLUDE_FROM_ALL)
  install(FILES contrib/smartvpn/server.json.example DESTINATION share/doc/smartvpn/examples
          COMPONENT deb_command EXCLUDE_FROM_ALL)
  install(FILES contrib/smartvpn/README.md DESTINATION share/doc/smartvpn/examples
          COMPONENT deb_command EXCLUDE_FROM_ALL)
endif()

# For the interpreter that Debian's python3 is, and no other: the extension is compiled for one version of it.
if(TARGET smartvpn_python AND SMARTVPN_PYTHON STREQUAL "/usr/bin/python3")
  execute_process(COMMAND ${SMARTVPN_PYTHON} -c
    "from sys import version_info as v; print(f'python3 (>= 3.{v.minor}), python3 (<< 3.{v.minor + 1}~)')"
    OUTPUT_VARIABLE interpreter OUTPUT_STRIP_TRAILING_WHITESPACE COMMAND_ERROR_IS_FATAL ANY)
  list(APPEND CPACK_COMPONENTS_ALL python)
  smartvpn_package(python python3-smartvpn python "${ours}, ${interpreter}"
"This package has the Python module smartvpn: servers, clients, sessions,
events and tunnels in a Python program, with types.")
  file(WRITE ${texts}/PKG-INFO "Metadata-Version: 2.1\nName: smartvpn\nVersion: ${PROJECT_VERSION}\n"
    "Summary: ${PROJECT_DESCRIPTION}\nLicense: MIT\n")
  install(FILES ${texts}/PKG-INFO DESTINATION lib/python3/dist-packages/smartvpn-${PROJECT_VERSION}.egg-info
          COMPONENT python EXCLUDE_FROM_ALL)
endif()

include(CPack)
