"""Relays among HAProxy and nginx, each in every position: whatever the chain, its end sees the true client."""
import contextlib
import itertools
import socket
import subprocess
import sys

from front_ends import Web, haproxy, nginx_stream, self_signed
from relay_bench import (WAIT_S, Bench, curl, listener, main, need, on_loopback, refused, relay_config, route, run,
                         same, wait_until)

CLIENTS = {4: "127.0.0.5", 6: "::1"}


def relay_to(bench, port, accept="off", send="off", family=4, **more):
    """A relay in front of a port; gives its own."""
    host = {4: "127.0.0.1", 6: "::1"}[family]
    return bench.relay(relay_config([listener(accept)], [route(port, send, host, **more)])).port


def hop(bench, kind, port, first, family):
    """A proxy of that kind in front of a port, which is told the client; gives its own port."""
    if kind == "relay":
        return relay_to(bench, port, "off" if first else "any", "v2", family)
    front = {"haproxy": haproxy, "nginx": nginx_stream}[kind]
    return front(bench, on_loopback(port, family), accept=not first)


def check(web, port, family=4, dialled=None, said=None):
    """A client who comes to `port` is known to the server, and so is where it went."""
    said = str(said or port)
    answer, own = curl(f"http://{on_loopback(port, family)}/", CLIENTS[family], "-H", f"X-Said: {said}")
    same(answer, own)
    row = wait_until(lambda: next((row for row in web.visitors() if row[-1] == said), None), "a line in the log")
    same(" ".join(row[:2]), own)
    if dialled:
        same(row[2:4], [{4: "127.0.0.1", 6: "::1"}[family], str(dialled)])


def every_order(bench, family):
    for order in itertools.permutations(["haproxy", "nginx", "relay"]):
        web = Web(bench)
        port = web.port
        for place, kind in reversed(list(enumerate(order))):
            port = hop(bench, kind, port, place == 0, family)
        check(web, port, family, said="-".join(order))


def test_each_proxy_in_every_position_ipv4(bench):
    every_order(bench, 4)


def test_each_proxy_in_every_position_ipv6(bench):
    every_order(bench, 6)


def test_haproxy_two_relays_and_nginx_know_the_client_and_where_it_went(bench):
    web = Web(bench)
    second = relay_to(bench, web.port, "v2", "v2")
    first = relay_to(bench, second, "v2", "v2")
    front = haproxy(bench, on_loopback(first))
    check(web, front, 4, dialled=front, said="four")
    check(web, front, 6, dialled=front, said="six")  # over IPv4 from there


def test_a_crowd_of_addresses_is_told_apart(bench):
    web = Web(bench)
    front = haproxy(bench, on_loopback(relay_to(bench, relay_to(bench, web.port, "v2", "v1"), "v2", "v2")))
    clients = [f"127.0.0.{n}" for n in range(2, 42)]
    command = ["curl", "-sS", "-m", str(WAIT_S), "-w", "|%{local_ip} %{local_port}", f"http://127.0.0.1:{front}/"]
    running = {client: subprocess.Popen([*command, "--interface", client], stdout=subprocess.PIPE, text=True)
               for client in clients}
    for client, program in running.items():
        answer, own = program.communicate(timeout=WAIT_S)[0].split("|")
        same((answer, own.split()[0]), (own, client))
    wait_until(lambda: len({row[0] for row in web.visitors()}) == len(set(clients)), "nginx writes them down")
    same({row[0] for row in web.visitors()}, set(clients))


def test_two_relays_with_every_pair_of_versions(bench):
    web = Web(bench)
    for inner, outer in itertools.product(["v1", "v2"], repeat=2):
        second = relay_to(bench, web.port, outer, inner)
        first = relay_to(bench, second, "off", outer)
        check(web, first, 4, dialled=first, said=f"{outer}-{inner}-4")
        check(web, first, 6, dialled=first, said=f"{outer}-{inner}-6")


def test_a_relay_in_front_of_haproxy_that_accepts(bench):
    web = Web(bench, proxy_protocol=False, answer="$http_x_forwarded_for $http_x_port")
    behind = haproxy(bench, on_loopback(web.port), server="", accept=True, mode="http",
                     frontend="option forwardfor\n  http-request set-header X-Port %[src_port]")
    for version, family in itertools.product(["v1", "v2"], [4, 6]):
        answer, own = curl(f"http://{on_loopback(relay_to(bench, behind, 'off', version), family)}/", CLIENTS[family])
        same(answer, own)


