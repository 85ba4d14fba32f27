"""Both ends of a relayed connection, by hand: bytes are sent and read as the test says, each within its time."""
import contextlib
import socket
import struct

from relay_bench import WAIT_S

SIGNATURE = b"\r\n\r\n\0\r\nQUIT\n"
LOCAL, PROXY = 0x20, 0x21
VPC_ENDPOINT_ID, NOOP = 0xEA, 0x04


class Target:
    """What a route leads to; each connection is taken when the test wants it."""

    def __init__(self, backlog=128):
        self.socket = socket.create_server(("127.0.0.1", 0), backlog=backlog)
        self.port = self.socket.getsockname()[1]

    def accept(self, timeout=WAIT_S):
        self.socket.settimeout(timeout)
        return End(self.socket.accept()[0])


class End:
    def __init__(self, stream):
        self.stream = stream
        stream.settimeout(WAIT_S)

    def send(self, data):
        self.stream.sendall(data)
        return self

    def read(self, count):
        """Exactly so many bytes."""
        got = b""
        while len(got) < count:
            chunk = self.stream.recv(count - len(got))
            assert chunk, f"ended after {len(got)} bytes: {got[:100]!r}"
            got += chunk
        return got

    def read_to_end(self):
        """What is left, and whether it ended with RST."""
        got = b""
        try:
            while chunk := self.stream.recv(1 << 16):
                got += chunk
        except ConnectionResetError:
            return got, True
        return got, False

    def read_header(self):
        """A header of version 2: command, family byte, block of addresses and TLVs."""
        fixed = self.read(16)
        assert fixed[:12] == SIGNATURE, fixed
        return fixed[12], fixed[13], self.read(struct.unpack("!H", fixed[14:])[0])

    def reset(self):
        self.stream.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.stream.close()

    def close(self):
        with contextlib.suppress(OSError):
            self.stream.close()


def client(port, source="127.0.0.1", data=b""):
    return End(socket.create_connection(("127.0.0.1", port), WAIT_S, source_address=(source, 0))).send(data)


def header(command, family, block=b""):
    return SIGNATURE + bytes([command, family]) + struct.pack("!H", len(block)) + block


def tlv(kind, value):
    return struct.pack("!BH", kind, len(value)) + value


def read_tlvs(block):
    found = {}
    while block:
        kind, size = struct.unpack("!BH", block[:3])
        found[kind], block = block[3:3 + size], block[3 + size:]
    return found
