"""Values that options are made of: how each is written, parsed and shown."""

from __future__ import annotations

import base64
import binascii
import ipaddress
import re
from typing import Annotated, Any
from urllib.parse import urlsplit

from pydantic import (
    AfterValidator,
    BeforeValidator,
    GetCoreSchemaHandler,
    GetJsonSchemaHandler,
    WithJsonSchema,
)
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, core_schema

Network = ipaddress.IPv4Network | ipaddress.IPv6Network

_DURATION = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h|d)")
_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_SEGMENTS = re.compile(r"/|(/[A-Za-z0-9._~!$&'()+,;=:@-]+)+/?")  # RFC 3986 pchar, no % and no *
_SIZE = re.compile(r"(\d+)\s*(B|KiB|MiB|GiB|kB|MB|GB)?", re.IGNORECASE)
_BYTES = {"b": 1, "kib": 2**10, "mib": 2**20, "gib": 2**30, "kb": 1000, "mb": 10**6, "gb": 10**9}


class Secret:
    """A text that never shows itself: ``str`` and ``repr`` print stars, ``reveal()`` the value."""

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        self._value = value

    def reveal(self) -> str:
        return self._value

    def __bool__(self) -> bool:
        return bool(self._value)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and other._value == self._value

    def __hash__(self) -> int:
        return hash(self._value)

    def __repr__(self) -> str:
        return "Secret('***')" if self._value else "Secret('')"

    __str__ = __repr__

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        def parse(value: object) -> Secret:
            if isinstance(value, Secret):
                return value
            if isinstance(value, str):
                return cls(value.strip())
            raise ValueError("expected a text")

        return core_schema.no_info_plain_validator_function(
            parse, serialization=core_schema.plain_serializer_function_ser_schema(lambda _: "***")
        )

    @classmethod
    def __get_pydantic_json_schema__(
        cls, schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        return {"type": "string", "format": "password", "writeOnly": True}


def parse_duration(value: object) -> float:
    """``30``, ``"30s"``, ``"12h"``, ``"1h30m"`` → seconds. Raises ValueError."""
    if isinstance(value, bool):
        raise ValueError("expected a duration such as 30s, 5m or 12h")
    if isinstance(value, int | float):
        seconds = float(value)
    else:
        text = str(value).strip()
        parts = _DURATION.findall(text)
        if text.isdigit():
            seconds = float(text)
        elif parts and "".join(n + u for n, u in parts) == text:
            seconds = sum(float(n) * _SECONDS[u] for n, u in parts)
        else:
            raise ValueError(f"{text!r} is not a duration such as 30s, 5m or 12h")
    if not 0 <= seconds <= 10 * 365 * 86400:
        raise ValueError("a duration lies between 0 and ten years")
    return seconds


def show_duration(seconds: float) -> str:
    """Seconds → the shortest form that ``parse_duration`` reads back."""
    for unit in ("d", "h", "m"):
        if seconds >= _SECONDS[unit] and seconds % _SECONDS[unit] == 0:
            return f"{int(seconds // _SECONDS[unit])}{unit}"
    return f"{int(seconds)}s" if seconds == int(seconds) else f"{round(seconds * 1000)}ms"


def parse_size(value: object) -> int:
    """``65536``, ``"64KiB"``, ``"1 MiB"`` → bytes. Raises ValueError."""
    if isinstance(value, int) and not isinstance(value, bool) and value >= 0:
        return value
    match = _SIZE.fullmatch(str(value).strip())
    if not match:
        raise ValueError(f"{value!r} is not a size such as 64KiB or 10MiB")
    return int(match[1]) * _BYTES[(match[2] or "B").lower()]


def show_size(size: int) -> str:
    """Bytes → the shortest form that ``parse_size`` reads back."""
    for unit in ("GiB", "MiB", "KiB"):
        if size and size % _BYTES[unit.lower()] == 0:
            return f"{size // _BYTES[unit.lower()]}{unit}"
    return str(size)


def parse_network(value: object) -> Network:
    """``10.0.0.0/8``, ``127.0.0.1``, ``::1`` → a network. Raises ValueError."""
    if isinstance(value, ipaddress.IPv4Network | ipaddress.IPv6Network):
        return value
    try:
        return ipaddress.ip_network(str(value).strip())
    except ValueError as exc:
        raise ValueError(f"{value!r} is not a network such as 10.0.0.0/8 ({exc})") from exc


def parse_http_url(value: object) -> str:
    """An absolute http or https URL without user, query or fragment. Raises ValueError.

    Kept exactly as written: an issuer is compared as a string (OpenID Connect Discovery 4.3).
    """
    text = str(value).strip()
    if any(c.isspace() or not 0x20 < ord(c) < 0x7F for c in text) or "\\" in text:
        raise ValueError("a URL holds no spaces, backslashes, control or non-ASCII characters")
    parts = urlsplit(text)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError(f"{text!r} is not an absolute http(s) URL (is https:// missing?)")
    if "@" in parts.netloc:
        raise ValueError("a URL holds no user name or password here")
    if parts.query or parts.fragment or text.endswith(("?", "#")):
        raise ValueError("a URL holds no query and no fragment here")
    _ = parts.port  # raises ValueError when it is no number
    return text


def parse_public_url(value: object) -> str:
    """As ``parse_http_url``, reduced to an origin without a trailing slash."""
    text = parse_http_url(value).rstrip("/")
    if urlsplit(text).path:
        path = urlsplit(text).path
        raise ValueError(
            "public_url is scheme, host and port only; where an outer proxy serves the app below "
            f"a path, say server.prefix: {path}/oauth2"
        )
    text = text.lower()
    # As browsers write an Origin (RFC 6454 section 6.1): without the scheme's own port.
    return text.removesuffix(":443" if text.startswith("https:") else ":80")


# Long words only: four letters turn up by chance in one of 25,000 good secrets.
_PLACEHOLDERS = ("changeme", "change-me", "secret", "password", "example", "placeholder")


def decode_cookie_secret(text: str) -> bytes:
    """Any usual spelling of 32 random bytes → those bytes. Raises ValueError.

    Accepted: standard or URL-safe base64, padded or not, hexadecimal, or 32 raw characters
    (also 16 or 24 bytes are recognised, and refused with a clear word).
    """
    value = text.strip()
    if any(word in value.lower() for word in _PLACEHOLDERS) or len(set(value)) < 8:
        raise ValueError("looks like a placeholder; make one with: auth-proxy keys secret")
    raw = _decode_secret(value)
    half = len(raw) // 2
    if len(set(raw)) < 8 or (half and raw[:half] == raw[half:]):
        raise ValueError("repeats itself; make one with: auth-proxy keys secret")
    if len(raw) != 32:
        raise ValueError(
            f"holds {len(raw)} bytes of key, 32 are needed; make one with: auth-proxy keys secret"
        )
    return raw


def _decode_secret(value: str) -> bytes:
    if re.fullmatch(r"[0-9a-fA-F]{64}", value):
        return bytes.fromhex(value)
    if len(value) == 32:
        return value.encode()
    if re.fullmatch(r"[A-Za-z0-9+/_-]+={0,2}", value):
        body = value.rstrip("=").replace("-", "+").replace("_", "/")
        try:
            return base64.b64decode(body + "=" * (-len(body) % 4), validate=True)
        except binascii.Error:
            pass
    return value.encode()


def parse_listen(text: str) -> tuple[str, int]:
    """``127.0.0.1:4180``, ``[::1]:4180``, ``localhost:4180`` → host and port. Raises ValueError.

    An empty host (``:4180``) means every address, written ``0.0.0.0``.
    """
    match = re.fullmatch(r"(?:\[([0-9A-Fa-f:.]+)\]|([A-Za-z0-9.-]*)):([0-9]{1,5})", text.strip())
    if not match or not 0 <= int(match[3]) <= 65535:
        raise ValueError(f"{text!r} is not host:port, such as 127.0.0.1:4180 or [::1]:4180")
    if match[1]:
        ipaddress.IPv6Address(match[1])
    return match[1] or match[2] or "0.0.0.0", int(match[3])  # noqa: S104


def is_loopback(host: str) -> bool:
    """Whether ``host`` can only be reached from this machine: localhost, 127.0.0.0/8, ::1."""
    name = host.strip("[]").rstrip(".").lower()
    if name == "localhost":
        return True
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False


def _endpoint_path(value: str) -> str:
    """A path of ours, or empty. Raises ValueError."""
    plain = re.fullmatch(r"(/[A-Za-z0-9._~!$&'()*+,;=:@-]*)*", value) and "//" not in value
    if not plain or {".", ".."} & set(value.split("/")):
        raise ValueError("a path starts with one / and holds no %, ?, # and no dot segments")
    return value


def route_path(value: str) -> str:
    """``/ping``, or ``/api/*`` for all below. Raises ValueError."""
    base = value.removesuffix("/*") or "/"
    if "*" in base:
        raise ValueError("'*' may only stand at the end, as in /api/*")
    if "%" in base or "//" in base or not base.startswith("/"):
        raise ValueError("a path starts with one /, and holds no percent sign and no //")
    if {".", ".."} & set(base.split("/")):
        raise ValueError("a path holds no . or .. segments")
    if not _SEGMENTS.fullmatch(base):
        raise ValueError("a path holds only characters of a URL path")
    return value


def _rewrite(value: str) -> str:
    if not value.startswith("/"):
        raise ValueError("starts with /")
    return value


def _split(value: object) -> object:
    """Environment and flags give lists as ``a,b``; the file gives real lists."""
    if isinstance(value, str):
        return [item.strip() for item in value.split(",") if item.strip()]
    return value


def split_secrets(text: str) -> list[str]:
    """Secrets as a file or a variable has them: one on a line, or separated by commas.

    A line that begins with ``# `` is a remark. ``auth-proxy keys rotate`` writes such files.
    """
    lines = (line.strip() for line in text.split("\n"))
    items = (item.strip() for line in lines if line[:2] != "# " for item in line.split(","))
    return [item for item in items if item]


def _split_secrets(value: object) -> object:
    return split_secrets(value) if isinstance(value, str) else value


def _string_schema(description: str, *examples: str) -> WithJsonSchema:
    return WithJsonSchema(
        {"type": ["string", "integer"], "description": description, "examples": list(examples)}
    )


Duration = Annotated[
    float, BeforeValidator(parse_duration), _string_schema("a duration", "30s", "5m", "12h")
]
Size = Annotated[int, BeforeValidator(parse_size), _string_schema("a size", "64KiB", "10MiB")]
NetworkItem = Annotated[Network, BeforeValidator(parse_network), WithJsonSchema({"type": "string"})]
HttpUrl = Annotated[str, BeforeValidator(parse_http_url)]
RoutePath = Annotated[str, AfterValidator(route_path)]
Rewrite = Annotated[str, AfterValidator(_rewrite)]
EndpointPath = Annotated[str, AfterValidator(_endpoint_path)]
PublicUrl = Annotated[str, BeforeValidator(parse_public_url)]
Strings = Annotated[tuple[str, ...], BeforeValidator(_split)]
Networks = Annotated[tuple[NetworkItem, ...], BeforeValidator(_split)]
Secrets = Annotated[tuple[Secret, ...], BeforeValidator(_split_secrets)]
