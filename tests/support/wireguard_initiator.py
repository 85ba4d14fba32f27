#!/usr/bin/python3
"""A foreign WireGuard initiator for tests and benchmarks, after the white paper's section 5.4: handshake, cookies and
transport messages, over Debian's python3-cryptography. As a program it works on one socket; keys are base64:

  wireguard_initiator.py keys SEED COUNT                    public keys, one a line; key I of SEED is always the same
  wireguard_initiator.py swarm HOST PORT SERVER_KEY SEED COUNT [WINDOW]
                                                            that many peers shake hands and confirm with a keepalive
  wireguard_initiator.py flood HOST PORT SERVER_KEY SECONDS SOURCE
                                                            bursts of initiations that are right up to mac1 and garbage
                                                            within, from that address
  wireguard_initiator.py capture HOST PORT SERVER_KEY PRIVATE_KEY
                                                            one handshake; also prints its initiation, for `replay`
  wireguard_initiator.py replay HOST PORT INITIATION        sends it, and what it is answered within two seconds

Each but `keys` prints one JSON object at the end.
"""
import base64
import hashlib
import hmac
import json
import os
import select
import socket
import struct
import sys
import time

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

INITIATION, RESPONSE, COOKIE, DATA = 1, 2, 3, 4
PATIENCE_S, TRIES = 1.0, 20  # of a swarm's peer
BURST, PAUSE_S = 1024, 0.2  # of a flood: more than a server has time for, and time for the server's host


def digest(*parts):
    return hashlib.blake2s(b"".join(parts)).digest()


def mac(key, *parts):
    return hashlib.blake2s(b"".join(parts), key=key, digest_size=16).digest()


def kdf(count, key, data):
    secret = hmac.new(key, data, hashlib.blake2s).digest()
    out = [b""]
    for i in range(1, count + 1):
        out.append(hmac.new(secret, out[-1] + bytes([i]), hashlib.blake2s).digest())
    return out[1:]


def seal(key, counter, plain, data):
    return ChaCha20Poly1305(key).encrypt(struct.pack("<4xQ", counter), plain, data)


def unseal(key, counter, sealed, data):
    return ChaCha20Poly1305(key).decrypt(struct.pack("<4xQ", counter), sealed, data)


def public_of(private):
    return private.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)


def shared(private, public):
    return private.exchange(X25519PublicKey.from_public_bytes(public))


def private_of(seed, number):
    return X25519PrivateKey.from_private_bytes(digest(f"{seed}/{number}".encode()))


def tai64n():
    now = time.time_ns()
    return struct.pack(">QI", 0x400000000000000A + now // 10**9, now % 10**9)


def rotate(word, by):
    return (word << by | word >> (32 - by)) & 0xFFFFFFFF


def hchacha20(key, nonce):
    """draft-irtf-cfrg-xchacha, section 2.2."""
    words = list(struct.unpack("<16I", b"expand 32-byte k" + key + nonce))
    columns = [(i, i + 4, i + 8, i + 12) for i in range(4)]
    diagonals = [(0, 5, 10, 15), (1, 6, 11, 12), (2, 7, 8, 13), (3, 4, 9, 14)]
    for _ in range(10):
        for a, b, c, d in columns + diagonals:
            for x, y, z, by in ((a, b, d, 16), (c, d, b, 12), (a, b, d, 8), (c, d, b, 7)):
                words[x] = (words[x] + words[y]) & 0xFFFFFFFF
                words[z] = rotate(words[z] ^ words[x], by)
    return struct.pack("<8I", *words[:4], *words[12:])


class Server:
    """The responder's key, and the cookie that it gave this socket."""

    def __init__(self, public):
        self.public, self.cookie = public, None
        self.mac1_key, self.cookie_key = digest(b"mac1----", public), digest(b"cookie--", public)

    def finish(self, message):
        """Appends mac1 and mac2."""
        message += mac(self.mac1_key, message)
        return message + (mac(self.cookie, message) if self.cookie else bytes(16))

    def take_cookie(self, reply, mac1):
        nonce, sealed = reply[8:32], reply[32:64]
        key = hchacha20(self.cookie_key, nonce[:16])
        self.cookie = ChaCha20Poly1305(key).decrypt(bytes(4) + nonce[16:], sealed, mac1)


class Initiator:
    def __init__(self, private, server, index, psk=bytes(32)):
        self.private, self.server, self.index, self.psk = private, server, index, psk
        self.send_key = self.receive_key = None
        self.tries = 0

    def initiation(self):
        """The first message; a new one, with a new time, at each call."""
        server, self.ephemeral = self.server.public, X25519PrivateKey.generate()
        ephemeral = public_of(self.ephemeral)
        chain = digest(b"Noise_IKpsk2_25519_ChaChaPoly_BLAKE2s")
        transcript = digest(digest(digest(chain, b"WireGuard v1 zx2c4 Jason@zx2c4.com"), server), ephemeral)
        chain, = kdf(1, chain, ephemeral)
        chain, key = kdf(2, chain, shared(self.ephemeral, server))
        static = seal(key, 0, public_of(self.private), transcript)
        transcript = digest(transcript, static)
        chain, key = kdf(2, chain, shared(self.private, server))
        stamp = seal(key, 0, tai64n(), transcript)
        self.chain, self.transcript = chain, digest(transcript, stamp)
        message = self.server.finish(struct.pack("<II", INITIATION, self.index) + ephemeral + static + stamp)
        self.latest, self.mac1 = message, message[-32:-16]
        self.tries += 1
        return message

    def take_response(self, message):
        """Raises InvalidTag if it is not the answer to the latest initiation."""
        ephemeral, empty = message[12:44], message[44:60]
        chain, = kdf(1, self.chain, ephemeral)
        transcript = digest(self.transcript, ephemeral)
        chain, = kdf(1, chain, shared(self.ephemeral, ephemeral))
        chain, = kdf(1, chain, shared(self.private, ephemeral))
        chain, tau, key = kdf(3, chain, self.psk)
        unseal(key, 0, empty, digest(transcript, tau))
        self.send_key, self.receive_key = kdf(2, chain, b"")
        self.peer_index, self.counter = struct.unpack_from("<I", message, 4)[0], 0

    def seal(self, packet=b""):
        """A transport message; without a packet, a keepalive."""
        padded = packet + bytes(-len(packet) % 16)
        sealed = seal(self.send_key, self.counter, padded, b"")
        self.counter += 1
        return struct.pack("<IIQ", DATA, self.peer_index, self.counter - 1) + sealed

    def open(self, message):
        return unseal(self.receive_key, struct.unpack_from("<Q", message, 8)[0], message[16:], b"")


def connected(host, port, source=None):
    end = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_DGRAM)
    if source:
        end.bind((source, 0))
    end.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
    end.connect((host, int(port)))
    return end


