# Debian's arm64, built with its cross compiler against the sysroot that scripts/cross.sh unpacks, and run by qemu-user.
set(CMAKE_SYSTEM_NAME Linux)
set(CMAKE_SYSTEM_PROCESSOR aarch64)
set(SMARTVPN_CROSS_TRIPLET aarch64-linux-gnu)
set(SMARTVPN_CROSS_SYSROOT ${CMAKE_CURRENT_LIST_DIR}/../../build/sysroot-arm64)
set(CMAKE_CROSSCOMPILING_EMULATOR qemu-aarch64;-L;${SMARTVPN_CROSS_SYSROOT})
include(${CMAKE_CURRENT_LIST_DIR}/debian_cross.cmake)
