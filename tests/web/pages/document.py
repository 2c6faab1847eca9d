"""Reads a page the way a strict reader would: every tag closed, in order, and collected."""

from __future__ import annotations

from collections.abc import Iterator
from html.parser import HTMLParser

_VOID = frozenset({"meta", "link", "img", "br", "hr", "input"})


class Document(HTMLParser):
    """A parsed page. Raises AssertionError when its tags do not balance."""

    def __init__(self, page: bytes) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: list[tuple[str, dict[str, str]]] = []
        self._open: list[str] = []
        self._texts: list[tuple[str, str]] = []
        self.feed(page.decode("utf-8"))
        self.close()
        assert not self._open, f"left open: {self._open}"

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        names = [name for name, _ in attrs]
        assert len(names) == len(set(names)), f"<{tag}> has an attribute twice"
        self.tags.append((tag, {name: value or "" for name, value in attrs}))
        if tag not in _VOID:
            self._open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self._open, f"</{tag}> closes nothing"
        assert self._open.pop() == tag, f"</{tag}> out of order"

    def handle_data(self, data: str) -> None:
        if data.strip():
            self._texts.append((self._open[-1] if self._open else "", data.strip()))

    def all(self, tag: str) -> list[dict[str, str]]:
        """The attributes of every element of this name."""
        return [attributes for name, attributes in self.tags if name == tag]

    def attributes(self) -> Iterator[tuple[str, str]]:
        return ((name, value) for _, given in self.tags for name, value in given.items())

    @property
    def text(self) -> str:
        return " ".join(text for _, text in self._texts)

    def within(self, tag: str) -> list[str]:
        """The texts that stand directly in elements of this name."""
        return [text for name, text in self._texts if name == tag]
