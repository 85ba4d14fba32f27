"""Clients: the mapping, credentials, updates, rotation, pages, transactions."""

from __future__ import annotations

import datetime
import json
from typing import Any, Iterator

import pytest

import smartvpn
from support import PATIENCE, make_server, make_tunnel, next_of


def test_created_client_has_everything_it_needs(server: smartvpn.Server) -> None:
    alice = server.clients.create("alice", tags=["staff"], description="laptop")
    assert alice.id == "alice" and alice.client["tags"] == ["staff"]
    assert smartvpn.public_key(alice.private_key) == alice.client["noise_public_key"]
    config = alice.tunnel_config()
    assert config.keys is not None and config.keys.noise_private_key == alice.private_key
    assert config.keys.server_public_key == server.public_key
    assert config.server == f"ws://{server.endpoints[0].address}/tunnel"
    assert alice.wireguard_config == "" and alice.private_key not in repr(alice)


def test_client_that_brings_its_key_keeps_its_secret(server: smartvpn.Server) -> None:
    secret = smartvpn.generate_key()
    bob = server.clients.create(
        smartvpn.Client(id="bob", noise_public_key=smartvpn.public_key(secret), max_sessions=3)
    )
    assert bob.private_key == "" and bob.client["max_sessions"] == 3


def test_registry_is_a_mapping(server: smartvpn.Server) -> None:
    clients = server.clients
    for name in ("carol", "alice", "bob"):
        clients.create(name)
    assert list(clients) == ["alice", "bob", "carol"] and len(clients) == 3
    assert clients["bob"].id == "bob" and clients["bob"].enabled is True
    assert "bob" in clients and "dave" not in clients and clients.get("dave") is None
    assert [client.id for client in clients.list()] == [name for name, _ in clients.items()]
    del clients["bob"]
    assert "bob" not in clients
    with pytest.raises(KeyError) as caught:
        clients["bob"]
    assert isinstance(caught.value, smartvpn.NotFoundError) and "bob" in str(caught.value)
    with pytest.raises(smartvpn.NotFoundError):
        del clients["bob"]


def test_wrong_descriptions_are_refused_with_a_path(server: smartvpn.Server) -> None:
    with pytest.raises(smartvpn.InvalidError) as caught:
        server.clients.create("alice", tag=["x"])
    assert caught.value.path == "/tag" and '"tags"' in caught.value.text
    with pytest.raises(smartvpn.InvalidError) as caught:
        server.clients.create("alice", security={"rate_limit": {"to_client_bytes_per_second": -1}})
    assert caught.value.path == "/security/rate_limit/to_client_bytes_per_second"
    server.clients.create("alice", addresses=["10.8.0.9"])
    with pytest.raises(smartvpn.ExistsError):
        server.clients.create("alice")
    with pytest.raises(smartvpn.ExistsError) as taken:
        server.clients.create("bob", addresses=["10.8.0.9"])
    assert taken.value.path == "/addresses/0"
    unwritable: Any = {"description": object()}
    with pytest.raises(TypeError):
        server.clients.create("bob", **unwritable)
    nameless: Any = 7
    with pytest.raises(TypeError):
        server.clients.create(nameless)
    assert list(server.clients) == ["alice"]


def test_every_key_but_secrets_is_given_back(server: smartvpn.Server) -> None:
    moment = datetime.datetime(2090, 1, 1, tzinfo=datetime.timezone.utc)
    told = smartvpn.Client(
        id="alice",
        noise_public_key=smartvpn.public_key(smartvpn.generate_key()),
        enabled=False,
        expires_at=moment,
        addresses=["10.8.0.9"],
        max_sessions=1,
        description="d",
        tags=["t"],
        subnets=["192.168.7.0/24"],
        allow_overlap=False,
        transports=["websocket"],
        session_policy="refuse-new",
        priority=7,
        wireguard_public_key=smartvpn.public_key(smartvpn.generate_key()),
        wireguard_preshared_key=smartvpn.generate_key(),
        security=smartvpn.ClientSecurity(
            ip_allow_list=["198.51.100.0/24"],
            ip_block_list=[],
            destination_allow_list=[],
            destination_block_list=["10.8.0.77"],
            rate_limit=smartvpn.RateLimit(1000, 70000, 2000, 80000),
        ),
    )
    server.clients.create(told)
    wanted = told.to_dict()
    del wanted["wireguard_preshared_key"]
    got = server.clients["alice"]
    assert got.to_dict() == {**wanted, "revision": 1}
    assert got.security == told.security and got.rotation is None


