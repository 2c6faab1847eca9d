"""Access and audit lines, as JSON or text; what others said in them has been redacted."""

from __future__ import annotations

import contextlib
import json
import logging
import re
import traceback
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Final, TextIO

from proxy.web.redactor import redact
from proxy.web.sink import Sink

# Text that JSON holds as it is.
_NOTHING_ODD: Final = re.compile(r"[ !#-\[\]-~]*")
_LONGEST_PATH: Final = 480
_SHORTEST_TOKEN: Final = 52  # of our own, with the shortest prefix
_LONGEST_MESSAGE: Final = 1000
_MOST_WAITING: Final = 10_000
_LEVELS: Final = {"debug": 10, "info": 20, "warning": 30, "error": 40}


def plain_path(path: str) -> str:
    """A path for the log: apps put tokens there, too."""
    may_hold = "eyJ" in path or "=" in path or ("_" in path and len(path) > _SHORTEST_TOKEN)
    path = redact(path) if may_hold else path
    return shortened(path, _LONGEST_PATH)


def shortened(text: str, most: int) -> str:
    """At most ``most`` characters: a line must be one that a pipe takes whole."""
    return text if len(text) <= most else text[: most - 1] + "…"


class Log:
    """Writes one line an event to ``stream``; lines wait in memory until ``flush``.

    ``schedule`` is called when the first line waits, and must arrange a ``flush`` soon; a
    stream that cannot be written to loses lines (counted in ``dropped`` and told to ``on_loss``),
    never requests. ``worker`` stands in every line, unless it is 0.
    """

    def __init__(
        self,
        stream: TextIO,
        clock: Callable[[], float],
        style: str = "text",
        level: str = "info",
        access: bool = True,
        worker: int = 0,
    ) -> None:
        self._sink = Sink(stream)
        self._clock = clock
        self._json = style == "json"
        self._level = _LEVELS[level]
        self._wants_access = access and self._level <= _LEVELS["info"]
        self._worker: dict[str, object] = {"worker": worker} if worker else {}
        self._tail = self.part(**self._worker)
        self._lines: list[str] = []
        self._second, self._rendered = -1, ""
        self._tick, self._begin = -1, ""
        self.schedule: Callable[[], None] = self.flush
        self.dropped = 0
        self.on_loss: Callable[[int], None] = lambda lines: None

    def access(self, at: float, status: int, ms: float, request_id: str, rest: str) -> None:
        """The line of one request, finished ``at``; ``rest`` is made of what ``part`` gives.

        It holds no query, cookie or token.
        """
        if not self._wants_access:
            return
        tick = int(at * 1000)
        if tick != self._tick:
            self._tick, self._begin = tick, self._opening(at)
        if self._json:
            line = (
                f'{self._begin}{status}, "ms": {ms:.1f}, "request_id": "{request_id}"'
                f"{rest}{self._tail}}}"
            )
        else:
            line = f"{self._begin}{status} ms={ms:.1f} request_id={request_id}{rest}{self._tail}"
        lines = self._lines
        if 0 < len(lines) <= _MOST_WAITING:
            lines.append(line)
        else:
            self._add(line)

    def _opening(self, at: float) -> str:
        """How the access lines of one millisecond begin."""
        if self._json:
            return f'{{"time": "{self._stamp(at)}", "level": "info", "event": "access", "status": '
        return f"{self._stamp(at)} info access status="

    def part(self, **fields: object) -> str:
        """A piece of an access line, to be made once and used often."""
        if self._json:
            return "".join([f', "{name}": {_json(value)}' for name, value in fields.items()])
        return "".join(f" {name}={_plain(value)}" for name, value in fields.items())

    def audit(self, event: str, fields: dict[str, object]) -> None:
        """The line of a decision about a person: login, denied, logout. Always written."""
        self._put("info", event, fields)

    def event(self, level: str, message: str, fields: dict[str, object] | None = None) -> None:
        """Anything else; ``level`` is debug, info, warning or error."""
        if _LEVELS[level] >= self._level:
            self._put(level, redact(shortened(message, _LONGEST_MESSAGE)), fields or {})

    def exception(self, exc: BaseException, request_id: str) -> None:
        """A fault of ours, with where it happened and nothing of what the client sent."""
        where = " < ".join(
            f"{frame.name}:{frame.lineno}"
            for frame in reversed(traceback.extract_tb(exc.__traceback__))
        )
        fields: dict[str, object] = {"request_id": request_id, "at": where[:400]}
        words = shortened(f"{type(exc).__name__}: {exc}", _LONGEST_MESSAGE)
        self._put("error", redact(words), fields)

    def _put(self, level: str, event: str, fields: dict[str, object]) -> None:
        stamp = self._stamp(self._clock())
        if self._worker:
            fields = fields | self._worker
        if self._json:
            line = json.dumps({"time": stamp, "level": level, "event": event, **fields})
        else:
            pairs = " ".join(f"{key}={_plain(value)}" for key, value in fields.items())
            line = f"{stamp} {level} {_plain(event, quote='=' in event)} {pairs}".rstrip()
        self._add(line)

    def _add(self, line: str) -> None:
        lines = self._lines
        if len(lines) > _MOST_WAITING:
            self._lose(1)
            return
        lines.append(line)
        if len(lines) == 1 or not self._can_wait:
            self._arrange()

    def _stamp(self, now: float) -> str:
        """As RFC 3339 with milliseconds; the whole second is rendered once."""
        second = int(now)
        if second != self._second:
            self._second = second
            self._rendered = datetime.fromtimestamp(second, UTC).strftime("%Y-%m-%dT%H:%M:%S")
        return f"{self._rendered}.{int((now - second) * 1000):03}Z"

    def _arrange(self) -> None:
        try:
            self.schedule()
        except RuntimeError:  # the event loop that was to flush has been closed
            self.flush()

    def flush(self) -> None:
        """Write what waits, or as much of it as there is room for."""
        lines, self._lines = self._lines, []
        if not lines:
            return
        try:
            left = lines[self._sink.write(lines) :]
        except (OSError, ValueError):
            self._lose(len(lines))
            return
        if left:
            self._lines = left
            if self._can_wait:
                with contextlib.suppress(RuntimeError):  # the event loop has been closed
                    self.schedule()

    def _lose(self, lines: int) -> None:
        self.dropped += lines
        self.on_loss(lines)

    @property
    def _can_wait(self) -> bool:
        """Does somebody flush later? A process without an event loop does so at each line."""
        return self.schedule != self.flush


def _json(value: object) -> str:
    if isinstance(value, str) and _NOTHING_ODD.fullmatch(value):
        return f'"{value}"'
    return json.dumps(value)


def _plain(value: object, quote: bool = True) -> str:
    """One token of a text line: control characters escaped, spaces quoted."""
    text = str(value)
    if (quote and (not text or any(char in text for char in ' "='))) or not text.isprintable():
        return json.dumps(text)
    return text


class LogHandler(logging.Handler):
    """Takes what libraries log, redacted, into our log."""

    def __init__(self, log: Log) -> None:
        super().__init__()
        self._log = log

    def emit(self, record: logging.LogRecord) -> None:
        try:
            message = record.getMessage()
        except (TypeError, ValueError):  # arguments that do not fit: not the caller's problem
            message = str(record.msg)
        level = record.levelname.lower()
        fields: dict[str, object] = {"logger": record.name}
        if record.exc_info:
            text = logging.Formatter().formatException(record.exc_info)
            fields["exception"] = shortened(redact(text), 2 * _LONGEST_MESSAGE)
        self._log.event(level if level in _LEVELS else "error", message, fields)
