"""Chooses seeds out of what a fuzzer has found: the fewest and smallest files that reach the most.

    pick_seeds.py CONTROL FOLDER

CONTROL is what `-merge=1 -merge_control_file=CONTROL` of a libFuzzer target left, which names every file and the
features it reaches. Chosen ones are copied to FOLDER under their contents' SHA-1; files that are there already count as
chosen. At most 50 files and 200 KB stand in the folder afterwards, and each new one adds what no other has.
"""
import hashlib
import os
import sys

MAX_FILES = 50
MAX_BYTES = 200_000


def read_control(path):
    lines = open(path, encoding="utf-8", errors="surrogateescape").read().split("\n")
    count = int(lines[0])
    files = lines[2 : 2 + count]
    features = {}
    for line in lines[2 + count :]:
        words = line.split()
        if words[:1] == ["FT"]:
            features[files[int(words[1])]] = {int(word) for word in words[2:]}
    return features


def main(control, folder):
    features = read_control(control)
    inside = {name for name in features if os.path.dirname(os.path.abspath(name)) == os.path.abspath(folder)}
    here = [os.path.join(folder, name) for name in os.listdir(folder)]
    seen = set().union(*(features[name] for name in inside)) if inside else set()
    files, size = len(here), sum(os.path.getsize(name) for name in here)
    left = {name: found for name, found in features.items() if name not in inside}
    sizes = {name: os.path.getsize(name) for name in left}
    added = 0
    while left and files < MAX_FILES:
        # Many new features for few bytes.
        best = max(left, key=lambda name: len(left[name] - seen) / (64 + sizes[name]))
        found = left.pop(best)
        if not found - seen:
            break
        if size + sizes[best] > MAX_BYTES:
            continue
        seen |= found
        data = open(best, "rb").read()
        with open(os.path.join(folder, hashlib.sha1(data).hexdigest()[:16]), "wb") as out:
            out.write(data)
        files, size, added = files + 1, size + len(data), added + 1
    everything = set().union(*features.values()) if features else set()
    print(f"{os.path.basename(folder)}: {added} added, {files} files, {size} bytes, "
          f"{len(seen)} of {len(everything)} features")


if __name__ == "__main__":
    main(*sys.argv[1:])
