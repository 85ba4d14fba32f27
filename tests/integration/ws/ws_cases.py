"""The conformance checklist: what we send to an echo endpoint and what it has to answer, in the spirit
of categories 1 to 7, 9 and 10 of the Autobahn suite. The cases are our own."""

from ws_frames import BINARY, CLOSE, CONT, PING, PONG, TEXT, Frame, close_body


class Send:
    def __init__(self, *frames, chop=None):
        self.frames, self.chop = frames, chop


class Expect:
    """The next thing received is exactly this message or control frame."""

    def __init__(self, opcode, payload=b""):
        self.opcode, self.payload = opcode, payload.encode() if isinstance(payload, str) else payload


class Fail:
    """The endpoint fails the connection: a Close frame with this code, then the end."""

    def __init__(self, code):
        self.code = code


class Closed:
    """The endpoint echoes our Close: this body, then the end."""

    def __init__(self, body):
        self.body = body


def closing(code=1000):
    return [Send(Frame(CLOSE, close_body(code))), Closed(close_body(code))]


def echo(opcode, payload, chop=None):
    return [Send(Frame(opcode, payload), chop=chop), Expect(opcode, payload), *closing()]


def framing():
    for opcode, kind, fill in ((TEXT, "text", b"*"), (BINARY, "binary", b"\xfe")):
        for size in (0, 1, 125, 126, 127, 128, 65535, 65536):
            yield f"1 {kind} of {size}", echo(opcode, fill * size)
        yield f"1 {kind} of 65536 in pieces of 997", echo(opcode, fill * 65536, 997)
        yield f"1 {kind} of 126 byte by byte", echo(opcode, fill * 126, 1)


def pings():
    bodies = {"empty": b"", "text": b"Hello, world!", "binary": b"\x00\xff\xfe", "of 125": b"\xfe" * 125}
    for name, body in bodies.items():
        yield f"2 ping {name}", [Send(Frame(PING, body)), Expect(PONG, body), *closing()]
    yield "2 ping of 125 byte by byte", [
        Send(Frame(PING, b"\xfe" * 125), chop=1), Expect(PONG, b"\xfe" * 125), *closing()]
    yield "2 ping of 126", [Send(Frame(PING, b"\xfe" * 126)), Fail(1002)]
    yield "2 unsolicited pong empty", [Send(Frame(PONG)), *closing()]
    yield "2 unsolicited pong", [Send(Frame(PONG, b"x")), *closing()]
    yield "2 unsolicited pong, then ping", [Send(Frame(PONG, b"x"), Frame(PING, b"y")), Expect(PONG, b"y"), *closing()]
    bodies = [b"payload-%d" % i for i in range(10)]
    for chop in (None, 1):
        yield f"2 ten pings, chop {chop}", [
            Send(*(Frame(PING, b) for b in bodies), chop=chop), *(Expect(PONG, b) for b in bodies), *closing()]


def reserved():
    good = Frame(TEXT, "Hello")
    for rsv, opcode in ((1, TEXT), (2, TEXT), (4, TEXT), (5, BINARY), (6, PING), (7, CLOSE)):
        body = close_body(1000) if opcode == CLOSE else b"x"
        yield f"3 rsv {rsv} opcode {opcode}", [Send(Frame(opcode, body, rsv=rsv)), Fail(1002)]
    for chop in (None, 1):
        yield f"3 rsv 2 after a good message, chop {chop}", [
            Send(good, Frame(TEXT, "bad", rsv=2), Frame(PING), chop=chop), Expect(TEXT, "Hello"), Fail(1002)]
    for opcode in (3, 4, 5, 6, 7, 11, 12, 13, 14, 15):
        yield f"4 reserved opcode {opcode}", [
            Send(good, Frame(opcode, b"?"), Frame(PING)), Expect(TEXT, "Hello"), Fail(1002)]


