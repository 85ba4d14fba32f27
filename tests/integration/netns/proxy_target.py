"""A server behind a proxy: says "hello" to who has said a byte, and prints a line of JSON of what the PROXY v2 header in
front of it says.

    proxy_target.py PORT
"""
import contextlib
import ipaddress
import json
import socketserver
import struct
import sys

SIGNATURE = b"\r\n\r\n\0\r\nQUIT\n"


def tlvs_of(block):
    found = {}
    while block:
        kind, size = struct.unpack("!BH", block[:3])
        found[f"{kind:#04x}"] = block[3:3 + size].hex()
        block = block[3 + size:]
    return found


class Header(socketserver.StreamRequestHandler):
    timeout = 30

    def handle(self):
        try:
            fixed = self.rfile.read(16)
        except ConnectionResetError:
            return
        size = struct.unpack("!H", fixed[14:])[0] if fixed[:12] == SIGNATURE else 0
        block = self.rfile.read(size)
        addresses = {0x11: 4, 0x21: 16}.get(fixed[13] if len(fixed) == 16 else 0, 0)
        said = {"command": fixed[12:13].hex(), "tlvs": tlvs_of(block[2 * addresses + 4:])}
        if addresses:
            said["source"] = str(ipaddress.ip_address(block[:addresses]))
        print(json.dumps({"type": "connection", **said}), flush=True)
        with contextlib.suppress(ConnectionResetError):
            if self.rfile.read(1):
                self.wfile.write(b"hello")


class Server(socketserver.ThreadingTCPServer):
    allow_reuse_address = daemon_threads = True


if __name__ == "__main__":
    with Server(("127.0.0.1", int(sys.argv[1])), Header) as server:
        print(json.dumps({"type": "listening"}), flush=True)
        server.serve_forever()
