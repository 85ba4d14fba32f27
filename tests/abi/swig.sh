#!/bin/sh
# swig.sh SOURCE WORK PYTHON INCLUDES: generates a Python module from the installed header and runs a program on it.
set -eu
source=$1 work=$2 python=$3 includes=$4
mkdir -p "$work"
cd "$work"
swig -python -Wall -Werror $(pkg-config --cflags smartvpn) -outdir . -o wrap.c "$source/smartvpn_test.i"
$CC -shared -fPIC wrap.c -I"$includes" $(pkg-config --cflags --libs smartvpn) -o _smartvpn_test.so
PYTHONPATH=. "$python" "$source/swig_program.py"
