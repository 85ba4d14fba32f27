# Debian's armhf, built with its cross compiler against the sysroot that scripts/cross.sh unpacks, and run by qemu-user.
set(CMAKE_SYSTEM_NAME Linux)
set(CMAKE_SYSTEM_PROCESSOR armv7l)
set(SMARTVPN_CROSS_TRIPLET arm-linux-gnueabihf)
set(SMARTVPN_CROSS_SYSROOT ${CMAKE_CURRENT_LIST_DIR}/../../build/sysroot-armhf)
set(CMAKE_CROSSCOMPILING_EMULATOR qemu-arm;-L;${SMARTVPN_CROSS_SYSROOT})
include(${CMAKE_CURRENT_LIST_DIR}/debian_cross.cmake)
