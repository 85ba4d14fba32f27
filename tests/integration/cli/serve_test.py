"""smartvpn serve: events, signals, and readers of its output that misbehave."""

import json
import os
import signal
import socket
import ssl
import subprocess
import sys
import time

from cli_driver import WAIT_S, main, same


def split(address):
    host, port = address.rsplit(":", 1)
    return host, int(port)


def healthy(address):
    with socket.create_connection(split(address), WAIT_S) as stream:
        stream.sendall(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
        return stream.recv(64).startswith(b"HTTP/1.1 200")


def test_listening_is_the_first_line_and_has_the_real_port(bench):
    server = bench.start("serve", "--config", bench.file("server.json", bench.server_config()), "--events")
    event = server.line("stdout", json.loads)
    same((event["type"], event["listener"], event["transport"]), ("listening", 0, "websocket"))
    assert split(event["address"])[1] != 0 and healthy(event["address"])


def test_without_events_it_talks_to_people_on_standard_error(bench):
    server = bench.start("serve", "--config", bench.file("server.json", bench.server_config()))
    address = server.error_line("listening on ").split()[2]
    assert healthy(address)
    same(server.stop(), 0)
    same(server.lines["stdout"].get(timeout=WAIT_S), None)


def test_both_signals_end_it_with_0(bench):
    for number in (signal.SIGTERM, signal.SIGINT):
        server, _ = bench.serve()
        server.signal(number)
        same(server.exit_code(), 0)


def test_a_live_session_is_told_and_the_end_awaits_no_more_than_the_drain(bench):
    server, address = bench.serve(None, "--drain", "1")
    client = bench.connect(address, "--events")
    client.event("session_up")
    same(server.stop(), 0)
    same(server.event("session_down")["reason"], "server_stopping")
    same(client.event("session_down")["reason"], "server_stopping")


def test_a_second_signal_cuts_the_drain_short(bench):
    server, address = bench.serve(None, "--drain", "3600")
    bench.connect(address)
    server.event("session_up")
    server.signal(signal.SIGTERM)
    # Draining has begun: health checks say so.
    deadline = time.monotonic() + WAIT_S
    while healthy(address) and time.monotonic() < deadline:
        pass
    server.signal(signal.SIGINT)
    same(server.exit_code(), 0)


def test_a_port_that_is_taken_is_a_runtime_failure_with_its_path(bench):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        config = bench.server_config()
        config["listen"][0]["port"] = taken.getsockname()[1]
        done = bench.run("serve", "--config", bench.file("server.json", config))
    same((done.returncode, done.stdout), (1, ""))
    assert done.stderr.startswith("smartvpn: /listen/0") and "Address already in use" in done.stderr, done.stderr


def test_hangup_reads_certificates_again_and_survives_bad_ones(bench):
    def certificate(name):
        chain, key = (os.path.join(bench.folder, part) for part in ("chain.pem", "key.pem"))
        kind = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]
        command = ["openssl", "req", "-x509", *kind, "-subj", f"/CN={name}", "-out", chain, "-keyout", key]
        subprocess.run(command, check=True, capture_output=True)
        return chain, key

    def shown(address):
        return ssl.get_server_certificate(split(address))

    def wait_for_change(address, old):
        deadline = time.monotonic() + WAIT_S
        while shown(address) == old:
            assert time.monotonic() < deadline, "still the old certificate"
        return shown(address)

    chain, key = certificate("first")
    config = bench.server_config()
    config["listen"][0]["tls"] = {"certificate": chain, "key": key}
    server, address = bench.serve(config)
    first = shown(address)
    certificate("second")
    server.signal(signal.SIGHUP)
    second = wait_for_change(address, first)
    bench.file("chain.pem", "no certificate")
    server.signal(signal.SIGHUP)
    assert server.error_line("/listen/0/tls").startswith("smartvpn: ")
    same(shown(address), second)
    same(server.stop(), 0)


def serve_into_a_pipe(bench, **changes):
    """A server whose events nobody reads but for the first; gives it, its address and the pipe."""
    reading, writing = os.pipe()
    config = bench.file("server.json", bench.server_config(**changes))
    server = bench.start("serve", "--config", config, "--events", stdout=writing)
    os.close(writing)
    return server, json.loads(os.read(reading, 4096))["address"], reading


def test_a_reader_that_leaves_does_not_end_it(bench):
    server, address, reading = serve_into_a_pipe(bench)
    os.close(reading)
    for _ in range(3):
        assert healthy(address)
    client = bench.connect(address, "--events")
    client.event("session_up")
    same(client.stop(), 0)
    same(server.stop(), 0)


def test_a_reader_that_sleeps_does_not_hold_up_sessions_or_the_end(bench):
    server, address, reading = serve_into_a_pipe(bench, security={"new_connections_per_ip_per_minute": 1000000})
    for _ in range(800):  # an event of 150 bytes for each: more than a pipe holds
        assert healthy(address)
    client = bench.connect(address, "--events")
    client.event("session_up")
    same(client.stop(), 0)
    same(server.stop(), 0)
    os.close(reading)


def test_standard_descriptors_that_are_closed_at_the_start_never_become_sockets(bench):
    with socket.create_server(("127.0.0.1", 0)) as listening:
        listen = [{"transport": "websocket", "fd": listening.fileno()}]
        config = bench.file("server.json", bench.server_config(listen=listen))
        command = f'exec "{bench.command}" serve --config "{config}" --events 0<&- 1>&- 2>&-'
        server = bench.start_shell(command, pass_fds=[listening.fileno()])
        assert healthy("%s:%d" % listening.getsockname())
        links = [os.readlink(f"/proc/{server.process.pid}/fd/{fd}") for fd in range(3)]
    same(links, ["/dev/null"] * 3)
    same(server.stop(), 0)


if __name__ == "__main__":
    main("cli.serve", sys.modules[__name__])
