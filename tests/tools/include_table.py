#!/usr/bin/env python3
"""Holds the sources to the room table of docs/ARCHITECTURE.md.

A room (folder of src/) may include its own headers and those of the rooms its row names. libuv and
socket headers belong to net/ (forward/ may use the device's and netlink's), nlohmann-json to config/,
and clocks are read in base/clock only. Fails with one line per offence.
"""
import pathlib
import re
import sys

SOCKET_HEADERS = re.compile(r"^(uv\.h|sys/socket\.h|netinet/.*|arpa/inet\.h|netdb\.h|sys/un\.h|sys/epoll\.h|poll\.h)$")
DEVICE_HEADERS = re.compile(r"^(linux/.*|net/if\.h|sys/ioctl\.h|netinet/in\.h|sys/socket\.h|arpa/inet\.h)$")
EVENTFD_WAITS = {("telemetry", "poll.h"), ("forward", "poll.h"), ("server", "poll.h")}  # for callers of other threads, no sockets
CLOCK_READS = re.compile(r"_clock::now\(|clock_gettime\(|gettimeofday\(|\btime\(nullptr\)|\btime\(NULL\)|uv_now\(|uv_hrtime\(")


# Files of a transport that bind its machines to net/.
CARRIER_FILES = re.compile(r"_(listener|link)\.|transport/wireguard/(device|peer\.|send_batch)")


def read_table(text):
    """The table's rows as {room: set of rooms and libraries it may use}, in order."""
    rows = {}
    for line in text.splitlines():
        match = re.match(r"\|\s*((?:`[a-z/]+/`[^|]*?)+)\|([^|]*)\|([^|]*)\|$", line)
        if not match:
            continue
        for room in re.findall(r"`([a-z/]+)/`", match.group(1).split(" + ")[0]):
            rows[room] = match.group(3)
    return rows


def room_of(path):
    """The room a path below src/ belongs to: transports by their own name, others by the first folder."""
    parts = path.parts
    return "/".join(parts[:2]) if parts[0] == "transport" else parts[0]


def allowed_rooms(room, rows):
    text = rows[room]
    order = list(rows)
    if "all above" in text:
        allowed = set(order[: order.index(room)])
        for name in re.findall(r"but ([^|]*)", text):
            allowed -= set(re.findall(r"`?([a-z/]+?)/", name))
        return allowed
    return set(rows) & set(re.findall(r"[a-z/_-]+", text))


def check(root):
    rows = read_table((root / "docs/ARCHITECTURE.md").read_text())
    if len(rows) < 10:
        return ["docs/ARCHITECTURE.md: the room table was not found"]
    offences = []
    src = root / "src"
    for path in sorted(src.rglob("*")):
        if path.suffix not in (".hpp", ".cpp", ".h"):
            continue
        relative = path.relative_to(src)
        room = room_of(relative)
        if room not in rows:
            offences.append(f"src/{relative}: room {room}/ is not in the table")
            continue
        allowed = allowed_rooms(room, rows) | {room}
        for number, line in enumerate(path.read_text().splitlines(), 1):
            where = f"src/{relative}:{number}"
            quoted = re.match(r'\s*#include "([^"]+)"', line)
            if quoted and "/" in quoted.group(1):
                target = room_of(pathlib.PurePosixPath(quoted.group(1)))
                if target == "net" and room.startswith("transport/") and not CARRIER_FILES.search(str(relative)):
                    offences.append(f"{where}: net/ outside a listener file")
                if target not in allowed:
                    offences.append(f"{where}: {room}/ may not include {quoted.group(1)}")
            angled = re.match(r"\s*#include <([^>]+)>", line)
            if angled:
                name = angled.group(1)
                if SOCKET_HEADERS.match(name) and room != "net":
                    if not (room == "forward" and DEVICE_HEADERS.match(name)) and (room, name) not in EVENTFD_WAITS:
                        offences.append(f"{where}: <{name}> outside net/")
                if name.startswith("nlohmann/") and room != "config":
                    offences.append(f"{where}: nlohmann-json outside config/")
            if CLOCK_READS.search(line) and not str(relative).startswith("base/clock"):
                offences.append(f"{where}: a clock is read outside base/clock")
    return offences


if __name__ == "__main__":
    found = check(pathlib.Path(sys.argv[1]))
    print("\n".join(found) or "every include is in the table")
    sys.exit(1 if found else 0)
