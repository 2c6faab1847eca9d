"""What a form sends, a page's or a provider's."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final
from urllib.parse import parse_qsl

from proxy.errors import BadRequest, Reason
from proxy.model import Kind
from proxy.rules.target import read_kind
from proxy.web.client import read_body
from proxy.web.visit import Visit

_FORM: Final = "application/x-www-form-urlencoded"
LARGEST: Final = 16 * 1024
_PATIENCE: Final = 10.0
MOST_FIELDS: Final = 20

Fields = Sequence[tuple[str, str]]


async def read_form(
    visit: Visit,
    reason: Reason = Reason.BAD_BODY,
    largest: int = LARGEST,
    most: int = MOST_FIELDS,
) -> Fields:
    """The fields in the request's body, all of which is read: ``largest`` bytes and ``most``
    fields at most.

    Raises BadRequest, for ``reason`` where it is no form.
    """
    body, data = read_body(visit, largest, _PATIENCE), b""
    if body is not None:
        data = body.ready + b"".join([chunk async for chunk in body.chunks])
    if visit.header("Content-Type").partition(";")[0].strip().lower() != _FORM:
        raise BadRequest(reason, f"the body is not {_FORM}")
    try:
        text = data.decode("ascii")
        return parse_qsl(text, keep_blank_values=True, errors="strict", max_num_fields=most)
    except ValueError:
        raise BadRequest(reason, "the body is not a form") from None


def only(fields: Fields, name: str) -> str:
    """The value of the field that comes once; empty for none, or several."""
    found = [value for field, value in fields if field == name]
    return found[0] if len(found) == 1 else ""


def from_here(visit: Visit, public_url: str) -> bool:
    """Does the browser say that a page of this origin asks? (Fetch Metadata, else Origin)

    Who says nothing is no browser, or an old one: a token in the form must decide.
    """
    site = visit.header("Sec-Fetch-Site")
    if site:
        return site == "same-origin"
    origin = visit.header("Origin").lower()
    here = f"{visit.goal.scheme}://{visit.goal.host}"
    return origin in ("", public_url, here)


def kind_of_form(visit: Visit) -> Kind:
    """What may be answered to a POST: a form of a page is answered with pages."""
    fields: dict[bytes, list[str]] = {}
    for name, value in visit.request.headers:
        fields.setdefault(name.lower(), []).append(value.decode("latin-1"))
    return read_kind("GET", fields)
