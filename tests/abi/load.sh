#!/bin/sh
# load.sh LIBRARY: loading and exiting run no code of ours: no constructor but the compiler's own, nothing registered for
# exit.
set -eu
size=$(readelf -SW "$1" | sed -n 's/.*\.init_array *INIT_ARRAY *[0-9a-f]* *[0-9a-f]* *\([0-9a-f]*\).*/\1/p')
[ "$((0x$size))" -le 8 ] || { echo ".init_array has $((0x$size)) bytes: something is constructed at load time"; exit 1; }
if nm -D --undefined-only "$1" | grep -E '__cxa_atexit|__cxa_thread_atexit|\batexit\b'; then
  echo "something is to be destroyed at exit"
  exit 1
fi
