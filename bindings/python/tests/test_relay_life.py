"""A relay is created, runs, is reconfigured, drains, stops, once; and is given back."""

from __future__ import annotations

import asyncio
import dataclasses
import errno
import gc
import pathlib
import pickle
import socket
import threading
import warnings
from typing import Any, Callable, List

import pytest

import smartvpn
from relay_support import Target, asks, client, ended, eventually, listener, make_relay, receive, route
from smartvpn import EventType
from support import PATIENCE, anext_of, expect_clean, next_of

Run = Callable[[Any], Any]


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        return int(taken.getsockname()[1])


def test_relay_goes_through_its_states_once() -> None:
    with Target() as target:
        relay = make_relay(target.port)
        assert relay.state == "created" and relay.endpoints == []
        early: List[Callable[[], Any]] = [
            relay.connections,
            relay.reload_certificates,
            lambda: relay.stats,
            lambda: relay.disconnect(1),
        ]
        for use in early:
            with pytest.raises(smartvpn.BadStateError):
                use()
        with pytest.raises(smartvpn.BadStateError):
            relay.reconfigure(relay.config)
        relay.start()
        assert relay.state == "running"
        with client(relay.endpoints[0].port) as peer:
            assert asks(peer, b"hello") == b"hello"
        with pytest.raises(smartvpn.BadStateError):
            relay.start()
        relay.stop()
        relay.stop()
        assert relay.state == "stopped"
        with pytest.raises(smartvpn.BadStateError):
            relay.start()
        relay.close()
        relay.close()
        assert relay.state == "stopped" and repr(relay) == "<smartvpn.Relay stopped>"


def test_close_ends_open_connections_and_the_events_tell_why() -> None:
    with Target() as target, make_relay(target.port) as relay:
        events = relay.events(["connection_closed"])
        with client(relay.endpoints[0].port) as one, client(relay.endpoints[0].port) as two:
            assert asks(one, b"1") + asks(two, b"2") == b"12"
            relay.close()
            assert ended(one) and ended(two)
        assert [event.reason for event in events] == ["relay_stopping"] * 2
        with pytest.raises(smartvpn.ClosedError):
            events.next(0)


def test_stop_lets_connections_go_on_for_the_drain() -> None:
    with Target() as target, make_relay(target.port) as relay:
        with client(relay.endpoints[0].port) as peer:
            assert asks(peer, b"1") == b"1"
            with pytest.raises(smartvpn.TimedOutError):
                relay.stop(drain=60.0, timeout=0.05)
            assert relay.state == "draining" and len(relay.connections()) == 1
            assert asks(peer, b"2") == b"2"
        relay.stop(drain=60.0, timeout=PATIENCE)  # ends with the last connection
        assert relay.state == "stopped"


def test_a_route_and_a_port_come_while_it_runs_and_connections_go_on() -> None:
    with Target(b"1") as old, Target(b"2") as new, make_relay(old.port) as relay:
        events = relay.events(["reconfigured", "listening"])
        port = free_port()
        changed = dataclasses.replace(
            relay.config,
            listen=[*(relay.config.listen or ()), listener(port)],
            routes=[
                *(relay.config.routes or ()),
                route(new.port, "new", match=smartvpn.RelayMatch(ports=[smartvpn.PortRange(port, port)])),
            ],
        )
        with client(relay.endpoints[0].port) as peer:
            assert receive(peer, 1) + asks(peer, b"a") == b"1a"
            would = relay.reconfigure(changed, dry_run=True)
            assert len(relay.endpoints) == 1 and len(relay.config.routes or ()) == 1
            changes = relay.reconfigure(changed)
            assert changes == would and {change.result for change in changes} == {"applied"}
            assert {change.path.split("/")[1] for change in changes} == {"listen", "routes"}
            assert next_of(events, EventType.RECONFIGURED).changes == {
                change.path: change.result for change in changes
            }
            assert relay.config == changed and [found.listener for found in relay.endpoints] == [0, 1]
            assert relay.endpoints[1].port == port
            with client(port) as other:
                assert receive(other, 1) == b"2"
                assert [found.route for found in relay.connections()] == ["route-0", "new"]
            relay.reconfigure(dataclasses.replace(changed, listen=[listener(port)], routes=[route(new.port)]))
            assert asks(peer, b"b") == b"b"  # whose route and listener are gone
        assert relay.reconfigure(relay.config) == []


