"""TLS that ends in a relay, with Python's own ssl at its ends."""

from __future__ import annotations

import pathlib
import shutil
import ssl
from typing import Any, List, Optional

import pytest

import smartvpn
from relay_support import Target, asks, ended, listener, name_of
from relay_tls_support import Authority, TlsTarget, asks_much, der, read, shown
from smartvpn import EventType
from support import next_of

ALPN, SSL = 0x01, 0x20  # TLVs


def ending(
    port: int,
    certificates: List[smartvpn.Tls],
    mode: str = "terminate",
    send: Optional[str] = None,
    **tls: Any,
) -> smartvpn.RelayConfig:
    """Of a relay on loopback in which TLS ends, to this port."""
    made = smartvpn.RelayTls(mode, certificates, ["h2", "http/1.1"], **tls)
    action = smartvpn.RelayAction([smartvpn.RelayTarget("127.0.0.1", port)], send, tls=made)
    return smartvpn.RelayConfig([listener()], [smartvpn.RelayRoute(action)])


def test_tls_ends_in_the_relay_by_the_certificate_of_the_name(tmp_path: pathlib.Path) -> None:
    ca = Authority(tmp_path)
    one, two = ca.issue("one.test"), ca.issue("*.two.test")
    with Target(headers=True) as target:
        with smartvpn.Relay(ending(target.port, [one, two], send="v2")) as relay:
            port = relay.endpoints[0].port
            for name, certificate in (("one.test", one), ("x.two.test", two)):
                with ca.client(port, name, "http/1.1") as peer:
                    assert shown(peer) == der(certificate)
                    assert peer.selected_alpn_protocol() == "http/1.1"
                    assert asks_much(peer)
                    header = target.header()
                    assert header.source == name_of(peer)
                    assert header.tlvs[ALPN] == b"http/1.1" and header.tlvs[SSL][0] & 1
                    peer.unwrap()  # raises unless close_notify is answered by the same
            with pytest.raises(ssl.SSLCertVerificationError, match="else.test"):
                with ca.client(port, "else.test"):
                    pass


def test_a_target_is_met_by_tls_of_its_own(tmp_path: pathlib.Path) -> None:
    ca, inner = Authority(tmp_path), Authority(tmp_path, "inner")
    front = ca.issue("front.test")
    with TlsTarget(inner.issue("behind.test"), "h2") as target:
        mode = "terminate-and-reencrypt"
        trusting = smartvpn.RelayTargetTls(inner.file, "behind.test")
        with smartvpn.Relay(ending(target.port, [front], mode, target=trusting)) as relay:
            events = relay.events(["connection_closed"])
            port = relay.endpoints[0].port
            with ca.client(port, "front.test", "h2") as peer:
                assert shown(peer) == der(front) and asks_much(peer)
                assert target.agreed() == ("behind.test", "h2")
                # Whose authority has not signed what the target shows is not spoken to.
                distrusting = smartvpn.RelayTargetTls(ca.file, "behind.test")
                relay.reconfigure(_on_the_same_port(relay, ending(target.port, [front], mode, target=distrusting)))
                with ca.client(port, "front.test", "h2") as refused:
                    assert ended(refused)
                    closed = next_of(events, EventType.CONNECTION_CLOSED)
                    assert (closed.reason, closed.bytes_out) == ("tls_failed", 0)
                assert asks_much(peer)  # it has what it began with


def _on_the_same_port(relay: smartvpn.Relay, config: smartvpn.RelayConfig) -> smartvpn.RelayConfig:
    config.listen = relay.config.listen
    return config


def test_new_certificates_are_for_new_connections(tmp_path: pathlib.Path) -> None:
    ca = Authority(tmp_path)
    one, two, three = (ca.issue("one.test") for _ in range(3))
    text = smartvpn.Tls(read(one.certificate), read(one.key))
    files = smartvpn.Tls(str(tmp_path / "used.pem"), str(tmp_path / "used.key"))

    def write(certificate: smartvpn.Tls, key: smartvpn.Tls) -> None:
        shutil.copy(str(certificate.certificate), str(files.certificate))
        shutil.copy(str(key.key), str(files.key))

    with Target() as target, smartvpn.Relay(ending(target.port, [text])) as relay:
        port = relay.endpoints[0].port
        with ca.client(port, "one.test") as first:
            assert shown(first) == der(one) and asks(first, b"hello") == b"hello"
            write(two, two)
            relay.reconfigure(_on_the_same_port(relay, ending(target.port, [files])))
            with ca.client(port, "one.test") as second:
                assert shown(second) == der(two) and asks_much(first)
                write(three, two)  # the key is another's
                with pytest.raises(smartvpn.InvalidError):
                    relay.reload_certificates()
                with ca.client(port, "one.test") as still:
                    assert shown(still) == der(two)
                write(three, three)
                relay.reload_certificates()
                with ca.client(port, "one.test") as last:
                    assert shown(last) == der(three)
                assert asks_much(first) and asks_much(second)