def received(end, timeout):
    while select.select([end], [], [], timeout)[0]:
        try:
            yield end.recv(65536)
        except ConnectionRefusedError:  # an ICMP error: nobody listens yet, or any more
            continue
        timeout = 0


class Swarm:
    """Peers that shake hands over one socket, a few at a time, each trying again when it hears nothing."""

    def __init__(self, end, server, peers):
        self.end, self.server, self.peers = end, server, peers
        self.pending, self.cookies = {}, 0  # peer index: when its latest initiation went out

    def initiate(self, peer):
        if peer.tries == TRIES:
            raise SystemExit(f"peer {peer.index} got no answer to {TRIES} initiations")
        self.pending[peer.index] = time.monotonic()
        self.end.send(peer.initiation())

    def take(self, message):
        kind, index = struct.unpack_from("<I", message)[0], struct.unpack_from("<I", message, 8)[0]
        if kind == COOKIE:
            index = struct.unpack_from("<I", message, 4)[0]
        if index not in self.pending or kind not in (RESPONSE, COOKIE):
            return
        peer = self.peers[index]
        try:
            if kind == COOKIE:
                self.cookies += 1
                self.server.take_cookie(message, peer.mac1)
                self.initiate(peer)
                return
            peer.take_response(message)
        except InvalidTag:  # an answer to an initiation that was given up
            return
        self.end.send(peer.seal())
        del self.pending[index]

    def run(self, window):
        waiting = list(reversed(self.peers))
        while waiting or self.pending:
            while waiting and len(self.pending) < window:
                self.initiate(waiting.pop())
            for message in received(self.end, 0.2):
                self.take(message)
            old = time.monotonic() - PATIENCE_S
            for index in [index for index, since in self.pending.items() if since < old]:
                self.initiate(self.peers[index])


def swarm(host, port, key, seed, count, window="32"):
    server = Server(base64.b64decode(key))
    peers = [Initiator(private_of(seed, i), server, i) for i in range(int(count))]
    crowd = Swarm(connected(host, port), server, peers)
    start = time.monotonic()
    crowd.run(int(window))
    return {"handshakes": len(peers), "seconds": time.monotonic() - start, "cookies": crowd.cookies,
            "initiations": sum(peer.tries for peer in peers)}


def flood(host, port, key, seconds, source):
    server, end = Server(base64.b64decode(key)), connected(host, port, source)
    sent = replies = cookies = 0
    until = time.monotonic() + float(seconds)
    while time.monotonic() < until:
        for message in [server.finish(struct.pack("<II", INITIATION, sent + i) + os.urandom(108)) for i in range(BURST)]:
            try:
                end.send(message)
                sent += 1
            except OSError:  # a full queue, or an ICMP error: a flood does not mind
                pass
        for message in received(end, PAUSE_S):
            replies += 1
            cookies += message[:1] == bytes([COOKIE])
        time.sleep(PAUSE_S)
    return {"sent": sent, "replies": replies, "cookies": cookies}


def capture(host, port, key, private_key):
    server = Server(base64.b64decode(key))
    peer = Initiator(X25519PrivateKey.from_private_bytes(base64.b64decode(private_key)), server, 0)
    Swarm(connected(host, port), server, [peer]).run(1)
    return {"initiation": peer.latest.hex()}


def replay(host, port, message):
    end = connected(host, port)
    end.send(bytes.fromhex(message))
    return {"answers": [answer[0] for answer in received(end, 2)]}


def main():
    what, *arguments = sys.argv[1:]
    if what == "keys":
        for i in range(int(arguments[1])):
            print(base64.b64encode(public_of(private_of(arguments[0], i))).decode())
    else:
        print(json.dumps({"swarm": swarm, "flood": flood, "capture": capture, "replay": replay}[what](*arguments)))


if __name__ == "__main__":
    main()
