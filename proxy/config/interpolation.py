"""``${NAME}`` and ``${NAME:-default}`` in a value that was already parsed."""

from __future__ import annotations

import re
from collections.abc import Mapping

_REFERENCE = re.compile(r"\$\$\{|\$\{(?P<inside>[^}]*)(?P<end>\}?)")
_INSIDE = re.compile(r"(?P<name>[A-Za-z_][A-Za-z0-9_]*)(?::-(?P<default>.*))?", re.DOTALL)


def interpolate(text: str, environ: Mapping[str, str]) -> str:
    """``text`` with its references replaced; ``$${`` stands for a literal ``${``.

    An empty variable counts as unset. What a variable holds is never read again for
    references. Raises ValueError naming every reference that cannot be resolved.
    """
    troubles: list[str] = []

    def value(match: re.Match[str]) -> str:
        if match["inside"] is None:
            return "${"
        parts = _INSIDE.fullmatch(match["inside"])
        if not match["end"] or not parts:
            troubles.append("'${' must begin ${NAME} or ${NAME:-default}; write $${ for itself")
            return ""
        found = environ.get(parts["name"], "") or parts["default"]
        if found is None:
            troubles.append(f"${{{parts['name']}}} is not set")
        return found or ""

    result = _REFERENCE.sub(value, text)
    if troubles:
        raise ValueError(", ".join(dict.fromkeys(troubles)))
    return result
