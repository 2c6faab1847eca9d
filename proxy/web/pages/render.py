"""Our pages as bytes: a template, a language and fields that are always escaped."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from functools import cache, cached_property
from importlib.resources import files
from types import MappingProxyType
from typing import TYPE_CHECKING
from urllib.parse import quote

from markupsafe import Markup, escape

from proxy.errors import Reason
from proxy.web.pages.language import DEFAULT, Language, Words, choose_language, languages

if TYPE_CHECKING:
    from jinja2 import Environment

__all__ = [
    "SECURITY_HEADERS",
    "STATIC_HEADERS",
    "Pages",
    "choose_language",
    "page_headers",
    "static",
]

# No form-action: Chromium applies it to the redirects that follow a POST, and the answer to our
# sign-out form leads to the provider, whose host may lead on to others that nobody knows here.
_POLICY = "; ".join(
    (
        "default-src 'none'",
        "style-src 'self'",
        "img-src 'self'",
        "base-uri 'none'",
        "frame-ancestors 'none'",
    )
)

SECURITY_HEADERS: tuple[tuple[str, str], ...] = (
    ("Content-Security-Policy", _POLICY),
    ("X-Content-Type-Options", "nosniff"),
    ("X-Frame-Options", "DENY"),
    ("Referrer-Policy", "no-referrer"),
    ("Cross-Origin-Opener-Policy", "same-origin"),
    ("Cache-Control", "no-store"),
)
"""For every page; ``page_headers`` adds what depends on the language."""

STATIC_HEADERS: tuple[tuple[str, str], ...] = (
    ("Content-Security-Policy", "default-src 'none'"),
    ("X-Content-Type-Options", "nosniff"),
    ("Cross-Origin-Resource-Policy", "same-origin"),
    # pages link to a file with its digest, so that a new release is never shown in old clothes
    ("Cache-Control", "public, max-age=86400"),
)
"""For every static file, besides its Content-Type."""

_STATIC: Mapping[str, str] = MappingProxyType(
    {"style.css": "text/css; charset=utf-8", "icon.svg": "image/svg+xml"}
)

_CONTACT = ("request_id", "help_url", "support_email")

_FIELDS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "error": ("reason", "status"),
        "denied": ("reason", "sign_out_url"),
        "debug": ("debug_url", "providers", "token"),
        "debug_result": ("debug_url", "found", "rules"),
        "device": ("account", "device_url", "token"),
        "device_allowed": ("account",),
        "device_confirm": (
            *("account", "program", "begun", "begun_ago"),
            *("login", "device_url", "token"),
        ),
        "device_denied": ("account",),
        "sessions": ("sessions", "sessions_url", "token"),
        "sign_in": ("providers", "sign_in_url", "return_to"),
        "tokens": ("tokens", "tokens_url", "token", "choices"),
        "signed_out": ("sign_in_url", "provider_signed_out"),
        "sign_out": ("sign_out_url",),
        "loop": ("sign_in_url",),
        "disabled": (),
    }
)
"""Every page, with the fields that it needs."""

_OPTIONAL: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "error": ("retry_url",),
        "denied": ("email", "remedy"),
        "device_confirm": ("address", "is_elsewhere", "scopes"),
        "sessions": ("email", "has_more", "is_done"),
        "sign_in": ("asks_email", "is_unknown"),
        "tokens": (
            *("email", "can_make", "is_full", "is_done"),
            *("made", "secret", "mistake", "name"),
        ),
        "loop": ("public_url", "cookie_hint"),
    }
)
"""Fields that may be left out, or be empty or None, besides those of ``_CONTACT``."""

_UNITS = (("day", 86_400, 2), ("hour", 3600, 1), ("minute", 60, 1))
"""Units of time, their seconds, and how many of them it takes to say so."""


class Pages:
    """Renders our pages; ``static_path`` is where ``static`` is served, with a final slash."""

    def __init__(self, static_path: str) -> None:
        self._globals = {
            name.partition(".")[0]: f"{static_path}{name}?v={_digest(name)}" for name in _STATIC
        }

    @cached_property
    def _environment(self) -> Environment:
        from jinja2 import Environment, PackageLoader, StrictUndefined  # late: for the first page

        environment = Environment(
            loader=PackageLoader(__package__),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
            auto_reload=False,
        )
        environment.filters.update(
            link=_link,
            mailto=_mailto,
            fill=_fill,
            ago=_ago,
            left=_left,
            span=_span,
            as_json=_as_json,
        )
        environment.globals.update(self._globals)
        return environment

    def render(self, page: str, language: str, **fields: object) -> bytes:
        """A whole page as UTF-8 HTML; an unknown ``language`` means the default.

        Raises ValueError for an unknown page, TypeError for a field that is missing or unknown.
        """
        values = _checked(page, fields)
        known = languages()
        spoken = known.get(language) or known[DEFAULT]
        text = self._environment.get_template(f"{page}.html").render(
            values,
            tag=spoken.tag,
            direction=spoken.direction,
            labels=spoken.labels,
            words=_words(page, spoken, values),
        )
        return text.encode("utf-8", "replace")  # a lone surrogate must not break an error page


def page_headers(language: str) -> tuple[tuple[str, str], ...]:
    """All the headers of a page in that language; the status is the caller's."""
    return (
        *SECURITY_HEADERS,
        ("Content-Type", "text/html; charset=utf-8"),
        ("Content-Language", language),
    )