def test_updates_change_what_they_name_and_mind_the_revision(server: smartvpn.Server) -> None:
    clients = server.clients
    clients.create("alice", tags=["a"], priority=5)
    revision = clients["alice"].revision
    clients.update("alice", tags=["b"], expected_revision=revision)
    assert clients["alice"].tags == ["b"] and clients["alice"].priority == 5
    with pytest.raises(smartvpn.ConflictError):
        clients.update("alice", tags=["c"], expected_revision=revision)
    clients.update(
        "alice", {"priority": None}, security=smartvpn.ClientSecurity(ip_block_list=["192.0.2.0/24"])
    )
    changed = clients["alice"]
    assert changed.priority == 100 and changed.security is not None
    assert changed.security.ip_block_list == ["192.0.2.0/24"] and changed.tags == ["b"]
    with pytest.raises(smartvpn.NotFoundError):
        clients.update("nobody", tags=[])


def test_disabled_and_removed_clients_lose_their_sessions(host: smartvpn.Server) -> None:
    events = host.events(["session_down"])
    alice, bob = make_tunnel(host, "alice"), make_tunnel(host, "bob")
    with alice, bob:
        host.clients.disable("alice")
        assert next_of(events, smartvpn.EventType.SESSION_DOWN).reason == "client_disabled"
        assert host.clients["alice"].enabled is False
        host.clients.enable("alice")
        assert host.clients["alice"].enabled is True
        host.clients.remove("bob")
        assert next_of(events, smartvpn.EventType.SESSION_DOWN).reason == "client_removed"


def test_clients_are_asked_for_in_pages(server: smartvpn.Server) -> None:
    for number in range(25):
        server.clients.create(f"c{number:02}", tags=["odd" if number % 2 else "even"])
    page = server.clients.query(limit=10)
    assert [client.id for client in page.clients] == [f"c{number:02}" for number in range(10)]
    assert (page.next, page.matches, page.revision) == ("c09", 25, 25)
    assert [len(page.clients) for page in server.clients.pages(limit=10)] == [10, 10, 5]
    assert [client.id for client in server.clients.query(tag="odd", after="c20").clients] == ["c21", "c23"]
    assert server.clients.query(online=True).matches == 0
    with pytest.raises(smartvpn.InvalidError) as caught:
        server.clients.query(limit=0)
    assert caught.value.path == "/limit"


def test_keys_are_rotated_with_an_overlap(host: smartvpn.Server) -> None:
    old = host.clients.create("alice")
    new = host.clients.rotate("alice", overlap_seconds=600)
    assert new.private_key != old.private_key
    rotation = host.clients["alice"].rotation
    assert rotation is not None and not rotation.seen
    assert rotation.previous_noise_public_key == old.client["noise_public_key"]
    with smartvpn.Tunnel(old, forwarding="host", connect_timeout=PATIENCE):
        assert len(host.sessions) == 1
    with pytest.raises(smartvpn.BadStateError):
        host.clients.rotate("alice")
    host.clients.rotate_roll_back("alice")
    assert host.clients["alice"].noise_public_key == old.client["noise_public_key"]
    mine = smartvpn.public_key(smartvpn.generate_key())
    assert host.clients.rotate("alice", noise_public_key=mine).private_key == ""
    host.clients.rotate_commit("alice")
    assert host.clients["alice"].rotation is None and host.clients["alice"].noise_public_key == mine
    with pytest.raises(smartvpn.BadStateError):
        host.clients.rotate_commit("alice")


