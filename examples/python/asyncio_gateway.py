"""asyncio_gateway.py - a VPN server in an event loop that asks a web service about every client, and serves
/metrics.

  python3 examples/python/asyncio_gateway.py http://127.0.0.1:8080/may-connect --state /var/lib/gateway
  --client alice

The service is asked GET /may-connect?client=alice&address=198.51.100.7:4711; the answer 200 lets the client
in, anything else keeps it out. The state directory keeps the server's key, its clients, and each new client's
configuration."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import logging
import os
import pathlib
import urllib.parse

import smartvpn


async def http_status(url: str, timeout: float = 3.0) -> str:
    """The status line's end, such as "200 OK", of a GET by HTTP/1.0."""
    parts = urllib.parse.urlsplit(url)
    reader, writer = await asyncio.wait_for(
        asyncio.open_connection(parts.hostname, parts.port or 80), timeout
    )
    try:
        writer.write(
            f"GET {parts.path or '/'}?{parts.query} HTTP/1.0\r\nHost: {parts.netloc}\r\n\r\n".encode()
        )
        line = await asyncio.wait_for(reader.readline(), timeout)
    finally:
        writer.close()
    return line.decode("latin-1").partition(" ")[2].strip()


async def serve_metrics(
    server: smartvpn.Server, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
) -> None:
    with contextlib.closing(writer), contextlib.suppress(OSError, asyncio.TimeoutError, ValueError):
        request = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 10)
        if request.startswith(b"GET /metrics "):
            head, body = "200 OK\r\nContent-Type: text/plain; version=0.0.4", server.stats.prometheus()
        else:
            head, body = "404 Not Found", ""
        writer.write(f"HTTP/1.0 {head}\r\nContent-Length: {len(body.encode())}\r\n\r\n{body}".encode())
        await writer.drain()


def kept_key(state: pathlib.Path) -> smartvpn.Keys:
    """The server's key, made at the first run: clients know a server by it."""
    path = state / "server.key"
    if not path.exists():
        write_private(path, smartvpn.generate_key())
    return smartvpn.Keys(noise_private_key=path.read_text(encoding="ascii").strip())


def write_private(path: pathlib.Path, text: str) -> None:
    with os.fdopen(
        os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8"
    ) as file:
        file.write(text)


async def main(options: argparse.Namespace) -> None:
    proxies = {"proxy_protocol": "v2", "trusted_proxies": options.proxy} if options.proxy else {}
    server = smartvpn.Server(
        listen=[smartvpn.WebSocket(port=options.port, **proxies)],
        keys=kept_key(options.state),
        registry=smartvpn.Registry("sqlite", str(options.state / "clients.db")),
        security=smartvpn.Security(authorize="required", authorize_timeout_ms=10000),
        forwarding=options.forwarding,
    )

    @server.authorize
    async def decide(request: smartvpn.Request) -> smartvpn.Decision:
        query = urllib.parse.urlencode({"client": request.client_id, "address": request.remote_addr or ""})
        status = await http_status(f"{options.service}?{query}")
        if status.startswith("200"):
            return smartvpn.Decision(True, valid=60)
        return smartvpn.Decision(False, detail=f"the service says {status}")

    async with server:
        metrics = await asyncio.start_server(
            lambda r, w: serve_metrics(server, r, w), options.host, options.metrics
        )
        for client_id in options.client:
            if client_id not in server.clients:
                write_private(options.state / f"{client_id}.json", server.clients.create(client_id).config)
        metrics_port = metrics.sockets[0].getsockname()[1]
        print(f"listening on {server.endpoints[0].address}, metrics on port {metrics_port}", flush=True)
        async with metrics:
            async for event in server.events(["session_up", "session_down", "connection_rejected"]):
                print(event.type, event.client_id, event.remote_addr, event.reason, event.detail, flush=True)


if __name__ == "__main__":
    logging.basicConfig()  # an authorize function that fails is logged, and denies
    parser = argparse.ArgumentParser(description="A VPN server that asks a web service about every client.")
    parser.add_argument("service", help="http:// URL to ask")
    parser.add_argument("--state", type=pathlib.Path, required=True, help="directory of keys and clients")
    parser.add_argument("--client", action="append", default=[], help="a client to create if it is missing")
    parser.add_argument("--port", type=int, default=8443)
    parser.add_argument("--proxy", action="append", help="a proxy, trusted to send PROXY v2")
    parser.add_argument("--host", default="127.0.0.1", help="address of /metrics")
    parser.add_argument("--metrics", type=int, default=9100, help="port of /metrics")
    parser.add_argument(
        "--forwarding", default="testing", help="testing, or tun with the right to make a device"
    )
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(main(parser.parse_args()))
