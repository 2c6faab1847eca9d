"""The demo provider's own pages: plain HTML, one small stylesheet, no script."""

from __future__ import annotations

from pathlib import Path

from aiohttp import web
from jinja2 import Environment, FileSystemLoader, StrictUndefined

STATIC = Path(__file__).parent / "static"
TEMPLATES = Path(__file__).parent / "templates"

# No form-action here: Chromium also applies it to the redirect that answers a form, and that
# one leads to the relying party.
_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; style-src 'self'; img-src 'self'; "
    "base-uri 'none'; frame-ancestors 'none'",
    "Cache-Control": "no-store",
    "Referrer-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}

_templates = Environment(
    loader=FileSystemLoader(TEMPLATES), autoescape=True, undefined=StrictUndefined
)


def render(template: str, /, **values: object) -> str:
    """The ``template`` filled in; every value is escaped."""
    return _templates.get_template(template).render(values)


def page(template: str, /, *, status: int = 200, **values: object) -> web.Response:
    """A page of the provider, with the headers that all of them carry."""
    return web.Response(
        text=render(template, **values), status=status, content_type="text/html", headers=_HEADERS
    )
