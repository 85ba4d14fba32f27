"""Version, features, keys and QR codes."""

from __future__ import annotations

from typing import Any

import pytest

import smartvpn


def test_version_and_features() -> None:
    assert smartvpn.__version__ == smartvpn.version()
    assert smartvpn.abi_version() >= 1
    assert smartvpn.has("websocket") is True
    assert smartvpn.has("time_travel") is False


def test_keys_are_made_and_have_public_keys() -> None:
    keys = {smartvpn.generate_key() for _ in range(10)}
    assert len(keys) == 10 and all(len(key) == 44 for key in keys)
    assert smartvpn.public_key("dwdtCnMYpX08FsFyUbJmRd9ML4frwJkqsXf7pR25LCo=") == (
        "hSDwCYkwp1R0i33ctD73Wg2/Og0mOBr066SpjqqbTmo="
    )
    with pytest.raises(smartvpn.InvalidError):
        smartvpn.public_key("no key")
    wrong: Any = None
    with pytest.raises((TypeError, smartvpn.InvalidError)):
        smartvpn.public_key(wrong)


def test_qr_codes_come_in_every_form() -> None:
    assert smartvpn.qr("vpn", "png")[:4] == b"\x89PNG"
    assert "<svg " in str(smartvpn.qr("vpn", "svg"))
    assert str(smartvpn.qr("vpn", "matrix")).startswith("1111111")
    assert "█" in str(smartvpn.qr("vpn"))
    with pytest.raises(ValueError, match="form is one of"):
        smartvpn.qr("vpn", "gif")
    with pytest.raises(smartvpn.LimitError):
        smartvpn.qr("x" * 3000)
