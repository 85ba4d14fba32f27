"""Debian's python3-websockets against our upgrade and framing, as client of our server and as server
of our client: echo of every size border, fragments, pings, close codes, subprotocol, a declined
permessage-deflate offer."""

import asyncio
import os

from ws_driver import EchoClient, EchoServer, Report, parse_arguments, skip

try:
    import websockets
except ImportError:
    skip("python3-websockets is not installed")

SIZES = (0, 1, 125, 126, 127, 65535, 65536, 1 << 20)
BIG = 16 << 20


async def echo_sizes(ws):
    for size in SIZES:
        data = os.urandom(size)
        await ws.send(data)
        assert await ws.recv() == data, f"binary of {size}"
        text = ("aß€😀" * (size // 4 + 1))[:size]
        await ws.send(text)
        assert await ws.recv() == text, f"text of {size}"


async def echo_fragments(ws):
    parts = [os.urandom(n) for n in (1, 0, 126, 70000, 5)]
    await ws.send(iter(parts))
    assert await ws.recv() == b"".join(parts)
    await ws.send(iter(["a", "€uro", "", "😀"]))
    assert await ws.recv() == "a€uro😀"


async def their_ping(ws):
    for body in (b"", b"x" * 125):
        await asyncio.wait_for(await ws.ping(body), 10)
    await ws.pong(b"unsolicited")  # taken, and reported because of --commands
    assert await ws.recv() == "!pong unsolicited"
    await ws.send("still there")
    assert await ws.recv() == "still there"


async def our_ping(ws):
    await ws.send("!ping abc")  # their library answers it, and ours reports the pong
    assert await asyncio.wait_for(ws.recv(), 10) == "!pong abc"


async def pipelined(ws):
    messages = [os.urandom(i % 300) for i in range(2000)]

    async def send():
        for message in messages:
            await ws.send(message)

    sender = asyncio.ensure_future(send())
    for message in messages:
        assert await ws.recv() == message
    await sender


TALKS = (echo_sizes, echo_fragments, their_ping, our_ping, pipelined)


async def their_close(ws, code):
    await ws.close(code, "bye")
    assert ws.close_code == code, f"echoed {ws.close_code}"


async def our_close(ws, code):
    await ws.send(f"!close {code} bye now")
    try:
        await asyncio.wait_for(ws.recv(), 10)
        raise AssertionError("a message after the Close frame")
    except websockets.exceptions.ConnectionClosed:
        pass
    assert (ws.close_code, ws.close_reason) == (code, "bye now"), (ws.close_code, ws.close_reason)


async def too_big(ws, _):
    await ws.send(b"x" * 2000)
    try:
        await asyncio.wait_for(ws.recv(), 10)
        raise AssertionError("an answer to a message over the limit")
    except websockets.exceptions.ConnectionClosed:
        pass
    assert ws.close_code == 1009, ws.close_code


CLOSES = [(their_close, c) for c in (1000, 1001, 3000, 4999)] + [(our_close, c) for c in (1000, 1008, 4000)]


def as_client(report, echo):
    def run(name, url, body, **options):
        async def connect():
            async with websockets.connect(url, max_size=BIG, **options) as ws:
                assert ws.extensions == [], ws.extensions
                await body(ws)

        report.run(f"their client: {name}", lambda: asyncio.run(connect()))

    with EchoServer(echo, "--commands") as server:
        url = f"ws://127.0.0.1:{server.port}/echo"
        for talk in TALKS:
            run(talk.__name__, url, talk)
        for close, code in CLOSES:
            run(f"{close.__name__} {code}", url, lambda ws, c=close, n=code: c(ws, n))
        run("no compression offered", url, echo_sizes, compression=None)

        async def chosen(ws):
            assert ws.subprotocol == "smartvpn.v1", ws.subprotocol

        run("subprotocol", url, chosen, subprotocols=["chat", "smartvpn.v1"])

        async def missing():
            try:
                async with websockets.connect(f"ws://127.0.0.1:{server.port}/other"):
                    raise AssertionError("accepted")
            except websockets.exceptions.InvalidStatusCode as refused:
                assert refused.status_code == 404, refused.status_code

        report.run("their client: other path", lambda: asyncio.run(missing()))
    with EchoServer(echo, "--max-message", "1000") as server:
        run("too_big", f"ws://127.0.0.1:{server.port}/echo", lambda ws: too_big(ws, 0))


def as_server(report, echo):
    def run(name, body, *flags, status=0, **options):
        async def serve():
            result = asyncio.get_running_loop().create_future()

            async def handler(ws, *_):
                try:
                    assert ws.extensions == [], ws.extensions
                    await body(ws)
                    result.done() or result.set_result(None)
                except Exception as error:
                    result.done() or result.set_exception(error)

            async with websockets.serve(handler, "127.0.0.1", 0, max_size=BIG, **options) as server:
                client = EchoClient(echo, server.sockets[0].getsockname()[1], "--commands", *flags)
                ended = asyncio.get_running_loop().run_in_executor(None, client.wait)
                if status == 0:
                    await asyncio.wait_for(result, 60)
                else:
                    result.add_done_callback(lambda done: done.exception())  # not this end's concern
                got, line = await ended
            assert got == status, f"client ended with {got}: {line}"

        report.run(f"their server: {name}", lambda: asyncio.run(serve()))

    for talk in TALKS:
        run(talk.__name__, talk)
    for close, code in CLOSES:
        run(f"{close.__name__} {code}", lambda ws, c=close, n=code: c(ws, n))
    run("too_big", lambda ws: too_big(ws, 0), "--max-message", "1000")

    async def chosen(ws):
        assert ws.subprotocol == "smartvpn.v1", ws.subprotocol

    run("subprotocol", chosen, "--require-subprotocol", subprotocols=["smartvpn.v1"])
    run("no subprotocol chosen", chosen, "--require-subprotocol", status=2)


def main():
    options = parse_arguments()
    report = Report("ws.python_websockets", options)
    as_client(report, options.echo)
    as_server(report, options.echo)
    report.finish()


if __name__ == "__main__":
    main()
