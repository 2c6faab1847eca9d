"""Parameters added to a URL that the provider chose, without touching what it wrote."""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import quote, unquote_plus, urlencode, urlsplit, urlunsplit


def add_query(url: str, params: Mapping[str, str]) -> str:
    """``url`` with ``params`` after its own query, whose other parameters stay as written.

    A parameter that the URL already has is replaced: none may come twice (RFC 6749
    section 3.1). Spaces become ``%20``.
    """
    parts = urlsplit(url)
    kept = [
        pair
        for pair in parts.query.split("&")
        if pair and unquote_plus(pair.split("=", 1)[0]) not in params
    ]
    query = "&".join([*kept, urlencode(params, quote_via=quote)])
    return urlunsplit(parts._replace(query=query, fragment=""))
