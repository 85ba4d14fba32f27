#!/usr/bin/env python3
"""The ABI gate can say no: scripts/abi.sh is given what a careless change would have left behind.

  abi_selftest.py SOURCE LIBRARY WORK
"""
import pathlib
import re
import shutil
import subprocess
import sys

ACCEPTED, ADDITIONS, BROKEN = 0, 1, 2
SOURCE, LIBRARY, WORK = (pathlib.Path(argument).resolve() for argument in sys.argv[1:4])
HEADER = (SOURCE / "include/smartvpn.h").read_text()
DUMP = (SOURCE / "tests/abi/smartvpn.abi").read_text()
FUNCTION = r"    <elf-symbol name='smartvpn_has'[^\n]*\n|    <function-decl name='smartvpn_has'.*?</function-decl>\n"
LAST_FIELD = "  uint32_t reserved; /* 0 */\n"


def changed(text, pattern, replacement, count=1):
    text, made = re.subn(pattern, replacement, text, flags=re.DOTALL)
    assert made == count, f"{made} places for {pattern}"
    return text


def judge(header=HEADER, library=DUMP, accepted=None, accept=False):
    """The exit status of the gate for a header, the text of a library's dump, and a folder of what was accepted."""
    (WORK / "candidate.h").write_text(header)
    if library != LIBRARY:
        (WORK / "candidate.abi").write_text(library)
    command = [SOURCE / "scripts/abi.sh", "--header", WORK / "candidate.h", "--accepted", accepted or SOURCE / "tests/abi"]
    command += ["--library", LIBRARY if library == LIBRARY else WORK / "candidate.abi"] + ["--accept"] * accept
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=60)
    print(done.stdout)
    return done.returncode


def copy_of_the_accepted():
    folder = WORK / "accepted"
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(SOURCE / "tests/abi/headers", folder / "headers")
    for name in ("smartvpn.abi", "constants.txt"):
        shutil.copy(SOURCE / "tests/abi" / name, folder)
    return folder


def expect(what, verdict, wanted):
    print(f"== {what}: {verdict}\n")
    if verdict != wanted:
        sys.exit(f"{what}: the gate says {verdict}, and should say {wanted}")


def main():
    WORK.mkdir(parents=True, exist_ok=True)
    expect("what is there", judge(library=LIBRARY), ACCEPTED)
    expect("a removed function", judge(library=changed(DUMP, FUNCTION, "", 2)), BROKEN)
    offset = re.search(r"layout-offset-in-bits='(\d+)'>\s*<var-decl name='health'", DUMP).group(1)
    place = rf"layout-offset-in-bits='{offset}'(>\s*<var-decl name='health')"
    other_place = changed(DUMP, place, r"layout-offset-in-bits='928'\1")
    assert judge(library=other_place) != ACCEPTED, "a member at another place in the library passes"
    wider = HEADER.replace("  uint32_t jitter_us;", "  uint64_t jitter_us;")
    expect("a struct member of another type", judge(wider), BROKEN)
    expect("a removed struct member", judge(HEADER.replace(LAST_FIELD, "")), BROKEN)
    renumbered = changed(HEADER, r"#define SMARTVPN_QR_PNG 2", "#define SMARTVPN_QR_PNG 4")
    expect("a renumbered constant", judge(renumbered), BROKEN)
    expect("a removed constant", judge(changed(HEADER, r"#define SMARTVPN_QR_SVG 3[^\n]*\n", "")), BROKEN)
    otherwise = HEADER.replace("((uint64_t)1 << (type))", "((uint64_t)2 << (type))")
    expect("a macro that counts otherwise", judge(otherwise), BROKEN)
    retyped = changed(HEADER, r"(smartvpn_event_u64\([^)]*)uint64_t \*value", r"\1uint32_t *value")
    expect("a parameter of another type", judge(retyped), BROKEN)

    folder = copy_of_the_accepted()
    (folder / "smartvpn.abi").write_text(changed(DUMP, FUNCTION, "", 2))
    expect("an added function", judge(accepted=folder), ADDITIONS)
    more = changed(HEADER, r"#define SMARTVPN_QR_SVG 3", "#define SMARTVPN_QR_TIFF 4\n#define SMARTVPN_QR_SVG 3")
    more = changed(more, re.escape(LAST_FIELD), LAST_FIELD + "  uint64_t later;\n")
    expect("an added constant and member", judge(more, accepted=folder), ADDITIONS)
    expect("breaking and accepting", judge(wider, accepted=folder, accept=True), BROKEN)
    expect("nothing was accepted by that", judge(more, accepted=folder), ADDITIONS)
    expect("accepting additions", judge(more, accepted=folder, accept=True), ACCEPTED)
    expect("what was accepted", judge(more, accepted=folder), ACCEPTED)
    expect("taking an addition back", judge(accepted=folder), BROKEN)


if __name__ == "__main__":
    main()
