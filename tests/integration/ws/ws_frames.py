"""RFC 6455 frames for the conformance driver, written against the RFC and not against our codec, and
with every way to write them wrong."""

import os
import socket
import struct
import threading

CONT, TEXT, BINARY, CLOSE, PING, PONG = 0, 1, 2, 8, 9, 10


class Frame:
    """A frame to send. `masked` None: as the sender's role demands. `length`: the raw length bytes
    after the first two header bytes' 7-bit code, to write it wrong. `cut`: payload bytes left out."""

    def __init__(self, opcode, payload=b"", fin=True, rsv=0, masked=None, code=None, length=b"", cut=0):
        self.opcode, self.fin, self.rsv, self.masked = opcode, fin, rsv, masked
        self.payload = payload.encode() if isinstance(payload, str) else payload
        self.code, self.length, self.cut = code, length, cut

    def encode(self, sender_is_client):
        masked = sender_is_client if self.masked is None else self.masked
        size = len(self.payload)
        if self.code is not None:
            code, length = self.code, self.length
        elif size < 126:
            code, length = size, b""
        elif size < 65536:
            code, length = 126, struct.pack(">H", size)
        else:
            code, length = 127, struct.pack(">Q", size)
        out = bytes([self.fin << 7 | self.rsv << 4 | self.opcode, masked << 7 | code]) + length
        body = self.payload
        if masked:
            key = os.urandom(4)
            out += key
            body = mask(body, key)
        return out + body[: len(body) - self.cut]


def mask(data, key):
    wide = int.from_bytes((key * (len(data) // 4 + 1))[: len(data)], "big")
    return (int.from_bytes(data, "big") ^ wide).to_bytes(len(data), "big")


def close_body(code, reason=""):
    return struct.pack(">H", code) + (reason.encode() if isinstance(reason, str) else reason)


class Ended(Exception):
    pass


class Wire:
    """One end of a connection whose other end is the program under test; checks the form of every
    frame it receives."""

    def __init__(self, sock, we_are_client, leftover=b""):
        self.sock, self.we_are_client, self.buffer = sock, we_are_client, leftover
        self.sock.settimeout(20)
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.senders = []

    def send(self, frames, chop=None):
        data = b"".join(f if isinstance(f, bytes) else f.encode(self.we_are_client) for f in frames)
        if len(data) <= 16384:
            self._send(data, chop)
            return
        # In a thread of its own: the other end may want to be read before it reads on.
        thread = threading.Thread(target=self._send, args=(data, chop), daemon=True)
        thread.start()
        self.senders.append(thread)

    def _send(self, data, chop):
        try:
            for at in range(0, len(data), chop or len(data) or 1):
                self.sock.sendall(data[at : at + chop] if chop else data)
        except OSError:
            pass  # it may have failed the connection before reading all; what it said is checked

    def _take(self, n):
        while len(self.buffer) < n:
            more = self.sock.recv(1 << 20)
            if not more:
                raise Ended(f"stream ended with {len(self.buffer)} bytes of {n}")
            self.buffer += more
        out, self.buffer = self.buffer[:n], self.buffer[n:]
        return out

    def frame(self):
        """The next frame as (fin, opcode, payload)."""
        first, second = self._take(2)
        assert first & 0x70 == 0, "RSV bits set"
        opcode, masked, size = first & 15, bool(second & 0x80), second & 0x7F
        assert masked != self.we_are_client, "wrong mask bit"
        if size >= 126:
            assert opcode < 8, "long control frame"
            wide = size == 127
            (size,) = struct.unpack(">Q" if wide else ">H", self._take(8 if wide else 2))
            assert size >= (65536 if wide else 126), "length not in its shortest form"
        key = self._take(4) if masked else b""
        body = self._take(size)
        return bool(first & 0x80), opcode, mask(body, key) if masked else body

    def message(self):
        """The next control frame or whole message as (opcode, payload)."""
        fin, opcode, payload = self.frame()
        while not fin:
            fin, more, part = self.frame()
            assert more == CONT, "expected a continuation"
            payload += part
        return opcode, payload

    def expect_end(self):
        for thread in self.senders:
            thread.join(20)
        self.senders = []
        try:
            rest = self.buffer + self.sock.recv(65536)
        except ConnectionResetError:
            raise AssertionError("reset instead of an orderly end") from None
        assert rest == b"", f"bytes after the Close frame: {rest[:40]!r}"
