"""smartvpn serve --metrics: what Prometheus gets, and what others get."""

import os
import shutil
import socket
import subprocess
import sys
import time

from cli_driver import WAIT_S, main, same
from control_driver import read_all


class Metrics:
    def __init__(self, bench, address="127.0.0.1:0"):
        path = bench.file("server.json", bench.server_config())
        self.server = bench.start("serve", "--config", path, "--metrics", address)
        self.url = self.server.error_line("metrics on ").split()[-1]
        host, port = self.url.removeprefix("http://").removesuffix("/metrics").rsplit(":", 1)
        self.address = (host.strip("[]"), int(port))

    def connect(self):
        return socket.create_connection(self.address, WAIT_S)

    def ask(self, data):
        with self.connect() as stream:
            stream.sendall(data)
            return read_all(stream)

    def get(self, target="/metrics", method="GET", version="1.1"):
        return self.ask(f"{method} {target} HTTP/{version}\r\nHost: x\r\n\r\n".encode())

    def status(self, data):
        return int(self.ask(data).split()[1])


def test_prometheus_can_read_it(bench):
    metrics = Metrics(bench)
    head, body = metrics.get().split(b"\r\n\r\n", 1)
    assert head.startswith(b"HTTP/1.1 200 OK\r\n"), head
    assert b"Content-Type: text/plain; version=0.0.4; charset=utf-8" in head, head
    assert f"Content-Length: {len(body)}".encode() in head, head
    assert b"\nsmartvpn_clients 1\n" in body, body
    if shutil.which("promtool"):
        done = subprocess.run(["promtool", "check", "metrics"], input=body, capture_output=True, timeout=WAIT_S)
        same((done.returncode, done.stderr.decode()), (0, ""))


def test_curl_can_read_it(bench):
    done = subprocess.run(["curl", "-sSf", Metrics(bench).url], capture_output=True, text=True, timeout=WAIT_S)
    same((done.returncode, done.stderr), (0, ""))
    assert "smartvpn_connections_total" in done.stdout, done.stdout


def test_a_port_alone_is_loopbacks_and_both_families_can_be_bound(bench):
    same(Metrics(bench, "0").address[0], "127.0.0.1")
    metrics = Metrics(bench, "[::1]:0")
    same(metrics.address[0], "::1")
    assert metrics.get().startswith(b"HTTP/1.1 200 ")


def test_other_paths_and_methods_are_refused_by_name(bench):
    metrics = Metrics(bench)
    for target in ("/", "/metrics/", "/metricsx", "/../metrics", "*", "/%6detrics"):
        assert metrics.get(target).startswith(b"HTTP/1.1 404 "), target
    for target in ("/metrics?a=b", "http://elsewhere/metrics", "/metrics"):
        assert metrics.get(target, version="1.0").startswith(b"HTTP/1.1 200 "), target
    for method in ("POST", "PUT", "DELETE", "get", "OPTIONS"):
        answer = metrics.get(method=method)
        assert answer.startswith(b"HTTP/1.1 405 ") and b"\r\nAllow: GET, HEAD\r\n" in answer, answer
    head = metrics.get(method="HEAD")
    assert head.endswith(b"\r\n\r\n") and head.startswith(b"HTTP/1.1 200 ") and b"Content-Length: 0" not in head, head


def test_what_is_no_request_is_a_bad_one(bench):
    metrics = Metrics(bench)
    for head in (
        "GET /metrics",
        "GET  HTTP/1.1",
        "GET /metrics HTTP/2.0",
        "GET /met rics HTTP/1.1\r\nHost: x",
        "GET /metrics HTTP/1.1",
        "GET /metrics HTTP/1.1\r\nHost: x\r\nHost: y",
        "GET /metrics HTTP/1.1\r\nHost : x",
        "GET /metrics HTTP/1.1\r\nHost: x\r\n folded: y",
        "GET /metrics HTTP/1.1\r\nHost: x\r\nno field",
        "GET /metrics HTTP/1.1\r\nHost: x\ry",
        "GET /metrics HTTP/1.1\r\nHost: x\nA: b",
        "G\x00T /metrics HTTP/1.1\r\nHost: x",
        "\r\nGET /metrics HTTP/1.1\r\nHost: x",
    ):
        same((head, metrics.status(head.encode() + b"\r\n\r\n")), (head, 400))
    same(metrics.status(b"\x16\x03\x01\x02\x00" + os.urandom(9000)), 431)
    same(metrics.status(b"GET /metrics HTTP/1.1\r\nA: " + b"x" * 9000), 431)
    assert metrics.get().startswith(b"HTTP/1.1 200 ")


def test_a_request_may_come_byte_by_byte(bench):
    metrics = Metrics(bench)
    with metrics.connect() as stream:
        for byte in b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n":
            stream.sendall(bytes([byte]))
        assert read_all(stream).startswith(b"HTTP/1.1 200 ")


def test_two_hundred_that_dawdle_do_not_keep_one_that_asks_waiting(bench):
    metrics = Metrics(bench)
    dawdlers = []
    for i in range(200):
        stream = metrics.connect()
        stream.sendall(b"GET /metr" if i % 2 else b"")
        dawdlers.append(stream)
    for _ in range(5):
        assert metrics.get().startswith(b"HTTP/1.1 200 ")
    open_fds = len(os.listdir(f"/proc/{metrics.server.process.pid}/fd"))
    assert open_fds < 100, f"{open_fds} descriptors are open"
    begin = time.monotonic()
    for stream in dawdlers:
        same(read_all(stream), b"")  # none is kept, though none ends by itself
        stream.close()
    assert time.monotonic() - begin < WAIT_S
    same(metrics.server.stop(), 0)


def test_a_reader_that_takes_nothing_does_not_hold_up_the_end(bench):
    metrics = Metrics(bench)
    with metrics.connect() as stream:
        stream.sendall(b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n" * 100)
        assert metrics.get().startswith(b"HTTP/1.1 200 ")
        same(metrics.server.stop(), 0)


def test_addresses_that_cannot_be_bound(bench):
    path = bench.file("server.json", bench.server_config())
    for address in ("", "x", "127.0.0.1", "localhost:9", "127.0.0.1:70000", "::1:80", "[::1]", ":80", "1.2.3.4:-1"):
        done = bench.run("serve", "--config", path, f"--metrics={address}")
        same((address, done.returncode), (address, 2))
    with socket.create_server(("127.0.0.1", 0)) as taken:
        done = bench.run("serve", "--config", path, "--metrics", f"127.0.0.1:{taken.getsockname()[1]}")
    same(done.returncode, 1)
    assert "Address already in use" in done.stderr, done.stderr


if __name__ == "__main__":
    main("cli.metrics", sys.modules[__name__])