def test_haproxy_in_version_1_and_a_relay_that_takes_any(bench):
    web = Web(bench)
    front = haproxy(bench, on_loopback(relay_to(bench, web.port, "any", "v2")), server="send-proxy")
    check(web, front, 4, dialled=front, said="four")
    check(web, front, 6, dialled=front, said="six")


def test_nginx_stream_in_front_of_a_relay_in_version_1(bench):
    web = Web(bench)
    front = nginx_stream(bench, on_loopback(relay_to(bench, web.port, "v1", "v1")))
    check(web, front, 4, dialled=front)


def say(port, text):
    """What comes back until the other side ends."""
    with socket.create_connection(("127.0.0.1", port), WAIT_S) as stream:
        stream.sendall(text.encode())
        got = b""
        with contextlib.suppress(ConnectionResetError):
            while chunk := stream.recv(65536):
                got += chunk
        return got.decode()


def test_a_header_of_the_clients_own_is_not_believed(bench):
    web = Web(bench)
    relay = relay_to(bench, web.port, "v2", "v2")
    front, alone = haproxy(bench, on_loopback(relay)), relay_to(bench, web.port, "off", "v2")
    request = "GET / HTTP/1.0\r\n\r\n"
    forged = "PROXY TCP4 203.0.113.66 203.0.113.67 1 2\r\n" + request
    assert "400 Bad Request" in say(front, forged)  # for HAProxy they are bytes like any others
    same(say(alone, forged), "")
    same(say(relay, request), "")
    wait_until(web.visitors, "nginx writes it down")
    same({row[0] for row in web.visitors()}, {"127.0.0.1"})
    for port in (front, alone):
        check(web, port)


def two_by_name(bench, **options):
    """A front of HAProxy and a relay that goes by name, two servers behind it; front, servers by name."""
    servers = {}
    for name in ("one.test", "two.test"):
        certificate = self_signed(bench, name) if options.get("tls") else None
        servers[name] = Web(bench, certificate=certificate, answer=f"{name} $remote_addr $remote_port")
    routes = [route(web.port, "v2", match={"domains": [name]}) for name, web in servers.items()]
    relay = bench.relay(relay_config([listener("v2")], routes))
    return haproxy(bench, on_loopback(relay.port)), servers, relay


def resolved(name, port, family=4):
    return "--resolve", f"{name}:{port}:{'[::1]' if family == 6 else '127.0.0.1'}"


def test_http_goes_by_its_host(bench):
    front, servers, _ = two_by_name(bench)
    for name, family in itertools.product(servers, [4, 6]):
        answer, own = curl(f"http://{name}:{front}/", CLIENTS[family], *resolved(name, front, family))
        same(answer, f"{name} {own}")


def test_https_passes_through_to_the_name_it_asks_for(bench):
    front, servers, relay = two_by_name(bench, tls=True)
    for name, family in itertools.product(servers, [4, 6]):
        trusted = ["--cacert", bench.path(name + ".pem")]
        answer, own = curl(f"https://{name}:{front}/", CLIENTS[family], *trusted, *resolved(name, front, family))
        same(answer, f"{name} {own}")
        assert relay.event("connection_closed")["host"] == name
    assert refused(f"https://other.test:{front}/", "-k", *resolved("other.test", front)), "a name without a route"
    same(relay.event("connection_rejected")["reason"], "no_route")


def test_the_name_that_openssl_sends_chooses_the_server(bench):
    front, servers, relay = two_by_name(bench, tls=True)
    for name, version in itertools.product(servers, ["-tls1_2", "-tls1_3"]):
        text = run(["openssl", "s_client", "-connect", f"127.0.0.1:{front}", "-servername", name, version, "-CAfile",
                    bench.path(name + ".pem"), "-verify_return_error", "-verify_hostname", name])
        assert f"subject=CN = {name}" in text and "Verification: OK" in text, text
        same(relay.event("connection_accepted")["remote_addr"].split(":")[0], "127.0.0.1")


if __name__ == "__main__":
    need("haproxy", "nginx", "openssl", "curl")
    main("relay_chains", sys.modules[__name__], Bench)
