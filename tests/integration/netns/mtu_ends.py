"""The two ends of the MTU tests, each run in a namespace. Prints JSON lines. `version` is 4 or 6; sizes are of whole
packets, IP and UDP headers included.

  answer <version> <df|fragment>      answers each datagram to port 7000, which holds a size, with one of that size;
                                      says which path MTU it has learned when the kernel refuses
  ask <version> <address> <size>...   asks for answers of these sizes until they come, and says so
  send <version> <address> <size> <df|fragment>   sends a datagram until an answer comes or the kernel refuses
  mss <version> <device> <port>       the MSS of the first SYN and of the first SYN-ACK seen on a device
"""
import errno
import json
import socket
import struct
import sys
import time

PATIENCE_S = 15
OPTIONS = {4: (socket.IPPROTO_IP, 10, 14), 6: (socket.IPPROTO_IPV6, 23, 24)}  # level, MTU_DISCOVER, MTU
HEADERS = {4: 28, 6: 48}


def say(**fields):
    print(json.dumps(fields), flush=True)


def open_udp(version, df):
    s = socket.socket(socket.AF_INET if version == 4 else socket.AF_INET6, socket.SOCK_DGRAM)
    if version == 6:
        s.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
    s.setsockopt(OPTIONS[version][0], OPTIONS[version][1], 2 if df else 0)
    return s


def path_mtu(version, peer):
    with open_udp(version, True) as s:
        s.connect(peer)
        return s.getsockopt(OPTIONS[version][0], OPTIONS[version][2])


def answer(version, how):
    s = open_udp(version, how == "df")
    s.bind(("0.0.0.0" if version == 4 else "::", 7000))
    say(type="ready")
    while True:
        wanted, peer = s.recvfrom(65535)
        size = int(wanted.split(b" ", 1)[0])
        try:
            s.sendto(b"x" * (size - HEADERS[version]), peer)
        except OSError as error:
            if error.errno != errno.EMSGSIZE:
                raise
            say(type="refused", size=size, mtu=path_mtu(version, peer))


def ask(version, address, sizes):
    """For each size: asks again and again, since an answer that is too large is lost on the way."""
    s = open_udp(version, False)
    s.settimeout(0.2)
    for size in map(int, sizes):
        deadline = time.monotonic() + PATIENCE_S
        got = 0
        while got != size and time.monotonic() < deadline:
            s.sendto(b"%d " % size, (address, 7000))
            try:
                got = len(s.recv(65535)) + HEADERS[version]
            except socket.timeout:
                continue
        say(type="got", size=size, got=got)


def send(version, address, size, how):
    s = open_udp(version, how == "df")
    s.connect((address, 7000))
    s.settimeout(0.2)
    deadline = time.monotonic() + PATIENCE_S
    while time.monotonic() < deadline:
        try:
            s.send(b"100 ".ljust(int(size) - HEADERS[version], b"x"))
            s.recv(65535)
            return say(type="answered", size=int(size))
        except socket.timeout:
            continue
        except OSError as error:
            if error.errno != errno.EMSGSIZE:
                raise
            return say(type="refused", size=int(size), mtu=s.getsockopt(OPTIONS[version][0], OPTIONS[version][2]))
    say(type="lost", size=int(size))


def mss_of(options):
    while options and options[0] != 0:
        if options[0] == 1:
            options = options[1:]
            continue
        if options[0] == 2:
            return struct.unpack("!H", options[2:4])[0]
        options = options[options[1]:]
    return 0


def mss(device, port):
    s = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(3))
    s.bind((device, 3))
    s.settimeout(PATIENCE_S)
    say(type="ready")
    seen = {}
    while len(seen) < 2:
        packet = s.recv(65535)
        offset = (packet[0] & 15) * 4 if packet[0] >> 4 == 4 else 40
        if packet[9 if packet[0] >> 4 == 4 else 6] != 6:
            continue
        tcp = packet[offset:]
        if int(port) in struct.unpack("!HH", tcp[:4]) and tcp[13] & 2:
            seen.setdefault("syn_ack" if tcp[13] & 16 else "syn", mss_of(tcp[20:(tcp[12] >> 4) * 4]))
    say(type="mss", **seen)


if __name__ == "__main__":
    command, version, *rest = sys.argv[1:]
    {"answer": lambda: answer(int(version), *rest), "ask": lambda: ask(int(version), rest[0], rest[1:]),
     "send": lambda: send(int(version), *rest), "mss": lambda: mss(*rest)}[command]()
