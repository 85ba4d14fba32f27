"""Runs the checklist over raw sockets against ws_echo in both roles: as a client against its server,
and as a server against its client. Also the HTTP upgrade, right and wrong, in both roles."""

import base64
import hashlib
import itertools
import socket

import ws_cases
import ws_upgrade_cases
from ws_cases import Closed, Expect, Fail, Send
from ws_driver import EchoClient, EchoServer, Report, parse_arguments
from ws_frames import CLOSE, CONT, PING, TEXT, Frame, Wire, close_body
from ws_utf8_cases import utf8

KEY = "dGhlIHNhbXBsZSBub25jZQ=="
GUID = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"


def accept_for(key):
    return base64.b64encode(hashlib.sha1((key + GUID).encode()).digest()).decode()


def read_head(sock):
    data = b""
    while b"\r\n\r\n" not in data:
        more = sock.recv(65536)
        if not more:
            break
        data += more
    head, _, rest = data.partition(b"\r\n\r\n")
    return head.decode("latin-1"), rest


def shown(opcode, payload):
    return f"opcode {opcode} with {len(payload)} bytes {payload[:40]!r}"


def play(wire, steps, we_are_client):
    for step in steps:
        if isinstance(step, Send):
            wire.send(step.frames, step.chop)
            continue
        opcode, payload = wire.message()
        if isinstance(step, Expect):
            same = (opcode, payload) == (step.opcode, step.payload)
            assert same, f"got {shown(opcode, payload)}, not {shown(step.opcode, step.payload)}"
            continue
        assert opcode == CLOSE, f"got opcode {opcode}, {payload[:40]!r} instead of a Close frame"
        want = step.body if isinstance(step, Closed) else close_body(step.code)
        assert payload == want, f"close body {payload[:40]!r}, not {want!r}"
        if we_are_client:
            wire.expect_end()
    if not we_are_client:
        wire.sock.shutdown(socket.SHUT_WR)  # the server ends the stream first (RFC 6455 section 7.1.1)
        wire.expect_end()


def connect(port):
    sock = socket.create_connection(("127.0.0.1", port), timeout=20)
    sock.sendall(
        f"GET /echo HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        f"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {KEY}\r\n\r\n".encode()
    )
    head, rest = read_head(sock)
    assert head.startswith("HTTP/1.1 101 "), head
    assert f"Sec-WebSocket-Accept: {accept_for(KEY)}" in head, head
    return Wire(sock, True, rest)


def against_server(port, steps):
    wire = connect(port)
    with wire.sock:
        play(wire, steps, True)


def accept_client(listener):
    sock, _ = listener.accept()
    sock.settimeout(20)
    head, rest = read_head(sock)
    lines = head.split("\r\n")
    fields = dict((n.lower(), v.strip()) for n, _, v in (line.partition(":") for line in lines[1:]))
    return sock, lines[0], fields, rest


def against_client(echo, listener, flags, steps):
    client = EchoClient(echo, listener.getsockname()[1], *flags)
    try:
        sock, _, fields, rest = accept_client(listener)
        with sock:
            sock.sendall(
                "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                f"Sec-WebSocket-Accept: {accept_for(fields['sec-websocket-key'])}\r\n\r\n".encode()
            )
            play(Wire(sock, False, rest), steps, False)
    finally:
        status, line = client.wait()
    assert status == 0, f"client ended with {status}: {line}"
    last = steps[-1]
    if isinstance(last, Fail):
        assert line == f"close {last.code} us", line
    else:
        assert line.endswith(" peer"), line


def role_cases():
    yield "M wrong mask bit", lambda client: [Send(Frame(TEXT, "x", masked=not client)), Fail(1002)]
    yield "M wrong mask bit on a ping", lambda client: [Send(Frame(PING, "x", masked=not client)), Fail(1002)]
    yield "M wrong mask bit in a second fragment", lambda client: [
        Send(Frame(TEXT, "x", fin=False), Frame(CONT, "y", masked=not client)), Fail(1002)]


def groups():
    general = list(itertools.chain(
        ws_cases.framing(), ws_cases.pings(), ws_cases.reserved(), ws_cases.fragmentation(), ws_cases.lengths(),
        utf8(), ws_cases.close_cases(), ws_cases.volume()))
    yield [], [(name, lambda _, steps=steps: steps) for name, steps in general] + list(role_cases())
    yield ["--max-message", "1000", "--max-fragments", "4"], [
        (name, lambda _, steps=steps: steps) for name, steps in ws_cases.limited()]
    yield ["--binary-only"], [(name, lambda _, steps=steps: steps) for name, steps in ws_cases.binary_only()]


def server_upgrade(port, request, status, fields):
    with socket.create_connection(("127.0.0.1", port), timeout=20) as sock:
        sock.sendall(request)
        head, rest = read_head(sock)
        got = head.split(" ")[1] if head.startswith("HTTP/1.1 ") else head[:60]
        assert got == str(status), f"status {got}, not {status}"
        for field in fields:
            assert field.lower() in head.lower(), f"{field!r} is missing in {head!r}"
        if status != 101:
            while rest or (rest := sock.recv(65536)):
                rest = b""  # up to an orderly end
        elif rest:
            raise AssertionError(f"bytes behind the 101: {rest[:40]!r}")


def client_upgrade(echo, listener, flags, answer, works):
    client = EchoClient(echo, listener.getsockname()[1], *flags, path="/echo?a=b")
    try:
        sock, line, fields, rest = accept_client(listener)
        with sock:
            assert line == "GET /echo?a=b HTTP/1.1", line
            assert fields["upgrade"] == "websocket" and fields["connection"] == "Upgrade"
            assert fields["sec-websocket-version"] == "13" and fields["host"].startswith("127.0.0.1:")
            assert len(base64.b64decode(fields["sec-websocket-key"], validate=True)) == 16
            assert rest == b"", "spoke before the answer"
            sock.sendall(answer.replace("PROOF", accept_for(fields["sec-websocket-key"])).encode())
            if works:
                play(Wire(sock, False), ws_cases.echo(TEXT, b"hi"), False)
    finally:
        status, line = client.wait()
    assert status == (0 if works else 2), f"client ended with {status}: {line}"


def main():
    options = parse_arguments()
    report = Report("ws.conformance", options)
    listener = socket.create_server(("127.0.0.1", 0))
    listener.settimeout(20)
    for flags, cases in groups():
        with EchoServer(options.echo, *flags) as server:
            for name, steps in cases:
                report.run(f"server: {name}", against_server, server.port, steps(True))
        for name, steps in cases:
            report.run(f"client: {name}", against_client, options.echo, listener, flags, steps(False))
    for flags, cases in ws_upgrade_cases.requests(KEY):
        with EchoServer(options.echo, *flags) as server:
            for name, request, status, fields in cases:
                report.run(f"server: U {name}", server_upgrade, server.port, request, status, fields)
    for name, flags, answer, works in ws_upgrade_cases.answers():
        report.run(f"client: U {name}", client_upgrade, options.echo, listener, flags, answer, works)
    report.finish()


if __name__ == "__main__":
    main()
