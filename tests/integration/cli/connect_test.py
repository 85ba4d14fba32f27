"""smartvpn connect: sessions over loopback, loss and return, refusals."""

import json
import signal
import sys

from cli_driver import main, same


def test_both_ends_report_the_session_with_the_same_addresses(bench):
    server, address = bench.serve()
    for mode in ("testing", "host"):
        client = bench.connect(address, "--events", forwarding={"mode": mode})
        here, there = client.event("session_up"), server.event("session_up", client_id="alice")
        same(here["addresses"], ["10.8.0.2", "fd00:8::2"])
        same(there["addresses"], here["addresses"])
        same(here["peer_addr"], address)
        same(there["remote_addr"], there["peer_addr"])
        same(client.stop(), 0)
        same(client.event("session_down")["reason"], "peer_closed")
        same(server.event("session_down")["session_id"], there["session_id"])
    same(server.stop(), 0)


def test_without_events_it_talks_to_people_on_standard_error(bench):
    server, address = bench.serve()
    client = bench.connect(address)
    addresses = server.event("session_up")["addresses"]
    line = client.error_line("connected to ")
    assert address in line and all(text in line for text in addresses), line
    same(client.stop(), 0)
    client.error_line("disconnected")
    same(client.lines["stdout"].get(), None)


def test_interrupt_and_hangup_end_it_with_0(bench):
    _, address = bench.serve()
    for number in (signal.SIGINT, signal.SIGHUP):
        client = bench.connect(address, "--events")
        client.event("session_up")
        client.signal(number)
        same(client.exit_code(), 0)


def test_it_comes_back_when_the_server_does(bench):
    first, address = bench.serve(None, "--drain", "0")
    client = bench.connect(address, "--events")
    client.event("session_up")
    same(first.stop(), 0)
    client.event("session_down", reason="server_stopping")
    client.event("log", message="no connection")
    config = bench.server_config()
    config["listen"][0]["port"] = int(address.rsplit(":", 1)[1])  # nobody else was given it meanwhile
    bench.serve(config)
    same(client.event("session_up")["peer_addr"], address)
    same(client.stop(), 0)


def test_it_waits_for_a_server_that_is_not_there_until_told_to_stop(bench):
    server, address = bench.serve()
    same(server.stop(), 0)
    client = bench.connect(address, "--events")
    for _ in range(3):
        same(client.event("log", message="no connection")["reason"], "transport_error")
    same(client.stop(), 0)


def test_a_refusal_for_good_ends_it_with_1_and_the_reason(bench):
    config = bench.server_config()
    config["clients"][0]["enabled"] = False
    server, address = bench.serve(config)
    client = bench.connect(address)
    same(client.exit_code(), 1)
    client.error_line("smartvpn: no further attempt is made: client_disabled")
    same(server.event("connection_rejected")["reason"], "client_disabled")


def test_a_second_device_with_the_key_replaces_the_first_for_good(bench):
    server, address = bench.serve()
    first = bench.connect(address, "--events")
    first.event("session_up")
    second = bench.connect(address, "--events")
    second.event("session_up")
    same(first.exit_code(), 1)
    same(first.event("session_down")["reason"], "replaced")
    first.error_line("replaced")
    same(second.process.poll(), None)
    same(second.stop(), 0)
    same(server.stop(), 0)


def test_without_reconnect_a_loss_ends_it_with_1(bench):
    server, address = bench.serve(None, "--drain", "0")
    client = bench.connect(address, "--events", reconnect={"enabled": False})
    client.event("session_up")
    same(server.stop(), 0)
    same(client.exit_code(), 1)
    client.error_line("server_stopping")


def test_a_key_the_server_does_not_know_gets_no_session_and_no_reason(bench):
    server, address = bench.serve()
    bench.client_key = bench.keys()
    client = bench.connect(address, "--events")
    same(server.event("connection_rejected")["reason"], "unknown_client")
    same(client.event("log", message="no connection")["reason"], "handshake_failed")
    same(client.stop(), 0)


def test_the_name_of_the_device_is_checked_before_anything_is_opened(bench):
    config = bench.file("tunnel.json", bench.tunnel_config("127.0.0.1:1"))
    done = bench.run("connect", "--config", config, "--tun", "x" * 16)
    same(done.returncode, 2)
    assert done.stderr.startswith("smartvpn: /tun/name: "), done.stderr


def test_events_are_one_json_object_a_line(bench):
    server, address = bench.serve()
    client = bench.connect(address, "--events")
    client.event("session_up")
    same(client.stop(), 0)
    same(server.stop(), 0)
    seen = 0
    while (line := server.lines["stdout"].get()) is not None:
        event = json.loads(line)
        assert isinstance(event["type"], str) and isinstance(event["time"], int), line
        seen += 1
    assert seen >= 3, seen


if __name__ == "__main__":
    main("cli.connect", sys.modules[__name__])
