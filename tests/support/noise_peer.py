#!/usr/bin/python3
"""A foreign Noise peer: dissononce (Debian python3-dissononce) speaking IK_25519_ChaChaPoly_BLAKE2s.

  noise_peer.py initiator PROLOGUE STATIC_PRIVATE RESPONDER_PUBLIC
  noise_peer.py responder PROLOGUE STATIC_PRIVATE

All values are hex; handshake and transport messages are lines of hex on standard output and input.
As the initiator it writes message 1 with the payload "from dissononce" and reads message 2; as the
responder the other way round. After the message it read it prints "payload HEX" (and the responder
"static HEX"), after the handshake "hash HEX". Then it opens one transport message a line ("payload
HEX" or "refused") and answers each good one with a sealed message: the same bytes reversed.
"""
import sys

from dissononce.cipher.chachapoly import ChaChaPolyCipher
from dissononce.dh.private import PrivateKey
from dissononce.dh.x25519.x25519 import PublicKey, X25519DH
from dissononce.exceptions.decrypt import DecryptFailedException
from dissononce.hash.blake2s import Blake2sHash
from dissononce.processing.handshakepatterns.interactive.IK import IKHandshakePattern
from dissononce.processing.impl.cipherstate import CipherState
from dissononce.processing.impl.handshakestate import HandshakeState
from dissononce.processing.impl.symmetricstate import SymmetricState

PAYLOAD = b"from dissononce"


def say(*words):
    print(*words, flush=True)


def hear():
    line = sys.stdin.readline()
    if not line:
        sys.exit(0)
    return bytes.fromhex(line.strip())


def write(state):
    message = bytearray()
    keys = state.write_message(PAYLOAD, message)
    say(bytes(message).hex())
    return keys


def read(state):
    payload = bytearray()
    keys = state.read_message(hear(), payload)
    say("payload", bytes(payload).hex())
    return keys


def transport(send, receive):
    while True:
        message = hear()
        try:
            plain = receive.decrypt_with_ad(b"", message)
        except DecryptFailedException:
            say("refused")
            continue
        say("payload", plain.hex())
        say(send.encrypt_with_ad(b"", plain[::-1]).hex())


def main():
    initiator = sys.argv[1] == "initiator"
    prologue = bytes.fromhex(sys.argv[2])
    dh = X25519DH()
    own = dh.generate_keypair(PrivateKey(bytes.fromhex(sys.argv[3])))
    theirs = PublicKey(bytes.fromhex(sys.argv[4])) if initiator else None
    state = HandshakeState(SymmetricState(CipherState(ChaChaPolyCipher()), Blake2sHash()), dh)
    state.initialize(IKHandshakePattern(), initiator, prologue, s=own, rs=theirs)
    if initiator:
        write(state)
        keys = read(state)
    else:
        read(state)
        say("static", state.rs.data.hex())
        keys = write(state)
    say("hash", state.symmetricstate.get_handshake_hash().hex())
    first, second = keys
    transport(first, second) if initiator else transport(second, first)


main()