def test_a_reconfiguration_that_fails_changes_nothing() -> None:
    with Target() as target, make_relay(target.port) as relay, make_relay(target.port) as other:
        before = relay.config
        with pytest.raises(smartvpn.InvalidError) as wrong:
            relay.reconfigure(dataclasses.replace(before, routes=[]))
        assert wrong.value.path == "/routes"
        taken = [*(before.listen or ()), listener(other.endpoints[0].port)]
        with pytest.raises(smartvpn.SystemCallError) as refused:
            relay.reconfigure(dataclasses.replace(before, listen=taken))
        assert refused.value.errno == errno.EADDRINUSE and refused.value.path.startswith("/listen/1")
        assert relay.config == before and len(relay.endpoints) == 1
        with client(relay.endpoints[0].port) as peer:
            assert asks(peer, b"hello") == b"hello"


def test_errors_are_exceptions_with_paths() -> None:
    good = smartvpn.RelayConfig([listener()], [route(9)])
    good.validate()
    wrong: List[Any] = [
        ("/listen", {}),
        ("/rutes", {"rutes": []}),
        ("/listen/0/port", dataclasses.replace(good, listen=[listener(65536)])),
        ("/listen/0/port", dataclasses.replace(good, listen=[smartvpn.RelayListener()])),
        (
            "/listen/0/trusted_proxies",
            dataclasses.replace(good, listen=[listener(accept_proxy_protocol="v1")]),
        ),
        (
            "/listen/0/accept_proxy_protocol",
            dataclasses.replace(
                good,
                listen=[
                    listener(protocol="udp", accept_proxy_protocol="v1", trusted_proxies=["192.0.2.1"])
                ],
            ),
        ),
        ("/routes/0/action", dataclasses.replace(good, routes=[smartvpn.RelayRoute()])),
        ("/routes/1/name", dataclasses.replace(good, routes=[route(9, "x"), route(8, "x")])),
        ("/routes/0/match/domains", _with_match(good, domains=["*x"])),
        ("/routes/0/match/ports", _with_match(good, ports=[0])),
        ("/routes/0/match/client_ip/0", _with_match(good, client_ip=["nobody"])),
        ("/routes/0/action/targets/0", smartvpn.RelayConfig([listener(4711)], [route(4711)])),
    ]
    for path, config in wrong:
        with pytest.raises(smartvpn.InvalidError) as caught:
            smartvpn.Relay(config)
        assert caught.value.path.startswith(path), caught.value
    with pytest.raises(TypeError, match="not of both"):
        smartvpn.Relay(good, routes=[route(9)])
    with pytest.raises(TypeError):
        smartvpn.Relay(object())  # type: ignore[arg-type]


def _with_match(config: smartvpn.RelayConfig, **match: Any) -> smartvpn.RelayConfig:
    return dataclasses.replace(config, routes=[route(9, match=smartvpn.RelayMatch(**match))])


def test_a_port_in_use_is_an_os_error_and_leaves_nothing() -> None:
    with make_relay(9) as first:
        second = smartvpn.Relay(listen=[listener(first.endpoints[0].port)], routes=[route(9)])
        with pytest.raises(OSError) as refused:
            second.__enter__()
        assert refused.value.errno == errno.EADDRINUSE and second.state == "stopped"


