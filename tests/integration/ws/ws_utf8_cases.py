"""Category 6 of the checklist: UTF-8 in text messages, valid and not, whole, fragmented, byte by byte,
and refused before the frame is complete."""

from ws_cases import Expect, Fail, Send, closing, echo
from ws_frames import CONT, TEXT, Frame

VALID = {
    "greek": "κόσμε".encode(),
    "mixed": "Hello-µ@ßöäüàá-UTF-8!!".encode(),
    "first of 1": b"\x00",
    "first of 2": b"\xc2\x80",
    "first of 3": b"\xe0\xa0\x80",
    "first of 4": b"\xf0\x90\x80\x80",
    "last of 1": b"\x7f",
    "last of 2": b"\xdf\xbf",
    "last of 3": b"\xef\xbf\xbf",
    "last of 4": b"\xf4\x8f\xbf\xbf",
    "before the surrogates": b"\xed\x9f\xbf",
    "after the surrogates": b"\xee\x80\x80",
    "replacement character": b"\xef\xbf\xbd",
    "noncharacters": b"\xef\xbf\xbe\xf0\x9f\xbf\xbe\xf4\x8f\xbf\xbf",
    "byte order mark": b"\xef\xbb\xbfx",
    "emoji after a word of ascii": b"01234567" + "😀".encode() + b"89",
}

INVALID = {
    "continuation alone": b"\x80",
    "last continuation alone": b"\xbf",
    "two continuations": b"\x80\xbf",
    "six continuations": b"\x80\xbf\x80\xbf\x80\xbf",
    "leads of 2 alone": b"\xc2 \xc3 \xdf ",
    "leads of 3 alone": b"\xe0 \xe8 \xef ",
    "leads of 4 alone": b"\xf0 \xf2 \xf4 ",
    "lead of 5": b"\xf8\x88\x80\x80\x80",
    "lead of 6": b"\xfc\x84\x80\x80\x80\x80",
    "fe": b"\xfe",
    "ff": b"\xff",
    "cut 2": b"\xc2",
    "cut 3 after 1": b"\xe2",
    "cut 3 after 2": b"\xe2\x82",
    "cut 4 after 1": b"\xf0",
    "cut 4 after 2": b"\xf0\x9f",
    "cut 4 after 3": b"\xf0\x9f\x98",
    "cut in the middle": b"a\xe2\x82b",
    "overlong slash of 2": b"\xc0\xaf",
    "overlong slash of 3": b"\xe0\x80\xaf",
    "overlong slash of 4": b"\xf0\x80\x80\xaf",
    "overlong last of 1": b"\xc1\xbf",
    "overlong last of 2": b"\xe0\x9f\xbf",
    "overlong last of 3": b"\xf0\x8f\xbf\xbf",
    "overlong zero of 2": b"\xc0\x80",
    "overlong zero of 3": b"\xe0\x80\x80",
    "overlong zero of 4": b"\xf0\x80\x80\x80",
    "first surrogate": b"\xed\xa0\x80",
    "last high surrogate": b"\xed\xaf\xbf",
    "first low surrogate": b"\xed\xb0\x80",
    "last surrogate": b"\xed\xbf\xbf",
    "surrogate pair": b"\xed\xa0\x80\xed\xb0\x80",
    "beyond the last": b"\xf4\x90\x80\x80",
    "far beyond the last": b"\xf5\x80\x80\x80",
    "greek, then a surrogate": "κόσμε".encode() + b"\xed\xa0\x80" + b"edited",
    "bad behind a long ascii run": b"a" * 300 + b"\xff" + b"a" * 300,
}


def fragments(data):
    frames = [Frame(CONT if i else TEXT, data[i : i + 1], fin=False) for i in range(len(data))]
    return [*frames, Frame(CONT)]


def utf8():
    for name, data in VALID.items():
        yield f"6 valid {name}", echo(TEXT, data)
        yield f"6 valid {name} in fragments of 1", [Send(*fragments(data)), Expect(TEXT, data), *closing()]
    for name, data in INVALID.items():
        yield f"6 invalid {name}", [Send(Frame(TEXT, data)), Fail(1007)]
    for name in ("greek, then a surrogate", "cut 4 after 3", "beyond the last", "overlong zero of 3"):
        data = INVALID[name]
        yield f"6 invalid {name}, byte by byte", [Send(Frame(TEXT, data), chop=1), Fail(1007)]
        yield f"6 invalid {name} in fragments of 1", [Send(*fragments(data)), Fail(1007)]
    # Refused early: the rest of the frame or message never comes.
    early = {"surrogate": b"\xed\xa0", "beyond the last": b"\xf4\x90", "overlong": b"\xe0\x80", "ff": b"\xff"}
    for name, bad in early.items():
        text = "κόσμε".encode() + bad
        yield f"6 early {name} inside a frame", [Send(Frame(TEXT, text + b"x" * 100, cut=100)), Fail(1007)]
        yield f"6 early {name} in a first fragment", [Send(Frame(TEXT, text, fin=False)), Fail(1007)]
    yield "6 early in a second fragment", [
        Send(Frame(TEXT, b"\xf0\x9f", fin=False), Frame(CONT, b"\x28", fin=False)), Fail(1007)]
    yield "6 cut character at the end of a fragmented message", [
        Send(Frame(TEXT, b"a", fin=False), Frame(CONT, b"\xe2\x82")), Fail(1007)]
