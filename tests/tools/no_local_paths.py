#!/usr/bin/env python3
"""No tracked file names the machine it was written on: home folders, the checkout's own place, the host.

  no_local_paths.py ROOT BUILD_DIR
"""
import os
import pathlib
import re
import socket
import subprocess
import sys

ANYWHERE = r"(?<![\w./-])/(?:root|work|workspace|home/[\w-]+|Users/[\w-]+)/[\w.-]+"


def tracked_files(root):
    listing = subprocess.run(["git", "-C", str(root), "ls-files", "-z"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    if listing.returncode == 0:
        return [root / name for name in listing.stdout.decode().split("\0") if name]
    skipped = {"build", "node_modules", ".git", ".cache"}  # an unpacked archive has no index
    return [p for p in root.rglob("*") if p.is_file() and not skipped & set(p.relative_to(root).parts)]


def forbidden(root, build):
    patterns = [ANYWHERE]
    for place in (root.resolve(), build.resolve()):
        if len(place.parts) > 2:
            patterns.append(re.escape(str(place)) + r"(?![\w-])")
    host = socket.gethostname()
    if len(host) > 5 and re.search(r"\d", host) and re.search(r"[a-z]", host):  # not one that is also a word
        patterns.append(r"(?<![\w-])" + re.escape(host) + r"(?![\w-])")
    return re.compile("|".join(patterns))


def main():
    root, build = pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2])
    pattern, found, looked_at = forbidden(root, build), [], 0
    for path in tracked_files(root):
        if path.is_symlink() and os.path.isabs(os.readlink(path)):
            found.append(f"{path.relative_to(root)}: an absolute link")
        if not path.is_file():
            continue
        data = path.read_bytes()
        if b"\0" in data[:8000]:
            continue
        looked_at += 1
        for number, line in enumerate(data.decode(errors="replace").splitlines(), 1):
            hit = pattern.search(line)
            if hit:
                found.append(f"{path.relative_to(root)}:{number}: {hit.group(0)}")
    print("\n".join(found) or f"{looked_at} files name no machine")
    sys.exit(1 if found or not looked_at else 0)


if __name__ == "__main__":
    main()