def fragmentation():
    first, last = Frame(TEXT, "frag1", fin=False), Frame(CONT, "frag2")
    whole = Expect(TEXT, "frag1frag2")
    yield "5 fragmented ping", [Send(Frame(PING, "a", fin=False), Frame(CONT, "b")), Fail(1002)]
    yield "5 fragmented pong", [Send(Frame(PONG, "a", fin=False), Frame(CONT, "b")), Fail(1002)]
    yield "5 fragmented close", [Send(Frame(CLOSE, close_body(1000), fin=False)), Fail(1002)]
    for chop in (None, 1):
        yield f"5 two fragments, chop {chop}", [Send(first, last, chop=chop), whole, *closing()]
        yield f"5 ping between fragments, chop {chop}", [
            Send(first, Frame(PING, "p"), last, chop=chop), Expect(PONG, "p"), whole, *closing()]
    yield "5 fragments in separate sends", [Send(first), Send(last), whole, *closing()]
    yield "5 empty fragments", [
        Send(Frame(TEXT, "", fin=False), Frame(CONT, "", fin=False), Frame(CONT)), Expect(TEXT), *closing()]
    yield "5 empty fragments around content", [
        Send(Frame(TEXT, "", fin=False), Frame(CONT, "middle", fin=False), Frame(CONT)),
        Expect(TEXT, "middle"), *closing()]
    yield "5 binary fragments", [
        Send(Frame(BINARY, b"\xff", fin=False), Frame(CONT, b"\xfe")), Expect(BINARY, b"\xff\xfe"), *closing()]
    for fin in (True, False):
        yield f"5 continuation of nothing, fin {fin}", [Send(Frame(CONT, "x", fin=fin), Frame(TEXT, "y")), Fail(1002)]
        yield f"5 continuation after a whole message, fin {fin}", [
            Send(Frame(TEXT, "ok"), Frame(CONT, "x", fin=fin)), Expect(TEXT, "ok"), Fail(1002)]
    yield "5 text inside fragments", [Send(first, Frame(TEXT, "x")), Fail(1002)]
    yield "5 binary inside fragments", [Send(first, Frame(BINARY, "x", fin=False)), Fail(1002)]
    pinged = [first]
    for i in range(5):
        pinged += [Frame(PING, b"%d" % i), Frame(CONT, ".", fin=False)]
    yield "5 five pings between fragments", [
        Send(*pinged, last), *(Expect(PONG, b"%d" % i) for i in range(5)), Expect(TEXT, "frag1.....frag2"), *closing()]
    yield "5 close between fragments", [Send(first, Frame(CLOSE, close_body(1000)), last), Closed(close_body(1000))]
    yield "5 a thousand fragments", [
        Send(Frame(BINARY, b"a", fin=False), *(Frame(CONT, b"b", fin=False) for _ in range(998)), Frame(CONT, b"c")),
        Expect(BINARY, b"a" + b"b" * 998 + b"c"), *closing()]


def lengths():
    for size in (0, 5, 125):
        yield f"L 16-bit length for {size}", [
            Send(Frame(BINARY, b"x" * size, code=126, length=size.to_bytes(2, "big"))), Fail(1002)]
    for size in (0, 126, 65535):
        yield f"L 64-bit length for {size}", [
            Send(Frame(BINARY, b"", code=127, length=size.to_bytes(8, "big"))), Fail(1002)]
    yield "L 64-bit length with the top bit", [
        Send(Frame(BINARY, b"", code=127, length=(1 << 63).to_bytes(8, "big"))), Fail(1002)]
    yield "L an absurd length", [
        Send(Frame(BINARY, b"", code=127, length=((1 << 63) - 1).to_bytes(8, "big"))), Fail(1009)]
    yield "L control frame with a 16-bit length", [Send(Frame(PING, b"x", code=126, length=b"\0\1")), Fail(1002)]


