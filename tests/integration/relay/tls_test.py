"""TLS that ends in the relay, for clients and servers that no one here wrote: curl, openssl s_client, Python, nginx."""
import os
import signal
import socket
import ssl
import sys

from front_ends import Web, self_signed
from relay_bench import Bench, WAIT_S, curl, listener, main, need, relay_config, route, run, same, wait_until

NAMES = ("one.test", "two.test")


def ending(bench, port, mode="terminate", **tls):
    """A relay in which TLS ends, with a certificate for each of NAMES; its target gets headers of version 2."""
    files = [self_signed(bench, name) for name in NAMES]
    certificates = [{"certificate": at + ".pem", "key": at + ".key"} for at in files]
    action = {"tls": {"mode": mode, "certificates": certificates, **tls}}
    return bench.relay(relay_config([listener()], [route(port, "v2", **action)]))


def https(bench, relay, name, source="127.0.0.1", *arguments):
    return curl(f"https://{name}:{relay.port}/", source, "--resolve", f"{name}:{relay.port}:127.0.0.1",
                "--cacert", bench.path(name + ".pem"), *arguments)


def test_curl_gets_the_certificate_of_each_name_and_nginx_logs_the_client(bench):
    web = Web(bench)
    relay = ending(bench, web.port)
    for number, name in enumerate(NAMES, 30):
        same(*https(bench, relay, name, f"127.0.0.{number}"))
        wait_until(lambda: len(web.visitors()) == number - 29, "nginx writes it down")
        same(web.visitors()[-1][0], f"127.0.0.{number}")
        same(web.visitors()[-1][4], name)


def test_openssl_gets_the_protocol_that_both_speak_in_both_versions(bench):
    relay = ending(bench, Web(bench).port, alpn=["h2", "http/1.1"])
    for version, shown in (("-tls1_2", "TLSv1.2"), ("-tls1_3", "TLSv1.3")):
        text = run(["openssl", "s_client", "-connect", f"127.0.0.1:{relay.port}", "-servername", "two.test", version, "-alpn",
                    "http/1.1,h2", "-CAfile", bench.path("two.test.pem"), "-verify_return_error", "-verify_hostname", "two.test"])
        for part in ("Verification: OK", "ALPN protocol: h2", f"New, {shown}"):
            assert part in text, text


def test_nginx_is_met_by_tls_of_its_own(bench):
    behind = self_signed(bench, "behind.test")
    web = Web(bench, certificate=behind)
    relay = ending(bench, web.port, "terminate-and-reencrypt",
                   target={"ca": behind + ".pem", "server_name": "behind.test"})
    same(*https(bench, relay, "one.test", "127.0.0.40"))
    wait_until(web.visitors, "nginx writes it down")
    same(web.visitors()[-1][0], "127.0.0.40")


def test_python_reads_megabytes_to_the_end_that_was_said(bench):
    web = Web(bench, answer="x" * 3000)
    relay = ending(bench, web.port)
    context = ssl.create_default_context(cafile=bench.path("one.test.pem"))
    with socket.create_connection(("127.0.0.1", relay.port), WAIT_S) as plain:
        with context.wrap_socket(plain, server_hostname="one.test") as line:
            request = b"GET / HTTP/1.1\r\nHost: one.test\r\n\r\n"
            for _ in range(300):
                line.sendall(request)
            line.sendall(request.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n"))
            got = bytearray()
            while piece := line.recv(65536):  # raises where the end is cut off without close_notify
                got += piece
    same(got.count(b"x" * 3000), 301)


def test_new_certificates_come_with_sighup_and_connections_stay(bench):
    relay = ending(bench, Web(bench).port)
    context = ssl.create_default_context(cafile=bench.path("one.test.pem"))
    with socket.create_connection(("127.0.0.1", relay.port), WAIT_S) as plain:
        with context.wrap_socket(plain, server_hostname="one.test") as line:
            old = line.getpeercert(True)
            self_signed(bench, "one.test")
            relay.program.process.send_signal(signal.SIGHUP)
            relay.event("reconfigured")
            same(*https(bench, relay, "one.test"))
            line.sendall(b"GET / HTTP/1.1\r\nHost: one.test\r\n\r\n")
            assert line.recv(65536).startswith(b"HTTP/1.1 200"), "the old connection goes on"
    assert ssl.PEM_cert_to_DER_cert(open(bench.path("one.test.pem")).read()) != old
    assert os.path.exists(bench.path("one.test.key"))


def test_curl_gets_to_the_route_of_its_host_where_it_asks_for_no_name(bench):
    front, named, secret = (Web(bench, answer=answer) for answer in ("front", "named", "secret"))
    at = self_signed(bench, "front.test")
    certificates = [{"certificate": at + ".pem", "key": at + ".key"}]
    tls = {"mode": "terminate", "certificates": certificates, "alpn": ["http/1.1"]}
    relay = bench.relay(relay_config([listener()], [
        route(front.port, "v2", tls=tls), route(named.port, "v2", match={"domains": ["*.named.test"]}, tls=tls),
        route(secret.port, "v2", match={"domains": ["secret.test"], "client_ip": ["127.0.0.9"]}, tls=tls)]))
    # curl asks for no name where the URL has an address. Asked for by name, the name binds.
    for host, source, url, answer in (
            ("a.named.test", "127.0.0.50", f"https://127.0.0.1:{relay.port}/", "named"),
            ("a.named.test", "::1", f"https://[::1]:{relay.port}/", "named"),
            ("else.test", "127.0.0.51", f"https://127.0.0.1:{relay.port}/", "front"),
            ("secret.test", "127.0.0.52", f"https://127.0.0.1:{relay.port}/", "front"),
            ("secret.test", "127.0.0.9", f"https://127.0.0.1:{relay.port}/", "secret"),
            ("secret.test", "127.0.0.9", f"https://b.named.test:{relay.port}/", "named")):
        got = curl(url, source, "-k", "-H", f"Host: {host}", "--resolve", f"b.named.test:{relay.port}:127.0.0.1")[0]
        same((host, source, got.strip()), (host, source, answer))
        web = {"front": front, "named": named, "secret": secret}[answer]
        wait_until(lambda: [source, host] in [[seen[0], seen[4]] for seen in web.visitors()], "nginx writes it down")


if __name__ == "__main__":
    need("nginx", "openssl", "curl")
    main("relay_tls", sys.modules[__name__], Bench)
