"""A relay in service: health checks, headers of load balancers, changes while it runs, metrics, and its end."""
import contextlib
import csv
import itertools
import json
import os
import signal
import socket
import subprocess
import sys
import time

from ends import LOCAL, NOOP, PROXY, VPC_ENDPOINT_ID, Target, client, header, read_tlvs, tlv
from front_ends import Web, haproxy
from relay_bench import (WAIT_S, Bench, curl, listener, main, need, on_loopback, refused, relay_config, route, run,
                         same, wait_until)

VECTORS = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../vectors/proxy_protocol_headers.json")
STATISTICS = """
listen statistics
  mode http
  bind 127.0.0.1:{port}
  stats enable
  stats uri /
"""


def health(port):
    """HAProxy's opinion of its server."""
    rows = csv.DictReader(run(["curl", "-sS", f"http://127.0.0.1:{port}/;csv"]).removeprefix("# ").splitlines())
    return next(row["status"] for row in rows if row["svname"] == "next")


def checked(bench, frontend=""):
    """A relay that HAProxy checks every 50 ms, where an address may come twice; HAProxy's port, and health()'s."""
    web, statistics = Web(bench), bench.free_port()
    limits = {"connections_per_ip": 2, "new_connections_per_ip_per_minute": 2}
    relay = bench.relay(relay_config([listener("v2")], [route(web.port, "v2")]) | {"limits": limits})
    front = haproxy(bench, on_loopback(relay.port), f"check inter 50ms fall 2 rise 2 send-proxy-v2",
                    frontend=frontend, sections=STATISTICS.format(port=statistics))
    return relay, front, statistics


def check_limits_of_clients(relay, front, statistics):
    same(health(statistics), "UP")
    for _ in range(2):
        same(*curl(f"http://127.0.0.1:{front}/", "127.0.0.1"))  # the address that HAProxy itself has
    assert refused(f"http://127.0.0.1:{front}/"), "clients have no limit"
    same(health(statistics), "UP")
    same(relay.program.stop(), 0)
    wait_until(lambda: health(statistics) == "DOWN", "HAProxy sees that it is gone")


def test_health_checks_pass_to_the_server_as_local_and_use_up_no_clients_limit(bench):
    relay, front, statistics = checked(bench, "option httpchk GET /\n  http-check expect status 200")
    for _ in range(20):  # ten times what one address may
        assert "remote_addr" not in relay.event("connection_accepted")
    check_limits_of_clients(relay, front, statistics)


def test_health_checks_that_only_connect_find_it_up_and_use_up_no_clients_limit(bench):
    relay, front, statistics = checked(bench)
    for _ in range(20):
        relay.event("connection_closed")
    check_limits_of_clients(relay, front, statistics)


def handed_on(bench, relay, target, sent):
    """What a target is told of a connection that begins with this header."""
    incoming = client(relay.port, data=sent + b"hello")
    outgoing = target.accept()
    told = outgoing.read_header()
    same(outgoing.read(5), b"hello")
    incoming.close()
    outgoing.close()
    return told, relay.event("connection_accepted")


def pass_headers_on(bench, unknown):
    target = Target()
    tlvs = {"unknown": unknown, "unique_id": False}
    return bench.relay(relay_config([listener("v2")], [route(target.port, "v2", proxy_tlvs=tlvs)])), target


def test_headers_recorded_from_aws_are_taken_and_their_endpoint_handed_on(bench):
    with open(VECTORS) as file:
        recorded = [one for one in json.load(file)["headers"] if one["name"].startswith("aws-nlb-vpc-endpoint")]
    assert recorded
    for unknown, one in itertools.product([False, True], recorded):
        relay, target = pass_headers_on(bench, unknown)
        sent = bytes.fromhex(one["hex"])
        (command, family, block), accepted = handed_on(bench, relay, target, sent)
        same((command, family, block[:12]), (PROXY, 0x11, sent[16:28]))
        same(accepted["remote_addr"], one["source"])
        assert any("vpce-" in value for value in accepted["tlvs"].values()), accepted
        tlvs = {VPC_ENDPOINT_ID: read_tlvs(sent[28:])[VPC_ENDPOINT_ID]} if unknown else {}
        same(read_tlvs(block[12:]), tlvs)


def test_headers_without_an_address_are_taken_and_stay_without_one(bench):
    with open(VECTORS) as file:
        headers = json.load(file)["headers"]
    recorded = [bytes.fromhex(one["hex"]) for one in headers if one["name"] == "aws-nlb-health-check"]
    assert recorded
    endpoint = tlv(VPC_ENDPOINT_ID, b"\x01vpce-08d2bf15fac5001c9")
    padding = tlv(NOOP, bytes(20))
    forms = [(LOCAL, {}, form) for form in recorded]
    forms += [(LOCAL, {}, header(LOCAL, 0)), (LOCAL, {}, header(LOCAL, 0x11, bytes(12)))]
    forms += [(command, read_tlvs(endpoint), header(command, 0, endpoint + padding)) for command in (LOCAL, PROXY)]
    relay, target = pass_headers_on(bench, unknown=True)
    for command, tlvs, sent in forms:
        (got, family, block), accepted = handed_on(bench, relay, target, sent)
        same((got, family, read_tlvs(block)), (command, 0, tlvs))
        assert "remote_addr" not in accepted, accepted


