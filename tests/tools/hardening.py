#!/usr/bin/env python3
"""The built library and command have what SMARTVPN_HARDENED promises, read back from the files.

  hardening.py FILE...
CET is looked for at the functions' first instruction: the C library's start files of some systems lack its
property note, and the linker then leaves it out of what it makes.
"""
import re
import subprocess
import sys

ENDBR64 = b"\xf3\x0f\x1e\xfa"


def readelf(path, *options):
    return subprocess.run(["readelf", "-W", *options, path], check=True, stdout=subprocess.PIPE).stdout.decode()


def segment_findings(headers, dynamic):
    if "GNU_RELRO" not in headers:
        yield "no RELRO"
    if not re.search(r"\(BIND_NOW\)|\(FLAGS\).*BIND_NOW|\(FLAGS_1\).*\bNOW\b", dynamic):
        yield "symbols are bound lazily: RELRO is not full"
    stack = re.search(r"GNU_STACK(?:\s+0x[0-9a-f]+){5}\s+([RWE ]+?)\s+0x", headers)
    if not stack or "E" in stack.group(1):
        yield "the stack is executable"
    if re.search(r"^\s*LOAD.*\sRWE\s", headers, re.M):
        yield "a segment is writable and executable"
    if "Elf file type is DYN" not in headers:
        yield "not position-independent"
    if "(TEXTREL)" in dynamic:
        yield "relocations in the code"


def symbol_findings(symbols):
    imported = {line.split()[-1].split("@")[0] for line in symbols.splitlines() if " UND " in line}
    if "__stack_chk_fail" not in imported:
        yield "no stack protector"
    if not any(re.fullmatch(r"__\w+_chk", name) for name in imported):
        yield "no function of the C library is fortified"
    if imported & {"__cxa_thread_atexit", "__cxa_thread_atexit_impl"}:
        yield "a thread-local object has a destructor: registering it aborts where memory is out"


def functions(symbols, shared):
    """Address and name of main, or of each function that leaves the library."""
    for line in symbols.splitlines():
        word = line.split()
        if len(word) < 8 or word[3] != "FUNC" or word[6] == "UND":
            continue
        if word[7] == "main" or (shared and word[4] == "GLOBAL" and word[7].startswith("smartvpn_")):
            yield int(word[1], 16), word[7]


def cet_findings(path, symbols, shared):
    if "Advanced Micro Devices X86-64" not in readelf(path, "-h"):
        return
    text = re.search(r"\s\.text\s+PROGBITS\s+([0-9a-f]+)\s+([0-9a-f]+)", readelf(path, "-S"))
    address, offset = (int(text.group(n), 16) for n in (1, 2))
    with open(path, "rb") as file:
        data = file.read()
    seen = 0
    for start, name in functions(symbols, shared):
        place = start - address + offset
        seen += 1
        if data[place:place + 4] != ENDBR64:
            yield f"{name} does not begin with endbr64: built without CET"
            return
    if seen == 0:
        yield "no function to look at"


def findings(path):
    headers, dynamic = readelf(path, "-l"), readelf(path, "-d")
    symbols = readelf(path, "-s")
    shared = "(SONAME)" in dynamic
    return [*segment_findings(headers, dynamic), *symbol_findings(symbols), *cet_findings(path, symbols, shared)]


def main():
    bad = [f"{path}: {finding}" for path in sys.argv[1:] for finding in findings(path)]
    print("\n".join(bad) or f"{len(sys.argv) - 1} files are hardened")
    sys.exit(1 if bad or len(sys.argv) < 2 else 0)


if __name__ == "__main__":
    main()
