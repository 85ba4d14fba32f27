"""The dataclasses mirror the configuration: every key, both ways."""

from __future__ import annotations

import dataclasses
import datetime
import json
import pathlib
import re
from typing import Any, Dict, List, Sequence, Set, Type, Union, get_args, get_type_hints

import pytest

import smartvpn
from smartvpn._model import Model

ROOT = pathlib.Path(__file__).resolve().parents[3]


def documented(section: str) -> Set[str]:
    """The keys of a table of docs/CONFIGURATION.md."""
    text = (ROOT / "docs" / "CONFIGURATION.md").read_text(encoding="utf-8")
    table = text.split(f"\n## {section}", 1)[1].split("\n## ", 1)[0]
    return set(re.findall(r"^\| `(/[^`]+)` \|", table, re.MULTILINE))


def models_in(hint: Any) -> List[Type[Model]]:
    if isinstance(hint, type) and issubclass(hint, Model):
        return [hint]
    return [model for inner in get_args(hint) for model in models_in(inner)]


def is_list(hint: Any) -> bool:
    origin = getattr(hint, "__origin__", None)
    return origin in (list, Sequence.__origin__) or (  # type: ignore[attr-defined]
        origin is Union and any(is_list(inner) for inner in get_args(hint))
    )


def keys_of(model: Type[Model], prefix: str = "") -> Set[str]:
    """The JSON Pointers that a dataclass has fields for."""
    out = {f"{prefix}/{name}" for name in model.fixed}
    hints = get_type_hints(model)
    for field in dataclasses.fields(model):
        path, hint = f"{prefix}/{field.name}", hints[field.name]
        out.add(path)
        inside = path
        if is_list(hint) and int in get_args(hint):  # ports: a number, or a list with a form of its own
            continue
        if is_list(hint) and bool not in get_args(hint):
            inside = f"{path}/*"
            out.add(inside)
        for inner in models_in(hint):
            listener: Type[Model] = smartvpn.WebSocket
            out |= keys_of(listener if inner is smartvpn.Listener else inner, inside)
    return out


@pytest.mark.parametrize(
    ("section", "model"),
    [("Server", smartvpn.ServerConfig), ("Tunnel", smartvpn.TunnelConfig), ("Relay", smartvpn.RelayConfig)],
)
def test_every_documented_key_has_a_field_and_every_field_a_key(section: str, model: Type[Model]) -> None:
    wanted = documented(section)
    assert len(wanted) > 15
    assert keys_of(model) == wanted


def test_what_is_not_set_is_left_out() -> None:
    assert smartvpn.ServerConfig().to_dict() == {}
    config = smartvpn.ServerConfig(
        listen=[smartvpn.WebSocket(port=8443)],
        forwarding="testing",
        network=smartvpn.Network(dns=(), client_to_client=False),
    )
    assert config.to_dict() == {
        "listen": [{"transport": "websocket", "port": 8443}],
        "forwarding": {"mode": "testing"},
        "network": {"dns": [], "client_to_client": False},
    }


def test_the_short_form_of_a_proxy_listener_is_the_long_one() -> None:
    short = smartvpn.WebSocket(port=8443, proxy_protocol="v2", trusted_proxies=["10.0.0.0/8"])
    long = smartvpn.WebSocket(port=8443, proxy_protocol=smartvpn.ProxyProtocol("v2", ["10.0.0.0/8"]))
    assert short == long
    assert short.to_dict()["proxy_protocol"] == {"mode": "v2", "trusted_proxies": ["10.0.0.0/8"]}
    with pytest.raises(TypeError, match="trusted_proxies"):
        smartvpn.WebSocket(port=8443, trusted_proxies=["10.0.0.0/8"])


def whole() -> Dict[str, Any]:
    key = smartvpn.generate_key()
    return {
        "listen": [
            {
                "transport": "websocket",
                "port": 0,
                "address": "127.0.0.1",
                "proxy_protocol": {"mode": "v2", "trusted_proxies": ["127.0.0.1"]},
            }
        ],
        "keys": {"noise_private_key": key},
        "forwarding": {"mode": "host"},
        "clients": [
            {
                "id": "alice",
                "noise_public_key": smartvpn.public_key(key),
                "tags": ["staff"],
                "security": {"rate_limit": {"to_client_bytes_per_second": 1000}},
            }
        ],
    }


