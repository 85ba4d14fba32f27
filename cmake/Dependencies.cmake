# Everything the library links. fmt is header-only and private; llhttp is compiled in under renamed
# symbols, because a host may link a llhttp of its own.
find_package(PkgConfig REQUIRED)
find_package(Threads REQUIRED)
pkg_check_modules(UV REQUIRED IMPORTED_TARGET libuv>=1.40)
pkg_check_modules(SODIUM REQUIRED IMPORTED_TARGET libsodium>=1.0.18)
find_package(OpenSSL 3.0 REQUIRED)
find_package(nlohmann_json 3.10 REQUIRED)
find_package(fmt 8 REQUIRED)

# llhttp: -DSMARTVPN_LLHTTP_DIR, then the folder Debian's node-llhttp ships its C sources in. A
# CMake or pkg-config package gives a library whose symbols cannot be renamed, so sources come first.
set(SMARTVPN_LLHTTP_SOURCES "")
foreach(dir IN ITEMS "${SMARTVPN_LLHTTP_DIR}" "${SMARTVPN_LLHTTP_DIR}/src" /usr/share/llhttp)
  if(dir AND EXISTS "${dir}/llhttp.c" AND EXISTS "${dir}/api.c" AND EXISTS "${dir}/http.c")
    set(SMARTVPN_LLHTTP_SOURCES "${dir}/llhttp.c" "${dir}/api.c" "${dir}/http.c")
    find_path(SMARTVPN_LLHTTP_INCLUDE llhttp.h
      HINTS "${dir}" "${dir}/../include" "${dir}/../include/llhttp" NO_DEFAULT_PATH)
    break()
  endif()
endforeach()
if(SMARTVPN_WITH_WEBSOCKET AND NOT SMARTVPN_LLHTTP_SOURCES)
  find_package(llhttp CONFIG QUIET)
  if(NOT llhttp_FOUND)
    pkg_check_modules(LLHTTP IMPORTED_TARGET libllhttp)
  endif()
  if(NOT llhttp_FOUND AND NOT LLHTTP_FOUND)
    message(FATAL_ERROR "llhttp not found: install node-llhttp or set -DSMARTVPN_LLHTTP_DIR=<folder with llhttp.c>")
  endif()
endif()