def test_everything_of_a_closed_relay_says_so() -> None:
    relay = make_relay(9)
    relay.close()
    uses: List[Callable[[], Any]] = [
        relay.start,
        relay.stop,
        lambda: relay.endpoints,
        lambda: relay.stats,
        relay.events,
        relay.connections,
        lambda: relay.disconnect(1),
        lambda: relay.reconfigure(relay.config),
        lambda: relay.set_server(None),
        relay.reload_certificates,
    ]
    for use in uses:
        with pytest.raises(smartvpn.ClosedError, match="^the relay is closed$"):
            use()
    with pytest.raises(TypeError, match="neither copied nor pickled"):
        pickle.dumps(relay)


def test_wrong_types_are_type_errors_and_harm_nothing() -> None:
    anything: Any = object()
    with make_relay(9) as relay:
        unfit: List[Callable[[], Any]] = [
            lambda: relay.disconnect(anything),
            lambda: relay.stop(drain=anything),
            lambda: relay.events(capacity=anything),
            lambda: relay.reconfigure(anything),
            lambda: relay.set_server(anything),
            lambda: relay.stats[anything],
        ]
        for use in unfit:
            with pytest.raises(TypeError):
                use()
        for number in (-1, 2**64):
            with pytest.raises(smartvpn.NotFoundError):
                relay.disconnect(number)
        assert relay.state == "running"


def test_an_abandoned_running_relay_is_freed_with_a_warning() -> None:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        relay = make_relay(9)
        relay.start()
        port = relay.endpoints[0].port
        del relay
        make_relay(9)  # one that never ran goes silently
        gc.collect()
    assert [str(warning.message) for warning in caught] == ["unclosed <smartvpn.Relay running>"]
    with socket.socket() as probe:
        assert probe.connect_ex(("127.0.0.1", port)) != 0


def test_close_races_with_commands_of_other_threads() -> None:
    for _ in range(10):
        relay = make_relay(9)
        relay.start()
        said: List[BaseException] = []

        def ask() -> None:
            try:
                while True:
                    relay.connections()
                    relay.stats.json()
                    relay.events().close()
            except BaseException as error:
                said.append(error)

        threads = [threading.Thread(target=ask) for _ in range(3)]
        for thread in threads:
            thread.start()
        relay.close()
        for thread in threads:
            thread.join(PATIENCE)
        assert len(said) == 3
        assert all(isinstance(error, (smartvpn.ClosedError, smartvpn.BadStateError)) for error in said), said


def test_a_relay_in_a_loop(run: Run) -> None:
    async def main() -> List[str]:
        with Target() as target:
            async with make_relay(target.port) as relay:
                events = relay.events(["connection_accepted", "connection_closed"])
                opening = asyncio.open_connection("127.0.0.1", relay.endpoints[0].port)
                reader, writer = await asyncio.wait_for(opening, PATIENCE)
                writer.write(b"hello")
                assert await asyncio.wait_for(reader.readexactly(5), PATIENCE) == b"hello"
                accepted = await anext_of(events, EventType.CONNECTION_ACCEPTED)
                assert [found.id for found in relay.connections()] == [accepted.connection_id]
                with pytest.raises(smartvpn.TimedOutError):
                    await relay.astop(drain=60.0, timeout=0.05)
                writer.close()
                await relay.astop(drain=60.0, timeout=PATIENCE)
            return [str(event.reason) async for event in events]

    assert run(main()) == ["closed_by_client"]