def served_by(port):
    """The name that the target behind a relay answers with."""
    return curl(f"http://127.0.0.1:{port}/", "127.0.0.1")[0]


def test_sighup_reads_the_file_again_and_disturbs_nobody(bench):
    before, old, new = Target(), Web(bench, False, answer="old"), Web(bench, False, answer="new")
    config = relay_config([listener(), listener(address="127.0.0.1")], [route(old.port), route(before.port)])
    config["routes"][1]["match"] = {"client_ip": ["127.0.0.9"]}
    relay = bench.relay(config)
    stays = client(relay.port, "127.0.0.9", b"before")
    at_target = before.accept()
    same((at_target.read(6), served_by(relay.port), served_by(relay.ports[1])), (b"before", "old", "old"))
    added = bench.free_port()
    config["listen"][1]["port"] = added
    config["routes"] = [route(new.port)]
    bench.file(os.path.basename(relay.path), config)
    relay.program.signal(signal.SIGHUP)
    relay.event("reconfigured")
    same((served_by(relay.port), served_by(added)), ("new", "new"))
    gone = socket.socket()
    assert gone.connect_ex(("127.0.0.1", relay.ports[1])) != 0, "a listener that is no longer in the file"
    at_target.send(b"still")
    same(stays.read(5), b"still")
    stays.send(b"here")
    same(at_target.read(4), b"here")


def test_sighup_with_a_broken_file_changes_nothing(bench):
    web, other, taken = Web(bench, False, answer="served"), Target(), Target()
    config = relay_config([listener()], [route(web.port)])
    relay = bench.relay(config)
    elsewhere = [route(other.port)]
    unknown_key = config | {"routes": elsewhere, "lisen": []}
    not_to_be_had = config | {"routes": elsewhere,
                              "listen": [*config["listen"], listener(address="127.0.0.1", port=taken.port)]}
    for text, complaint in (("{\"listen\": [", "JSON"), (unknown_key, "/lisen"), (not_to_be_had, "/listen/1")):
        bench.file(os.path.basename(relay.path), text)
        relay.program.signal(signal.SIGHUP)
        relay.program.error_line(complaint)
        same(served_by(relay.port), "served")
    bench.file(os.path.basename(relay.path), config | {"routes": [route(web.port, name="mended")]})
    relay.program.signal(signal.SIGHUP)
    relay.event("reconfigured")


def test_metrics_are_what_prometheus_expects(bench):
    web, refusing = Web(bench, False), Target()
    refusing.socket.close()
    odd = "a \"quoted\" \\ name"
    routes = [route(web.port, name=odd), route(refusing.port, name="gone", match={"client_ip": ["127.0.0.9"]})]
    relay = bench.relay(relay_config([listener()], routes), metrics=True)
    for _ in range(3):
        curl(f"http://127.0.0.1:{relay.port}/", "127.0.0.1")
    with contextlib.suppress(ConnectionResetError):  # which may come before the client knows that it was accepted
        client(relay.port, "127.0.0.9").read_to_end()
    wait_until(lambda: relay.figures()["connections_open"] == 0, "connections have ended")
    text = run(["curl", "-sSf", f"http://127.0.0.1:{relay.metrics}/metrics"])
    said = subprocess.run(["promtool", "check", "metrics"], input=text, capture_output=True, text=True, timeout=WAIT_S)
    same((said.returncode, said.stdout + said.stderr), (0, ""))
    figures = relay.figures()
    escaped = odd.replace("\\", "\\\\").replace('"', '\\"')
    same(figures[f'route_connections_relayed_total{{route="{escaped}"}}'], 3)
    same((figures["connections_total"], figures["target_failures_total"]), (4, 1))
    same(figures['rejections_total{reason="target_unreachable"}'], 1)


def served_pair(relay, target):
    pair = client(relay.port, data=b"x"), target.accept()
    same(pair[1].read(1), b"x")
    return pair


def test_sigterm_lets_connections_end(bench):
    target = Target()
    relay = bench.relay(relay_config([listener()], [route(target.port)]), "--drain", "60")
    near, far = served_pair(relay, target)
    relay.program.signal()
    wait_until(lambda: socket.socket().connect_ex(("127.0.0.1", relay.port)) != 0, "nobody new is taken")
    near.send(b"goes on")
    same(far.read(7), b"goes on")
    far.send(b"back").close()
    same(near.read_to_end(), (b"back", False))
    same(relay.program.exit_code(), 0)


def test_what_has_not_ended_by_then_is_ended(bench):
    for arguments, signals in ((("--drain", "1"), 1), (("--drain", "60"), 2)):
        target = Target()
        relay = bench.relay(relay_config([listener()], [route(target.port)]), *arguments)
        near, far = served_pair(relay, target)
        begun = time.monotonic()
        for _ in range(signals):
            relay.program.signal()
            time.sleep(0.1)  # or both are one
        same(near.read_to_end(), (b"", True))
        same(relay.program.exit_code(), 0)
        took = time.monotonic() - begun
        assert took < 20 and (signals == 2 or took > 0.8), f"after {took:.1f} s"
        same(relay.event("connection_closed")["reason"], "relay_stopping")
        same(far.read_to_end(), (b"", True))


if __name__ == "__main__":
    need("haproxy", "nginx", "promtool", "curl")
    main("relay_operation", sys.modules[__name__], Bench)
