#!/usr/bin/env bash
# clang-format over the tracked C and C++ sources.
#   scripts/format.sh           formats in place
#   scripts/format.sh --check   names the files that would change, and fails if there are any
set -euo pipefail
cd "$(dirname "$0")/.."

# Versions differ in small things; the one of Debian 12 is the reference.
format=$(command -v clang-format-14 || command -v clang-format) || { echo "clang-format is not installed" >&2; exit 2; }
sources() {
  git ls-files '*.c' '*.h' '*.cpp' '*.hpp' 2>/dev/null ||
    find apps bindings examples include src tests -name '*.[ch]' -o -name '*.[ch]pp' # an unpacked archive has no index
}
mapfile -t files < <(sources)

if [ "${1:-}" = --check ]; then
  bad=$({ "$format" --dry-run -Werror "${files[@]}" 2>&1 || true; } | sed -n 's/^\([^ :]*\):[0-9]*:[0-9]*: error:.*/\1/p' | sort -u)
  [ -z "$bad" ] || { echo "not formatted:"; echo "$bad"; exit 1; }
  echo "${#files[@]} files are formatted"
else
  "$format" -i "${files[@]}"
fi