def test_json_goes_in_and_comes_out_unchanged() -> None:
    config = smartvpn.ServerConfig.from_json(json.dumps(whole()))
    assert config.listen == [
        smartvpn.WebSocket(0, "127.0.0.1", proxy_protocol="v2", trusted_proxies=["127.0.0.1"])
    ]
    assert config.clients is not None and config.clients[0].security is not None
    assert config.clients[0].security.rate_limit == smartvpn.RateLimit(to_client_bytes_per_second=1000)
    again = smartvpn.ServerConfig.from_json(config.to_json())
    assert again == config
    data = whole()
    assert smartvpn.ServerConfig.from_dict(data).to_dict() == data
    config.validate()


def test_from_json_refuses_what_the_library_does_not_know() -> None:
    with pytest.raises(smartvpn.InvalidError) as caught:
        smartvpn.ServerConfig.from_json('{"netwrok": {}}')
    assert caught.value.path == "/netwrok" and '"network"' in caught.value.text
    with pytest.raises(smartvpn.InvalidError):
        smartvpn.TunnelConfig.from_json("[]")


def test_validate_sees_the_whole_picture() -> None:
    with pytest.raises(smartvpn.InvalidError) as caught:
        smartvpn.ServerConfig(forwarding="testing").validate()
    assert caught.value.path == "/listen"
    with pytest.raises(smartvpn.InvalidError):
        smartvpn.TunnelConfig(server="ws://127.0.0.1:1").validate()


def test_secrets_are_shown_by_nothing_but_to_dict() -> None:
    config = smartvpn.ServerConfig.from_dict(whole())
    assert config.keys is not None and config.keys.noise_private_key is not None
    secret = config.keys.noise_private_key
    assert secret not in repr(config) and secret not in json.dumps(config.without_secrets())
    assert secret in config.to_json()


@pytest.mark.parametrize("form", ["dataclasses", "mapping", "text"])
def test_a_server_is_made_of_any_form(form: str) -> None:
    forms: Dict[str, Union[smartvpn.ServerConfig, Dict[str, Any], str]] = {
        "dataclasses": smartvpn.ServerConfig.from_dict(whole()),
        "mapping": whole(),
        "text": json.dumps(whole()),
    }
    with smartvpn.Server(forms[form]) as server:
        assert list(server.clients) == ["alice"]
        assert server.config.clients is not None and server.config.clients[0].id == "alice"


def test_a_key_is_made_only_where_dataclasses_leave_it_out() -> None:
    listen = [smartvpn.WebSocket(port=0, address="127.0.0.1")]
    config = smartvpn.ServerConfig(listen=listen, forwarding="testing")
    with smartvpn.Server(config) as server:
        keys = server.config.keys
        assert config.keys is None and keys is not None and keys.noise_private_key is not None
        assert server.public_key == smartvpn.public_key(keys.noise_private_key)
    with smartvpn.Server(listen=listen, forwarding="testing", keys=keys) as again:
        assert again.public_key == smartvpn.public_key(keys.noise_private_key)
    with pytest.raises(smartvpn.InvalidError) as caught:
        smartvpn.Server(config.to_dict())
    assert caught.value.path.startswith("/keys")


def test_configuration_or_keywords_but_not_both() -> None:
    with pytest.raises(TypeError, match="not of both"):
        smartvpn.Server(smartvpn.ServerConfig(), forwarding="testing")
    wrong: Sequence[Any] = (7, [1], b"{}")
    for config in wrong:
        with pytest.raises((TypeError, smartvpn.InvalidError)):
            smartvpn.Server(config)


def test_moments_become_milliseconds_and_need_a_zone() -> None:
    moment = datetime.datetime(2030, 1, 1, tzinfo=datetime.timezone.utc)
    assert smartvpn.Client(id="a", expires_at=moment).to_dict()["expires_at"] == 1893456000000
    with pytest.raises(ValueError, match="time zone"):
        smartvpn.Client(id="a", expires_at=datetime.datetime(2030, 1, 1)).to_dict()