@pytest.mark.parametrize("kept", [False, True])
def test_exports_say_whether_the_private_key_is_in_them(kept: bool) -> None:
    with make_server(registry=smartvpn.Registry(keep_private_keys=kept)) as server:
        alice = server.clients.create("alice")
        if kept:
            assert (
                json.loads(server.clients.export("alice"))["keys"]["noise_private_key"] == alice.private_key
            )
        else:
            with pytest.raises(smartvpn.SecretNotKeptError):
                server.clients.export("alice")
            text = server.clients.export("alice", need_secret=False)
            assert json.loads(text)["keys"]["noise_private_key"] == ""
        with pytest.raises(smartvpn.UnsupportedError):
            server.clients.export("alice", "wireguard")
        with pytest.raises(ValueError, match="format is one of"):
            server.clients.export("alice", "openvpn")


def test_all_changes_of_a_transaction_happen_at_once(server: smartvpn.Server) -> None:
    with server.clients.transaction(expected_revision=0) as changes:
        first = changes.create("alice")
        changes.create("bob", addresses=["10.8.0.9"])
        changes.update("alice", tags=["staff"])
        changes.remove("bob")
        assert list(server.clients) == [] and changes.made == []
        with pytest.raises(KeyError):
            changes.credentials(first)
    assert list(server.clients) == ["alice"] and changes.revision == server.clients.revision == 4
    assert (
        smartvpn.public_key(changes.credentials(first).private_key)
        == server.clients["alice"].noise_public_key
    )
    assert [made.id for made in changes.made] == ["alice", "bob"]
    with pytest.raises(smartvpn.ClosedError):
        changes.create("carol")


def test_a_transaction_whose_block_raises_does_nothing(server: smartvpn.Server) -> None:
    with pytest.raises(RuntimeError, match="mine"), server.clients.transaction() as changes:
        changes.create("alice")
        raise RuntimeError("mine")
    assert list(server.clients) == [] and server.clients.revision == 0 and changes.revision is None


def test_a_failed_commit_changes_nothing_and_may_be_repeated(server: smartvpn.Server) -> None:
    server.clients.create("taken", addresses=["10.8.0.9"])
    changes = server.clients.transaction()
    changes.create("alice")
    changes.create("bob", addresses=["fd00:8::9", "10.8.0.9"])
    with pytest.raises(smartvpn.ExistsError) as caught:
        changes.commit()
    assert caught.value.path == "/1/addresses/1" and list(server.clients) == ["taken"]
    server.clients.remove("taken")
    assert changes.commit() == server.clients.revision
    assert list(server.clients) == ["alice", "bob"]
    changes.close()
    with pytest.raises(smartvpn.ConflictError), server.clients.transaction(expected_revision=1) as late:
        late.create("carol")
    with pytest.raises(smartvpn.InvalidError) as wrong, server.clients.transaction() as more:
        more.create("dave", max_sessions=2, subnets=["192.168.7.0/24"])
    assert wrong.value.path == "/max_sessions"


@pytest.fixture(params=["memory", "sqlite"])
def kept(request: pytest.FixtureRequest, tmp_path: Any) -> Iterator[smartvpn.Registry]:
    yield (
        smartvpn.Registry()
        if request.param == "memory"
        else smartvpn.Registry("sqlite", str(tmp_path / "clients.db"))
    )


def test_a_file_keeps_clients_and_memory_forgets_them(kept: smartvpn.Registry) -> None:
    with make_server(registry=kept) as first:
        first.clients.create("alice")
        keys = first.config.keys
    with make_server(registry=kept, keys=keys) as second:
        assert list(second.clients) == (["alice"] if kept.store == "sqlite" else [])
