"""A validation error of the library → one plain sentence, without any secret."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

_EXPECTED = {
    "missing": "is needed",
    "string_type": "expected a text",
    "tuple_type": "expected a list",
    "dict_type": "expected a mapping of names to values",
    "model_type": "expected options below it, indented",
    "model_attributes_type": "expected options below it, indented",
    "bool_type": "expected true or false",
    "int_type": "expected a whole number",
    "string_too_short": "must not be empty",
}
_GIVEN = {
    "bool_parsing": "{given} is neither true nor false",
    "int_parsing": "{given} is not a whole number",
    "int_from_float": "{given} is not a whole number",
    "literal_error": "{given} is not one of {expected}",
    "enum": "{given} is not one of {expected}",
    "int_parsing_size": "{given} is too large a number",
    "greater_than": "must be more than {gt}",
    "greater_than_equal": "must be {ge} or more",
    "less_than_equal": "must be {le} or less",
    "string_pattern_mismatch": "{given} is not allowed here (pattern {pattern})",
}
_BOUNDS = ("gt", "ge", "le")


def explain(error: Mapping[str, Any], *, secret: bool, show: Callable[[Any], str] = str) -> str:
    """What is wrong, in words; the value given is shown unless ``secret``.

    ``show`` writes a bound, unless it is 0, as people write the option's value.
    """
    kind, context = str(error["type"]), error.get("ctx", {})
    if kind in _EXPECTED:
        return _EXPECTED[kind]
    if kind == "value_error":
        return str(context["error"])
    if kind in _GIVEN:
        # a mapping or a list may hold secrets
        secret = secret or not isinstance(error["input"], str | int | float | None)
        given = "the value" if secret else repr(error["input"])[:80]
        bounds = {name: context[name] for name in _BOUNDS if name in context}
        shown = {name: show(bound) if bound else "0" for name, bound in bounds.items()}
        return _GIVEN[kind].format(given=given, **{**context, **shown})
    return str(error["msg"])