def close_cases():
    for name, body in (("empty", b""), ("code", close_body(1000)), ("reason", close_body(1000, "Hello")),
                       ("longest reason", close_body(1000, "*" * 123))):
        yield f"7 close {name}", [Send(Frame(CLOSE, body)), Closed(body[:2])]
    yield "7 nothing after close: message", [
        Send(Frame(CLOSE, close_body(1000)), Frame(TEXT, "late")), Closed(close_body(1000))]
    yield "7 nothing after close: ping", [
        Send(Frame(CLOSE, close_body(1000)), Frame(PING, "late")), Closed(close_body(1000))]
    yield "7 nothing after close: close", [
        Send(Frame(CLOSE, close_body(1000)), Frame(CLOSE, close_body(1001))), Closed(close_body(1000))]
    yield "7 nothing after close: garbage", [
        Send(Frame(CLOSE, close_body(1000)), b"\xff" * 300), Closed(close_body(1000))]
    yield "7 message, then close", [
        Send(Frame(TEXT, "a"), Frame(CLOSE, close_body(1000))), Expect(TEXT, "a"), Closed(close_body(1000))]
    yield "7 close of one byte", [Send(Frame(CLOSE, b"a")), Fail(1002)]
    yield "7 close of 126", [Send(Frame(CLOSE, close_body(1000, "*" * 124))), Fail(1002)]
    yield "7 close with a broken reason", [
        Send(Frame(CLOSE, close_body(1000, b"\xce\xba\xed\xa0\x80edited"))), Fail(1007)]
    yield "7 close with a cut reason", [Send(Frame(CLOSE, close_body(1000, b"\xe2\x82"))), Fail(1007)]
    for code in (1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 1014, 3000, 3999, 4000, 4999):
        yield f"7 close code {code}", closing(code)
    for code in (0, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999, 5000, 65535):
        yield f"7 invalid close code {code}", [Send(Frame(CLOSE, close_body(code))), Fail(1002)]


def volume():
    for opcode, kind in ((TEXT, "text"), (BINARY, "binary")):
        for size in (256 << 10, 1 << 20, 4 << 20):
            yield f"9 {kind} of {size}", echo(opcode, b"v" * size)
        for part in (64, 1024, 65536):
            size = 1 << 20
            frames = [Frame(CONT if i else opcode, b"f" * part, fin=i + part == size) for i in range(0, size, part)]
            yield f"9 {kind} of {size} in fragments of {part}", [Send(*frames), Expect(opcode, b"f" * size), *closing()]
    yield "9 binary of 16 MiB", echo(BINARY, b"v" * (16 << 20))
    for chop in (64, 512, 2048):
        yield f"9 text of 256 KiB in writes of {chop}", echo(TEXT, b"c" * (256 << 10), chop)
    for size in (0, 16, 1024):
        yield f"9 a thousand messages of {size}", [
            Send(*[Frame(BINARY, b"m" * size)] * 1000), *[Expect(BINARY, b"m" * size)] * 1000, *closing()]
    frames = [Frame(CONT if at else TEXT, b"a" * min(1300, 65536 - at), fin=at + 1300 >= 65536)
              for at in range(0, 65536, 1300)]
    yield "10 text of 65536 in fragments of 1300", [Send(*frames), Expect(TEXT, b"a" * 65536), *closing()]


def limited():
    """Cases for an endpoint with at most 1000 bytes and 4 fragments a message."""
    yield "S message of exactly the limit", echo(BINARY, b"x" * 1000)
    yield "S message over the limit", [Send(Frame(BINARY, b"x" * 1001)), Fail(1009)]
    yield "S header of a message over the limit", [Send(Frame(BINARY, b"x" * 70000, cut=70000)), Fail(1009)]
    yield "S fragments over the limit in sum", [
        Send(Frame(BINARY, b"x" * 600, fin=False), Frame(CONT, b"x" * 401)), Fail(1009)]
    fragments = [Frame(CONT if i else BINARY, b"", fin=False) for i in range(4)]
    yield "S four fragments", [Send(*fragments[:3], Frame(CONT, b"x")), Expect(BINARY, b"x"), *closing()]
    yield "S five fragments", [Send(*fragments, Frame(CONT, b"x")), Fail(1008)]


def binary_only():
    yield "B binary passes", echo(BINARY, b"x")
    yield "B text is refused", [Send(Frame(TEXT, "x")), Fail(1003)]
