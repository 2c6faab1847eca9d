"""How programs are told of errors: in the form that their route names, or that they ask for."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from http import HTTPStatus
from types import MappingProxyType
from typing import Final

from proxy.errors import Reason
from proxy.web.visit import Visit

_STATUS_WORDS: Final[Mapping[int, str]] = MappingProxyType(
    {
        400: "The request could not be understood.",
        401: "Sign in first.",
        403: "This is not allowed.",
        404: "There is nothing here.",
        405: "This method is not allowed here.",
        408: "The request took too long to arrive.",
        413: "The request's body is too large.",
        414: "The address is too long.",
        417: "Only the expectation 100-continue is understood.",
        421: "This host name is not served here.",
        429: "There were too many requests. Try again later.",
        431: "The request's headers are too large.",
        502: "The service behind this proxy, or the sign-in service, did not answer properly.",
        503: "This is not available at the moment. Try again soon.",
        504: "The service behind this proxy took too long to answer.",
        505: "Only HTTP/1.1 and HTTP/1.0 are spoken here.",
    }
)
_REASON_WORDS: Final[Mapping[Reason, str]] = MappingProxyType(
    {
        Reason.TOKEN_INVALID: "The token is not valid here, or not any more.",
        Reason.TOKEN_NOT_ALLOWED: "The token is not for this address.",
        Reason.SCOPE_MISSING: "The token lacks a scope that is needed here.",
        Reason.CREDENTIAL_MISSING: (
            "The service behind this proxy needs a credential of yours, and there is none."
        ),
        Reason.EXCHANGE_FAILED: "The sign-in service gave no token for the service behind it.",
    }
)

_OPENAI: Final[Mapping[int, str]] = MappingProxyType(
    {
        401: "authentication_error",
        403: "permission_error",
        404: "not_found_error",
        429: "rate_limit_error",
    }
)
_JSONRPC: Final[Mapping[int, int]] = MappingProxyType(
    {400: -32600, 401: -32001, 403: -32003, 429: -32029, 500: -32603}
)
"""JSON-RPC 2.0 section 5.1: what is not its own lies between -32000 and -32099."""

_PROBLEM_TYPE: Final = "application/problem+json"
_ITEM: Final = re.compile(
    r"([a-z*][a-z0-9!#$&^_.+*-]*/[a-z0-9!#$&^_.+*-]+)((?:[ \t]*;[ \t]*[^;]*)*)"
)
_WEIGHT: Final = re.compile(r";[ \t]*q=(0(?:\.[0-9]{0,3})?|1(?:\.0{0,3})?)[ \t]*(?:;|$)")
_PROBLEM: Final = (
    frozenset({_PROBLEM_TYPE, "application/json"}),
    ("application/*", "*/*"),
)
_TEXT: Final = (frozenset({"text/plain"}), ("text/*", "*/*"))


def words(status: int, reason: Reason) -> str:
    """What to say, in a sentence."""
    known = _STATUS_WORDS.get(status, "The request failed.")
    return _REASON_WORDS.get(reason, known)


def problem(
    visit: Visit,
    route_errors: str,
    status: int,
    reason: Reason,
    words: str,
    more: Mapping[str, object],
) -> tuple[str, bytes]:
    """Content type and body. ``route_errors`` is the route's option; ``more`` are further members,
    such as ``login_url``. Never a page.
    """
    form = route_errors if route_errors != "auto" else _wanted(visit.header("Accept"))
    facts: dict[str, object] = {"request_id": visit.id, **more}
    match form:
        case "openai":
            return "application/json", _json(_openai(status, reason, words, facts))
        case "jsonrpc":
            return "application/json", _json(_jsonrpc(status, reason, words, facts))
        case "text":
            return "text/plain; charset=utf-8", _text(reason, words, facts)
        case _:
            return _PROBLEM_TYPE, _json(_problem(status, reason, words, facts))


def unread(status: int, reason: Reason, request_id: str) -> tuple[str, bytes]:
    """The same for a request that could not be read: nobody knows what its client likes."""
    facts = {"request_id": request_id}
    return _PROBLEM_TYPE, _json(_problem(status, reason, words(status, reason), facts))


def _problem(
    status: int, reason: Reason, words: str, facts: Mapping[str, object]
) -> dict[str, object]:
    """RFC 9457 section 3; a type of about:blank has the status's own title (section 4.2.1)."""
    return {
        "type": "about:blank",
        "title": HTTPStatus(status).phrase,
        "status": status,
        "detail": words,
        "error": str(reason),
        "message": words,
        **facts,
    }


def _openai(
    status: int, reason: Reason, words: str, facts: Mapping[str, object]
) -> dict[str, object]:
    """As OpenAI's API and its imitators have it, and as their SDKs read it."""
    usual = "server_error" if status >= 500 else "invalid_request_error"
    kind = _OPENAI.get(status, usual)
    error = {"message": words, "type": kind, "param": None, "code": str(reason), **facts}
    return {"error": error}


def _jsonrpc(
    status: int, reason: Reason, words: str, facts: Mapping[str, object]
) -> dict[str, object]:
    """JSON-RPC 2.0 section 5.1. The call was not read: its id is null."""
    data = {"error": str(reason), "message": words, "status": status, **facts}
    error = {"code": _JSONRPC.get(status, -32000), "message": words, "data": data}
    return {"jsonrpc": "2.0", "id": None, "error": error}


def _text(reason: Reason, words: str, facts: Mapping[str, object]) -> bytes:
    lines = [words, f"error: {reason}", *(f"{name}: {value}" for name, value in facts.items())]
    return "".join(f"{line}\n" for line in lines).encode("utf-8", "replace")


def _json(document: Mapping[str, object]) -> bytes:
    return json.dumps(document, ensure_ascii=False).encode("utf-8", "replace")


def _wanted(accept: str) -> str:
    """``text`` for whoever would rather have it; who names both, or neither, gets a problem.

    RFC 9110 section 12.5.1.
    """
    weights: dict[str, float] = {}
    for item in accept.lower().split(","):
        match = _ITEM.fullmatch(item.strip(" \t"))
        if match is not None:
            weight = _WEIGHT.search(match[2])
            weights[match[1]] = float(weight[1]) if weight else 1.0
    return "text" if _liked(_TEXT, weights) > _liked(_PROBLEM, weights) else "problem"


def _liked(
    kind: tuple[frozenset[str], tuple[str, ...]], weights: Mapping[str, float]
) -> tuple[float, bool]:
    """How much it is wanted, and whether by its name."""
    names, ranges = kind
    named = [weights[name] for name in names if name in weights]
    if named:
        return max(named), max(named) > 0
    return next((weights[each] for each in ranges if each in weights), 0.0), False
