#!/usr/bin/env python3
"""That hardening.py finds each protection that is missing: programs built with all of them but one.

  hardening_selftest.py ROOT COMPILER
"""
import pathlib
import subprocess
import sys
import tempfile

import hardening

PROGRAM = r"""
#include <stdio.h>
#include <string.h>
int main(int argc, char** argv) {
  char name[16];
  strcpy(name, argv[argc - 1]);
  return printf("%s\n", name) < 0;
}
"""
# A thread-local object with a destructor, as C++ makes it.
AT_EXIT = PROGRAM.replace("int main", """extern int __cxa_thread_atexit_impl(void (*)(void*), void*, void*);
static void gone(void* object) { (void)object; }
int main""").replace("char name[16];", "char name[16];\n  __cxa_thread_atexit_impl(gone, name, 0);")
ALL = {
    "O": "-O2", "fortify": "-D_FORTIFY_SOURCE=2", "protector": "-fstack-protector-strong", "cet": "-fcf-protection",
    "pie": "-pie", "pic": "-fPIE", "relro": "-Wl,-z,relro", "now": "-Wl,-z,now", "stack": "-Wl,-z,noexecstack",
}
MISSING = {
    "no RELRO": {"relro": "-Wl,-z,norelro"},
    "symbols are bound lazily: RELRO is not full": {"now": "-Wl,-z,lazy"},
    "the stack is executable": {"stack": "-Wl,-z,execstack"},
    "not position-independent": {"pie": "-no-pie", "pic": "-fno-pie"},
    "no stack protector": {"protector": "-fno-stack-protector"},
    "no function of the C library is fortified": {"fortify": "-U_FORTIFY_SOURCE"},
    "main does not begin with endbr64: built without CET": {"cet": "-fcf-protection=none"},
}


def built(folder, compiler, change, text=PROGRAM):
    source, program = folder / "program.c", folder / "program"
    source.write_text(text)
    flags = {**ALL, **change}
    subprocess.run([compiler, "-w", *flags.values(), "-o", program, source], check=True)
    return str(program)


def main():
    compiler = sys.argv[2]
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        found = hardening.findings(built(folder, compiler, {}))
        assert found == [], found
        for finding, change in MISSING.items():
            found = hardening.findings(built(folder, compiler, change))
            assert finding in found, (finding, found)
        found = hardening.findings(built(folder, compiler, {}, AT_EXIT))
        assert len(found) == 1 and "thread-local" in found[0], found
    print(f"{len(MISSING)} missing protections are found")


if __name__ == "__main__":
    main()
