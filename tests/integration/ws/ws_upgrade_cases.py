"""The opening handshake (RFC 6455 section 4), right and wrong: requests for our server with the status
they deserve, and answers for our client with whether it may go on."""

UP, CONN, V13 = "Upgrade: websocket\r\n", "Connection: Upgrade\r\n", "Sec-WebSocket-Version: 13\r\n"
VPN = "Sec-WebSocket-Protocol: smartvpn.v1\r\n"
VERSION = ["Sec-WebSocket-Version: 13", "Upgrade: websocket"]


def requests(key_text):
    key = f"Sec-WebSocket-Key: {key_text}\r\n"

    def ask(fields, line="GET /echo HTTP/1.1", host="Host: vpn.example\r\n"):
        return f"{line}\r\n{host}{fields}\r\n".encode()

    right = UP + CONN + V13 + key
    yield [], [
        ("right", ask(right), 101, ["Upgrade: websocket", "Connection: Upgrade"]),
        ("names and tokens in any case", ask(right.replace("Upgrade: websocket", "UPGRADE: WebSocket").replace(
            "Connection: Upgrade", "connection: keep-alive, UPGRADE")), 101, []),
        ("connection in two fields", ask("Connection: keep-alive\r\n" + right), 101, []),
        ("query ignored", ask(right, "GET /echo?x=y HTTP/1.1"), 101, []),
        ("subprotocol among others", ask(right + "Sec-WebSocket-Protocol: a, smartvpn.v1 ,b\r\n"), 101, [
            "Sec-WebSocket-Protocol: smartvpn.v1"]),
        ("no version", ask(UP + CONN + key), 426, VERSION),
        ("version 8", ask(UP + CONN + key + "Sec-WebSocket-Version: 8\r\n"), 426, VERSION),
        ("version list", ask(UP + CONN + key + "Sec-WebSocket-Version: 13, 8\r\n"), 426, VERSION),
        ("no upgrade", ask(CONN + V13 + key), 426, VERSION),
        ("other upgrade", ask("Upgrade: h2c\r\n" + CONN + V13 + key), 426, VERSION),
        ("no connection", ask(UP + V13 + key), 400, []),
        ("connection without the token", ask(UP + "Connection: keep-alive\r\n" + V13 + key), 400, []),
        ("no key", ask(UP + CONN + V13), 400, []),
        ("short key", ask(UP + CONN + V13 + "Sec-WebSocket-Key: AAAA\r\n"), 400, []),
        ("key that is no base64", ask(UP + CONN + V13 + "Sec-WebSocket-Key: !!!!!!!!!!!!!!!!!!!!!!==\r\n"), 400, []),
        ("two keys", ask(right + key), 400, []),
        ("no host", ask(right, host=""), 400, []),
        ("two hosts", ask(right + "Host: b\r\n"), 400, []),
        ("body", ask(right + "Content-Length: 1\r\n"), 400, []),
        ("chunked body", ask(right + "Transfer-Encoding: chunked\r\n"), 400, []),
        ("HTTP/1.0", ask(right, "GET /echo HTTP/1.0"), 400, []),
        ("POST", ask(right, "POST /echo HTTP/1.1"), 405, ["Allow: GET"]),
        ("other path", ask(right, "GET / HTTP/1.1"), 404, []),
        ("health", ask("", "GET /healthz HTTP/1.1"), 200, ["Connection: close"]),
        ("bare LF", b"GET /echo HTTP/1.1\nHost: a\n\n", 400, []),
        ("folded line", ask("X: a\r\n b\r\n" + right), 400, []),
        ("too many fields", ask("A: b\r\n" * 100 + right), 431, []),
        ("too many bytes", ask("A: " + "b" * 9000 + "\r\n" + right), 431, []),
        ("TLS on a plain port", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\0" * 32, 400, []),
    ]
    yield ["--require-subprotocol"], [
        ("required subprotocol offered", ask(right + VPN), 101, ["Sec-WebSocket-Protocol: smartvpn.v1"]),
        ("required subprotocol not offered", ask(right), 400, []),
        ("other subprotocol offered", ask(right + "Sec-WebSocket-Protocol: chat\r\n"), 400, []),
    ]


def answers():
    line, proof = "HTTP/1.1 101 Switching Protocols\r\n", "Sec-WebSocket-Accept: PROOF\r\n"
    right = line + UP + CONN + proof
    yield "right", [], right + "\r\n", True
    yield "right with subprotocol", ["--require-subprotocol"], right + VPN + "\r\n", True
    yield "tokens in any case", [], line + (
        "upgrade: WebSocket\r\nCONNECTION: keep-alive, upgrade\r\n") + proof + "\r\n", True
    yield "refused", [], "HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n", False
    yield "redirected", [], "HTTP/1.1 302 Found\r\nLocation: /x\r\n\r\n", False
    yield "ordinary page", [], "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi", False
    yield "not HTTP", [], "SSH-2.0-OpenSSH_9.2\r\n", False
    yield "ends early", [], line + UP, False
    yield "no upgrade", [], line + CONN + proof + "\r\n", False
    yield "other upgrade", [], line + "Upgrade: h2c\r\n" + CONN + proof + "\r\n", False
    yield "no connection", [], line + UP + proof + "\r\n", False
    yield "no proof", [], line + UP + CONN + "\r\n", False
    yield "wrong proof", [], line + UP + CONN + "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n", False
    yield "two proofs", [], right + proof + "\r\n", False
    yield "extension not offered", [], right + "Sec-WebSocket-Extensions: permessage-deflate\r\n\r\n", False
    yield "subprotocol not offered", [], right + "Sec-WebSocket-Protocol: chat\r\n\r\n", False
    yield "subprotocol when none was offered", ["--no-subprotocol"], right + VPN + "\r\n", False
    yield "required subprotocol missing", ["--require-subprotocol"], right + "\r\n", False
    yield "too large", [], line + "A: " + "b" * 9000 + "\r\n\r\n", False
