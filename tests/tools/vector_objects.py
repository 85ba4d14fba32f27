#!/usr/bin/env python3
"""What is compiled for AVX2 and AVX-512 defines its own entries and nothing else.

  vector_objects.py OBJECT...    all objects of the library
An inline function or a template that came along would be a weak symbol: the linker keeps one copy for the program, and
were it this one, a processor without the instructions would run into them anywhere.
"""
import re
import subprocess
import sys

ENTRY = re.compile(r"smartvpn::crypto::(seal|open|mac)_lanes_(avx2|avx512)\(")
# Of the C library, the stack protector, and the sanitizers: nothing with an instruction set of its own.
NEEDED = re.compile(r"(memcpy|memset|__(memcpy|memset)_chk|__stack_chk_fail|_GLOBAL_OFFSET_TABLE_)$")


def findings(path):
    text = subprocess.run(["nm", "-C", path], check=True, stdout=subprocess.PIPE, text=True).stdout
    entries = set()
    for line in text.splitlines():
        kind, name = re.match(r"[0-9a-f ]{16,17} ?(\S) (.*)", line).groups()
        if kind == "T" and (entry := ENTRY.match(name)):
            entries.add(entry.group(1))
        elif kind == "U" and NEEDED.match(name):
            pass
        elif not kind.islower() or kind in "vwu":
            yield f"{path}: {kind} {name}"
    if entries != {"seal", "open", "mac"}:
        yield f"{path}: entries are {sorted(entries)}"


def main(paths):
    chosen = [path for path in paths if re.search(r"/aead_avx[0-9]+\.cpp\.o$", path)]
    if len(chosen) != 2:
        sys.exit(f"two objects were expected: {chosen}")
    found = [finding for path in chosen for finding in findings(path)]
    sys.exit("\n".join(found) or 0)


if __name__ == "__main__":
    main(sys.argv[1:])
