"""How many processes serve: a number, or as many as there are processors to use."""

from __future__ import annotations

from typing import Annotated, Final

from pydantic import BeforeValidator, WithJsonSchema

AUTO: Final = 0
MOST: Final = 256


def parse_workers(value: object) -> int:
    """``1``, ``"4"`` → the number; ``auto`` → AUTO. Raises ValueError."""
    if isinstance(value, str):
        text = value.strip()
        if text == "auto":
            return AUTO
        value = int(text) if text.isascii() and text.isdecimal() and len(text) < 5 else text
    if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= MOST:
        raise ValueError(f"{value!r} is neither auto nor a number from 1 to {MOST}")
    return value


Workers = Annotated[
    int,
    BeforeValidator(parse_workers),
    WithJsonSchema({"type": ["string", "integer"], "examples": ["auto", 4]}),
]
