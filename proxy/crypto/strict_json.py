"""JSON from outside, read so that it can mean only one thing."""

from __future__ import annotations

import json
import math
from typing import NoReturn


def read_object(data: bytes, limit: int) -> dict[str, object]:
    """The JSON object in ``data``, which may hold at most ``limit`` bytes.

    Stricter than ``json.loads``: UTF-8 only, no member name twice (readers disagree on which
    one counts), no NaN and no Infinity. Raises ValueError whose text never quotes a value.
    """
    value = _read(data, limit)
    if not isinstance(value, dict):
        raise ValueError(f"a JSON {_kind(value)}, not an object")
    return value


def read_list(data: bytes, limit: int) -> list[object]:
    """The same for a JSON array."""
    value = _read(data, limit)
    if not isinstance(value, list):
        raise ValueError(f"a JSON {_kind(value)}, not an array")
    return value


def _read(data: bytes, limit: int) -> object:
    if len(data) > limit:
        raise ValueError(f"larger than {limit} bytes")
    try:
        value: object = json.loads(
            data.decode("utf-8"),
            object_pairs_hook=_unique,
            parse_constant=_no_constant,
            parse_float=_finite,
        )
    except UnicodeDecodeError:
        raise ValueError("not UTF-8") from None
    except json.JSONDecodeError as exc:
        raise ValueError(f"not JSON (at character {exc.pos})") from None
    except RecursionError:
        raise ValueError("nested too deeply") from None
    return value


def _unique(pairs: list[tuple[str, object]]) -> dict[str, object]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise ValueError("a member name comes twice")
    return members


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


def _finite(digits: str) -> float:
    value = float(digits)
    if math.isinf(value):
        raise ValueError("a number is out of range")
    return value


def _kind(value: object) -> str:
    match value:
        case None:
            return "null"
        case dict():
            return "object"
        case list():
            return "array"
        case str():
            return "text"
        case bool():
            return "boolean"
    return "number"
