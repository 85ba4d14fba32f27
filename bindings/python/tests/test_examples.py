"""The programs under examples/python run, serve a real tunnel through a PROXY v2 header, and end at
Ctrl-C."""

from __future__ import annotations

import contextlib
import http.server
import itertools
import json
import os
import pathlib
import re
import signal
import subprocess
import sys
import threading
import urllib.error
import urllib.parse
import urllib.request
from typing import Any, Iterator, List

import pytest

import smartvpn
from support import PATIENCE

EXAMPLES = pathlib.Path(__file__).resolve().parents[3] / "examples" / "python"
HEADER = smartvpn.TunnelProxyProtocol("v2", source="203.0.113.7:4711", destination="192.0.2.1:443")


@contextlib.contextmanager
def running(name: str, *arguments: str) -> "Iterator[subprocess.Popen[str]]":
    """The example, ended by Ctrl-C: it must end with 0 and nothing on stderr."""
    package = os.path.dirname(os.path.dirname(os.path.abspath(smartvpn.__file__)))
    # A background process of a shell ignores Ctrl-C, and so would its children.
    process = subprocess.Popen(
        [sys.executable, str(EXAMPLES / name), *arguments],
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": package},
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )
    stuck = threading.Timer(3 * PATIENCE, process.kill)
    stuck.start()
    try:
        yield process
        process.send_signal(signal.SIGINT)
        _, err = process.communicate()
        assert (process.returncode, err) == (0, "")
    finally:
        stuck.cancel()
        process.kill()
        process.communicate()


def line_of(process: "subprocess.Popen[str]", begins: str) -> str:
    assert process.stdout is not None
    for line in process.stdout:
        if line.startswith(begins):
            return line.strip()
    raise AssertionError(f"no line begins with {begins!r}: {process.stderr.read() if process.stderr else ''}")


def dial(config: Any, port: str) -> smartvpn.Tunnel:
    return smartvpn.Tunnel(
        config,
        server=f"ws://127.0.0.1:{port}/tunnel",
        forwarding="testing",
        proxy_protocol=HEADER,
        connect_timeout=PATIENCE,
    )


def test_embed_prints_real_addresses() -> None:
    with running("embed.py", "0", "127.0.0.0/8", "::ffff:127.0.0.0/104") as process:
        port = re.findall(r":(\d+);", line_of(process, "listening on"))[0]
        assert process.stdout is not None
        text = ""
        for line in process.stdout:
            text += line
            if line == "}\n":
                break
        with dial(json.loads(text), port):
            assert line_of(process, "session_up") == "session_up alice-laptop 203.0.113.7:4711"
        assert line_of(process, "session_down").startswith("session_down alice-laptop 203.0.113.7:4711 ")


def test_dial_pings_through_the_tunnel_as_whom_it_was_told(tmp_path: pathlib.Path) -> None:
    with running("embed.py", "0", "127.0.0.0/8", "::1") as process:
        assert process.stdout is not None
        shown = tmp_path / "embed.log"
        shown.write_text("".join(itertools.takewhile("}\n".__ne__, process.stdout)) + "}\n", encoding="utf-8")
        with running("dial.py", str(shown), "--real", "198.51.100.7:4711", "--count", "1") as other:
            assert line_of(other, "28 bytes from 10.8.0.1 in ")
            assert other.wait(PATIENCE) == 0
        assert line_of(process, "session_up") == "session_up alice-laptop 198.51.100.7:4711"


class Service(http.server.BaseHTTPRequestHandler):
    """Lets alice in and nobody else."""

    asked: List[str] = []

    def do_GET(self) -> None:
        query = urllib.parse.parse_qs(urllib.parse.urlsplit(self.path).query)
        self.asked.append(f"{query['client'][0]} {query['address'][0]}")
        self.send_response(200 if query["client"] == ["alice"] else 402)
        self.end_headers()

    def log_message(self, *_: Any) -> None:
        """Says nothing."""


@pytest.fixture
def service() -> Iterator[str]:
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Service)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_address[1]}/may-connect"
    server.shutdown()
    thread.join()
    server.server_close()


def test_gateway_asks_the_service_and_serves_metrics(service: str, tmp_path: pathlib.Path) -> None:
    arguments = [
        service,
        "--state",
        str(tmp_path),
        "--port",
        "0",
        "--metrics",
        "0",
        "--client",
        "alice",
        "--client",
        "mallory",
        "--proxy",
        "127.0.0.1",
    ]
    with running("asyncio_gateway.py", *arguments) as process:
        port, metrics = re.findall(r":(\d+), metrics on port (\d+)", line_of(process, "listening on"))[0]
        with dial((tmp_path / "alice.json").read_text(), port):
            assert line_of(process, "session_up").startswith("session_up alice 203.0.113.7:4711")
            with urllib.request.urlopen(f"http://127.0.0.1:{metrics}/metrics", timeout=PATIENCE) as answer:
                text = answer.read().decode()
            assert "# TYPE smartvpn_sessions gauge" in text
            with pytest.raises(urllib.error.HTTPError, match="404"):
                urllib.request.urlopen(f"http://127.0.0.1:{metrics}/", timeout=PATIENCE)
            mallory = dial((tmp_path / "mallory.json").read_text(), port)
            mallory.start()
            rejected = line_of(process, "connection_rejected")
            mallory.close()
            assert "authorize_denied the service says 402" in rejected
        assert Service.asked[:2] == ["alice 203.0.113.7:4711", "mallory 203.0.113.7:4711"]
    key = (tmp_path / "server.key").read_text()
    assert (tmp_path / "server.key").stat().st_mode & 0o777 == 0o600
    with running("asyncio_gateway.py", *arguments) as process:  # the same key, and the same clients
        port = re.findall(r":(\d+), metrics", line_of(process, "listening on"))[0]
        with dial((tmp_path / "alice.json").read_text(), port):
            assert line_of(process, "session_up").startswith("session_up alice 203.0.113.7:4711")
    assert (tmp_path / "server.key").read_text() == key
