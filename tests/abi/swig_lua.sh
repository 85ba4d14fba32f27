#!/bin/sh
# swig_lua.sh SOURCE INTERFACE WORK: the same SWIG interface that makes the Python module makes one for Lua.
set -eu
source=$1 interface=$2 work=$3
mkdir -p "$work"
cd "$work"
swig -lua -Wall -Werror $(pkg-config --cflags smartvpn) -outdir . -o wrap.c "$interface/smartvpn.i"
$CC -std=gnu11 -Wall -Werror -shared -fPIC wrap.c $(pkg-config --cflags lua5.4) \
  $(pkg-config --cflags --libs smartvpn) -o smartvpn.so
LUA_CPATH="$work/?.so" timeout 60 lua5.4 "$source/swig_program.lua"