def test_config_goes_in_and_comes_out_unchanged() -> None:
    config = smartvpn.RelayConfig(
        listen=[smartvpn.RelayListener(address="127.0.0.1", ports=[80, smartvpn.PortRange(8000, 8010)])],
        routes=[
            smartvpn.RelayRoute(
                smartvpn.RelayAction(
                    [smartvpn.RelayTarget("192.0.2.7", "preserve")],
                    "v2",
                    proxy_tlvs=smartvpn.RelayTlvs(crc32c=True),
                    tls=smartvpn.RelayTls("passthrough"),
                ),
                smartvpn.RelayMatch(ports=443, domains=["a.example"], tls_versions=["TLSv1.3"]),
            )
        ],
        limits=smartvpn.RelayLimits(connections_per_ip=0),
    )
    data = config.to_dict()
    assert data["listen"][0]["ports"] == [80, {"from": 8000, "to": 8010}]
    assert data["routes"][0]["match"]["ports"] == 443 and data["limits"] == {"connections_per_ip": 0}
    assert smartvpn.RelayConfig.from_dict(data) == smartvpn.RelayConfig.from_json(config.to_json()) == config
    forms: List[Any] = [config, data, config.to_json()]
    for form in forms:
        relay = smartvpn.Relay(form)
        assert relay.config == config and relay.config is not relay.config
    with pytest.raises(smartvpn.InvalidError) as caught:
        smartvpn.RelayConfig.from_json('{"routs": []}')
    assert caught.value.path == "/routs" and '"routes"' in caught.value.text


def test_certificates_are_told_by_path_and_keys_are_secrets(tmp_path: pathlib.Path) -> None:
    missing = str(tmp_path / "missing.pem")
    key = "-----BEGIN PRIVATE KEY-----\nPRIVATE\n-----END PRIVATE KEY-----\n"
    tls = smartvpn.RelayTls(
        "terminate-and-reencrypt",
        [smartvpn.Tls(missing, key)],
        ["h2"],
        smartvpn.RelayTargetTls(server_name="web.internal", verify=False),
    )
    action = smartvpn.RelayAction([smartvpn.RelayTarget("127.0.0.1", 9)], tls=tls)
    config = smartvpn.RelayConfig([listener()], [smartvpn.RelayRoute(action)])
    config.validate()
    assert smartvpn.RelayConfig.from_json(config.to_json()) == config
    assert "PRIVATE" not in repr(config) and "PRIVATE" not in str(config.without_secrets())
    with pytest.raises(smartvpn.Error) as caught:
        smartvpn.Relay(config)
    assert caught.value.path.startswith("/routes/0/action/tls/certificates/0")
    action.tls = smartvpn.RelayTls("terminate")
    with pytest.raises(smartvpn.InvalidError) as missing_too:
        config.validate()
    assert missing_too.value.path == "/routes/0/action/tls/certificates"
    with make_relay(9) as relay:
        relay.reload_certificates()  # of which it has none


def test_a_forked_child_is_cut_off_and_the_parent_goes_on() -> None:
    out = expect_clean(
        """
import os
import smartvpn
from relay_support import Target, asks, client, make_relay

with Target() as target, make_relay(target.port) as relay:
    pid = os.fork()
    if pid == 0:
        for use in (relay.start, relay.stop, relay.connections, relay.events, lambda: relay.state):
            try:
                use()
                os._exit(3)
            except smartvpn.ForkedError as error:
                assert "parent process" in str(error), error
        relay.close()
        os._exit(0)
    assert os.waitpid(pid, 0)[1] == 0
    with client(relay.endpoints[0].port) as peer:
        assert asks(peer, b"hello") == b"hello"
print("fine")
"""
    )
    assert out == "fine\n"


def test_the_interpreter_may_end_with_a_relay_open() -> None:
    assert expect_clean(
        """
from relay_support import Target, asks, client, make_relay
target = Target()
relay = make_relay(target.port)
relay.start()
events = relay.events()
with client(relay.endpoints[0].port) as peer:
    print(asks(peer, b"hello"))
"""
    ) == "b'hello'\n"


def test_stop_waits_for_nobody_who_has_gone() -> None:
    with Target() as target, make_relay(target.port) as relay:
        with client(relay.endpoints[0].port) as peer:
            assert asks(peer, b"hello") == b"hello"
        assert eventually(lambda: relay.stats.connections_open == 0)
        relay.stop(drain=60.0, timeout=PATIENCE)
