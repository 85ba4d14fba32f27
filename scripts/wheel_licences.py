#!/usr/bin/env python3
"""Puts the licences of the libraries that auditwheel bundled into an unpacked wheel.

  wheel_licences.py TREE EXTENSION

TREE is the unpacked wheel after the repair, EXTENSION the extension before it, which still names the system's
libraries. Their licences are those of the Debian packages that own them; a library of unknown origin is an error.
What is compiled into the extension has its licence there, too.
"""
import pathlib
import re
import subprocess
import sys

COMPILED_IN = ("nlohmann-json3-dev", "libfmt-dev", "node-llhttp")


def output(*command: str) -> str:
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def system_libraries(extension: pathlib.Path) -> dict[str, pathlib.Path]:
    """Base name without version ("libuv") of everything that the extension pulls in: its file."""
    found = {}
    for name, path in re.findall(r"^\s*(\S+) => (/\S+)", output("ldd", str(extension)), re.MULTILINE):
        found[name.split(".so")[0]] = pathlib.Path(path).resolve()
    return found


def owner(library: pathlib.Path) -> str:
    """The Debian package a file is of, though dpkg may know it under its path before /usr was merged."""
    for path in (str(library), str(library).removeprefix("/usr")):
        asked = subprocess.run(["dpkg", "-S", path], capture_output=True, text=True, check=False)
        if asked.returncode == 0:
            return asked.stdout.split(":")[0]
    raise SystemExit(f"no Debian package owns {library}: its licence is not known")


def main(tree: pathlib.Path, extension: pathlib.Path) -> None:
    libraries = system_libraries(extension)
    (info,) = tree.glob("*.dist-info")
    packages = []
    for bundled in sorted(tree.glob("*.libs/*.so*")):
        original = re.sub(r"-[0-9a-f]{8}$", "", bundled.name.split(".so")[0])
        packages.append(owner(libraries[original]))
        print(f"  {bundled.name}: of {packages[-1]}")
    if not packages:
        raise SystemExit("nothing was bundled")
    names = []
    for package in sorted({*packages, *COMPILED_IN}):
        names.append(f"{package}.txt")
        text = pathlib.Path(f"/usr/share/doc/{package}/copyright").read_bytes()
        (info / "licenses" / names[-1]).write_bytes(text)
    metadata = info / "METADATA"
    head, blank, body = metadata.read_text().partition("\n\n")
    metadata.write_text(head + "".join(f"\nLicense-File: {name}" for name in names) + blank + body)


if __name__ == "__main__":
    main(pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2]))
