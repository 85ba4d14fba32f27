#!/bin/sh
# load.sh LIBRARY: loading and exiting run no code of ours: nothing is constructed at load time (the compiler's own set-up
# apart), and nothing registered for exit.
set -eu
if nm "$1" | grep _GLOBAL__sub_I; then
  echo "something is constructed at load time"
  exit 1
fi
if nm -D --undefined-only "$1" | grep -E '__cxa_atexit|\batexit\b'; then
  echo "something is to be destroyed at exit"
  exit 1
fi
