"""Dataclasses that mirror JSON objects: a field is a key of the same name, and one that is None is not
written."""

from __future__ import annotations

import dataclasses
import datetime
import json
from typing import Any, Callable, ClassVar, Dict, List, Mapping, Type, TypeVar, Union

M = TypeVar("M", bound="Model")


def part(of: Callable[[Any], Any]) -> Any:
    """A field that holds another object; `of` makes it of its JSON."""
    return dataclasses.field(default=None, metadata={"of": of})


def parts(of: Callable[[Any], Any]) -> Any:
    """A field that holds a list of other objects."""
    return dataclasses.field(default=None, metadata={"each": of})


def secret() -> Any:
    """A field that repr() does not show."""
    return dataclasses.field(default=None, repr=False)


def plain(value: Any) -> Any:
    """A value as JSON has it."""
    if isinstance(value, Model):
        return value.to_dict()
    if isinstance(value, datetime.datetime):
        return milliseconds(value)
    if isinstance(value, Mapping):
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple, set, frozenset)):
        return [plain(item) for item in value]
    return value


def to_json(value: Any) -> str:
    """JSON text of dataclasses, dictionaries and lists. TypeError for what JSON cannot say."""
    return json.dumps(plain(value), ensure_ascii=False, allow_nan=False)


def milliseconds(moment: datetime.datetime) -> int:
    if moment.tzinfo is None:
        raise ValueError("a moment needs a time zone, such as datetime.timezone.utc")
    return int(moment.timestamp() * 1000)


class Model:
    """Base of these dataclasses."""

    fixed: ClassVar[Mapping[str, str]] = {}  # keys that every object of the class has

    def to_dict(self) -> Dict[str, Any]:
        """As JSON has it, without what is not set; a copy."""
        out: Dict[str, Any] = dict(self.fixed)
        for field in dataclasses.fields(self):
            value = getattr(self, field.name)
            if value is not None:
                out[field.name] = plain(value)
        return out

    def to_json(self) -> str:
        return to_json(self)

    @classmethod
    def from_dict(cls: Type[M], data: Mapping[str, Any]) -> M:
        """The object of its JSON. Keys that this class has no field for are left out."""
        values: Dict[str, Any] = {}
        for field in dataclasses.fields(cls):
            if field.name in data:
                values[field.name] = _built(field.metadata, data[field.name])
        return cls(**values)


def _built(metadata: Mapping[str, Callable[[Any], Any]], value: Any) -> Any:
    if value is None:
        return None
    if "of" in metadata and isinstance(value, Mapping):
        return metadata["of"](value)
    if "each" in metadata:
        each: List[Any] = [metadata["each"](item) for item in value]
        return each
    return value


Json = Union[str, Mapping[str, Any]]
