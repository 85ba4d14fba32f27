#!/usr/bin/env bash
# Holds the C interface to what was accepted: functions and types by libabigail against tests/abi/smartvpn.abi, constants
# and the places of struct members against tests/abi/constants.txt, declarations against the headers in
# tests/abi/headers. Exit status 1: something was added that is not accepted yet; 2: something that programs rely on is
# gone or different; 3: it could not be found out.
#   scripts/abi.sh [--library FILE] [--header FILE] [--accepted FOLDER] [--accept]
# FILE is build/dev's library (it needs a build with tests: their debug information) and include/smartvpn.h, and FOLDER
# tests/abi, if not said. --library may also be a dump. --accept makes additions the accepted state, and nothing else.
set -uo pipefail
cd "$(dirname "$0")/.." || exit 3

library=build/dev/src/libsmartvpn.so header=include/smartvpn.h accepted=tests/abi accept=
while [ $# -gt 0 ]; do
  case $1 in
    --library) library=$2; shift ;;
    --header) header=$2; shift ;;
    --accepted) accepted=$2; shift ;;
    --accept) accept=1 ;;
    *) sed -n '2,8s/^# \{0,1\}//p' "$0" >&2; exit 3 ;;
  esac
  shift
done
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
fail() { echo "abi.sh: $*" >&2; exit 3; }

# The dump, with numbers in place of file names: those differ from build to build.
dump() {
  case $library in *.abi) cp "$library" "$1"; return ;; esac
  mkdir -p "$work/include"
  cp "$header" "$work/include/smartvpn.h"
  abidw --exported-interfaces-only --headers-dir "$work/include" --drop-private-types --no-corpus-path \
    --no-comp-dir-path --no-show-locs --no-elf-needed --type-id-style hash "$library" |
    awk '/<abi-instr /{sub(/ path=\047[^\047]*\047/, " path=\047" ++n "\047")} {print}' > "$1"
}

# Every constant of the header with its value, and every member of its structs with its offset and size.
constants() {
  {
    echo '#include "smartvpn.h"'
    echo '#include <stdio.h>'
    echo 'int main(void) {'
    sed -nE '/SMARTVPN_(API|VERSION_STRING) /d; s/^#define (SMARTVPN_[A-Z0-9_]+) .*/  printf("\1 %lld\\n", (long long)(\1));/p
             s/^#define (SMARTVPN_[A-Z0-9_]+)\([a-z]+\) .*/  printf("\1(7) %lld\\n", (long long)\1(7));/p' "$header"
    awk '/^typedef struct [a-z_]+ \{/ { name = $3; next }
         /^\} / { name = "" }
         name != "" && match($0, /^  [a-z].*;/) {
           member = substr($0, 1, index($0, ";") - 1); sub(/.*[ *]/, "", member)
           printf "  printf(\"%s.%s %%zu+%%zu\\n\", offsetof(%s, %s), sizeof(((%s*)0)->%s));\n", name, member, name, member, name, member
         }' "$header"
    echo '  return 0;'
    echo '}'
  } > "$work/constants.c"
  mkdir -p "$work/current"
  cp "$header" "$work/current/smartvpn.h"
  cc -std=c99 -Wall -Werror -I"$work/current" "$work/constants.c" -o "$work/constants" && "$work/constants" > "$1"
}

# A declaration of the old header may be repeated after the new one's only if both say the same. Struct bodies cannot be
# repeated; their members are among the constants.
headers_agree() {
  sed -E '/^typedef struct [a-z_]+ \{/,/^\} /d; /^#(ifndef|define) SMARTVPN_H$/d; /^#endif \/\* SMARTVPN_H/d
          /define SMARTVPN_(VERSION_STRING|ABI_VERSION|API)/d' "$1" > "$work/old.h"
  printf '#include "current/smartvpn.h"\n#include "old.h"\n' > "$work/both.c"
  cc -std=c11 -Werror -fsyntax-only -I"$work" "$work/both.c"
}

command -v abidw > /dev/null && command -v abidiff > /dev/null || fail "abigail-tools are not installed"
dump "$work/library.abi" || fail "abidw failed"
grep -q "<class-decl name='smartvpn_packet' size-in-bits" "$work/library.abi" || fail "$library has no debug information"
constants "$work/constants.txt" || fail "the header does not compile"

newest=$(find "$accepted/headers" -name 'smartvpn-*.h' 2> /dev/null | sort -V | tail -n 1)
[ -n "$newest" ] || [ -n "$accept" ] || fail "nothing was accepted yet"
verdict=0
if [ -n "$newest" ]; then
  abidiff --harmless "$accepted/smartvpn.abi" "$work/library.abi"
  code=$?
  [ $((code & 3)) = 0 ] || fail "abidiff failed"
  [ $code = 0 ] || verdict=1
  # Anything but an addition. What grew at its end alone is judged by its members, below.
  [ $((code & 8)) = 0 ] || verdict=2
  changed=$(grep -v '^SMARTVPN_ABI_VERSION ' "$accepted/constants.txt" | grep -vxFf "$work/constants.txt" || true)
  added=$(grep -vxFf "$accepted/constants.txt" "$work/constants.txt" || true)
  [ -z "$added" ] || { echo "not among what was accepted:"; echo "$added"; [ $verdict = 2 ] || verdict=1; }
  [ -z "$changed" ] || { echo "was accepted, and is gone or different:"; echo "$changed"; verdict=2; }
  for old in "$accepted"/headers/smartvpn-*.h; do
    headers_agree "$old" || { echo "the header contradicts $old"; verdict=2; }
  done
fi

case $verdict in
  0) echo "the interface is the accepted one" ;;
  1) echo "additions: if they are meant, accept them with scripts/abi.sh --accept" ;;
  2) echo "programs that were built before would break" ;;
esac
[ -n "$accept" ] && [ $verdict != 2 ] || exit $verdict
version=$(sed -nE 's/^#define SMARTVPN_VERSION_STRING "([0-9]+\.[0-9]+)\..*/\1/p' "$header")
mkdir -p "$accepted/headers"
cp "$work/library.abi" "$accepted/smartvpn.abi"
cp "$work/constants.txt" "$accepted/constants.txt"
cp "$header" "$accepted/headers/smartvpn-$version.h"
echo "accepted into $accepted"