def static(name: str) -> tuple[str, bytes] | None:
    """A static file's content type and body; None for a name that is not one of ours."""
    return (_STATIC[name], _body(name)) if name in _STATIC else None


@cache
def _body(name: str) -> bytes:
    return files(__package__).joinpath("static", name).read_bytes()


def _digest(name: str) -> str:
    return hashlib.sha256(_body(name)).hexdigest()[:12]


def _checked(page: str, fields: Mapping[str, object]) -> dict[str, object]:
    if page not in _FIELDS:
        raise ValueError(f"there is no page {page!r}")
    optional = (*_CONTACT, *_OPTIONAL.get(page, ()))
    missing = [name for name in _FIELDS[page] if name not in fields]
    unknown = [name for name in fields if name not in _FIELDS[page] and name not in optional]
    if missing or unknown:
        raise TypeError(f"page {page!r}: missing {missing}, unknown {unknown}")
    return {**dict.fromkeys(optional, ""), **fields}


def _words(page: str, language: Language, values: Mapping[str, object]) -> Words:
    match page:
        case "error" | "denied":
            return language.words(str(values["reason"]))
        case "loop":
            return language.words(Reason.LOGIN_LOOP)
        case "disabled":
            return language.words(Reason.LOGIN_DISABLED)
        case _:
            return language.pages[page]


def _link(url: object) -> str:
    """A path of ours or an http(s) URL as it is; anything else, ``javascript:`` say, is no link."""
    text = str(url or "")
    if "\\" in text or any(char.isspace() or not char.isprintable() for char in text):
        return ""
    local = text.startswith("/") and not text.startswith("//")
    return text if local or text.lower().startswith(("http://", "https://")) else ""


def _mailto(address: object, subject: str) -> str:
    """A mailto URL (RFC 6068 section 2) in which neither value can add a header field."""
    to = quote(str(address), safe="@", errors="replace")
    return f"mailto:{to}?subject={quote(subject, safe='', errors='replace')}"


def _fill(sentence: str, **values: object) -> Markup:
    """A sentence of a language file with its ``{names}`` replaced by escaped values."""
    return escape(sentence).format(**values)


def _as_json(value: object) -> str:
    """A value as JSON, in which what cannot be seen, or turns the text around, is an escape."""
    text = json.dumps(value, ensure_ascii=False, indent=2, default=str)
    return "".join(
        char if char.isprintable() or char == "\n" else json.dumps(char)[1:-1] for char in text
    )


def _ago(seconds: float, labels: Mapping[str, str]) -> Markup:
    """How long ago, in words: needs no time zone, which we do not know."""
    return _time("ago", seconds, labels)


def _left(seconds: float, labels: Mapping[str, str]) -> Markup:
    """In how long, in words."""
    return _time("left", seconds, labels)


def _span(seconds: float, labels: Mapping[str, str]) -> Markup:
    """How long, in words: in the longest unit of which it is so many."""
    for unit, length, _ in _UNITS:
        count = int(seconds // length)
        if count and (seconds % length == 0 or unit == "minute"):
            return _fill(labels[f"span_{unit}" if count == 1 else f"span_{unit}s"], count=count)
    return escape(labels["span_now"])


def _time(kind: str, seconds: float, labels: Mapping[str, str]) -> Markup:
    for unit, length, fewest in _UNITS:
        count = int(seconds // length)
        if count >= fewest:
            name = f"{kind}_{unit}" if count == 1 else f"{kind}_{unit}s"
            return _fill(labels[name], count=count)
    return escape(labels[f"{kind}_now"])
