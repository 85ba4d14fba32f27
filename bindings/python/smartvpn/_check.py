"""Configurations as the library sees them: native handles, and what it says about a text."""

from __future__ import annotations

import contextlib
import json
from typing import Any, Dict, Iterator, Union

from . import _native
from ._model import Json, Model, plain

SERVER: int = _native.CONFIG_SERVER
TUNNEL: int = _native.CONFIG_TUNNEL
RELAY: int = _native.CONFIG_RELAY


def text_of(config: Union[Model, Json]) -> str:
    """Any form of a configuration as JSON text."""
    if isinstance(config, str):
        return config
    return json.dumps(plain(config), ensure_ascii=False)


@contextlib.contextmanager
def native_config(kind: int, config: Union[Model, Json]) -> Iterator[Any]:
    """The library's own form of it, while the block runs."""
    raw = _native.config_from_json(kind, text_of(config))
    try:
        yield raw
    finally:
        _native.config_free(raw)


def checked_dict(kind: int, text: str) -> Dict[str, Any]:
    """The dictionary of a JSON text that the library takes: no unknown keys, types and ranges right."""
    with native_config(kind, text) as raw:
        whole: Dict[str, Any] = json.loads(_native.config_to_json(raw, 1))
        return whole


def validate(kind: int, config: Union[Model, Json]) -> None:
    with native_config(kind, config) as raw:
        _native.config_validate(raw)


def without_secrets(kind: int, config: Union[Model, Json]) -> Dict[str, Any]:
    with native_config(kind, config) as raw:
        shown: Dict[str, Any] = json.loads(_native.config_to_json(raw, 0))
        return shown
