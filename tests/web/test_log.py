"""Lines are whole, honest and free of secrets, whatever they are about."""

from __future__ import annotations

import io
import json
import logging
import re
import select
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.web.log import Log, LogHandler, plain_path
from tests.fakes.clock import FakeClock


def make(style: str = "json", level: str = "debug", access: bool = True) -> tuple[Log, io.StringIO]:
    stream = io.StringIO()
    return Log(stream, FakeClock(), style, level, access), stream


def test_a_json_line_is_an_object_with_time_level_and_event() -> None:
    log, stream = make()
    log.event("warning", "something", {"request_id": "r1", "number": 7})
    assert json.loads(stream.getvalue()) == {
        "time": "2027-01-15T08:00:00.000Z",
        "level": "warning",
        "event": "something",
        "request_id": "r1",
        "number": 7,
    }


def test_a_text_line_is_time_level_event_and_pairs() -> None:
    log, stream = make("text")
    log.event(
        "info", "two words", {"a": "plain", "b": "two words", "c": 'say "x"', "d": "", "e": 1}
    )
    assert stream.getvalue() == (
        '2027-01-15T08:00:00.000Z info two words a=plain b="two words" c="say \\"x\\"" d="" e=1\n'
    )


@given(style=st.sampled_from(["json", "text"]), event=st.text(), value=st.text())
def test_no_text_can_forge_a_line(style: str, event: str, value: str) -> None:
    log, stream = make(style)
    log.event("info", event, {"path": value, "reason": "mine"})
    written = stream.getvalue()
    assert written.count("\n") == 1
    assert len(written.splitlines()) == 1
    assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u2028\u2029\u202e\ud800-\udfff]", written)
    if style == "json":
        assert json.loads(written)["reason"] == "mine"
    else:
        assert written.endswith(" reason=mine\n")
        pairs = written[: -len(" reason=mine\n")].rpartition(" path=")[2]
        assert pairs.startswith('"') or not set(pairs) & set(' "=')


@pytest.mark.parametrize(
    ("level", "written"),
    [
        ("debug", ["debug", "info", "warning", "error"]),
        ("info", ["info", "warning", "error"]),
        ("warning", ["warning", "error"]),
        ("error", ["error"]),
    ],
)
def test_lesser_levels_are_left_out_but_never_an_audit_line(level: str, written: list[str]) -> None:
    log, stream = make(level=level)
    for name in ("debug", "info", "warning", "error"):
        log.event(name, name)
    log.access(1000.0, 200, 1.0, "id", log.part(path="/"))
    log.audit("login", {"sub": "x"})
    events = [json.loads(line)["event"] for line in stream.getvalue().splitlines()]
    access = ["access"] if level in ("debug", "info") else []
    assert events == [*written, *access, "login"]


def test_access_lines_can_be_switched_off() -> None:
    log, stream = make(access=False)
    log.access(1000.0, 200, 1.0, "id", log.part(path="/"))
    assert stream.getvalue() == ""


def test_an_exception_is_one_line_with_its_place_and_no_secret() -> None:
    log, stream = make()

    def failing() -> None:
        raise ValueError("bad\ncode=abcdefghijkl")

    with pytest.raises(ValueError, match="bad") as caught:
        failing()
    log.exception(caught.value, "r1")
    line = json.loads(stream.getvalue())
    assert line["event"] == "ValueError: bad\ncode=[redacted]"
    assert line["at"].startswith("failing:")
    assert line["request_id"] == "r1"


class Broken(io.StringIO):
    """Cannot be written to while ``broken``."""

    broken = True

    def write(self, text: str) -> int:
        if self.broken:
            raise BrokenPipeError
        return super().write(text)


def test_a_broken_stream_loses_lines_and_counts_them() -> None:
    stream = Broken()
    log = Log(stream, FakeClock(), "json")
    for number in range(3):
        log.event("info", str(number))
    assert log.dropped == 3
    stream.broken = False
    log.event("info", "back")
    assert log.dropped == 3
    assert json.loads(stream.getvalue())["event"] == "back"


def test_what_is_lost_is_told() -> None:
    stream, told = Broken(), list[int]()
    log = Log(stream, FakeClock(), "json")
    log.on_loss = told.append
    log.event("info", "x")
    assert told == [1]


def test_a_closed_stream_loses_lines_and_nothing_else() -> None:
    log, stream = make()
    stream.close()
    log.event("info", "x")
    assert log.dropped == 1


def test_lines_wait_for_the_flush_up_to_a_limit() -> None:
    log, stream = make()
    asked: list[int] = []
    log.schedule = lambda: asked.append(1)
    for number in range(10_101):
        log.event("info", str(number))
    assert (len(asked), log.dropped, stream.getvalue()) == (1, 100, "")
    log.flush()
    assert stream.getvalue().count("\n") == 10_001
    log.event("info", "next")
    assert len(asked) == 2


def test_a_loop_that_has_ended_flushes_at_once() -> None:
    log, stream = make()

    def closed() -> None:
        raise RuntimeError("Event loop is closed")

    log.schedule = closed
    log.event("error", "cannot listen")
    assert "cannot listen" in stream.getvalue()


@pytest.mark.parametrize(
    ("message", "arguments", "expected"),
    [
        pytest.param("plain %s", ("x",), "plain x", id="arguments"),
        pytest.param("wrong %d", ("x",), "wrong %d", id="arguments that do not fit"),
        pytest.param(
            "Authorization: Bearer abcdefghijk", (), "Authorization: [redacted]", id="secret"
        ),
    ],
)
def test_lines_of_libraries_come_too(
    message: str, arguments: tuple[Any, ...], expected: str
) -> None:
    log, stream = make()
    logger = logging.Logger("library")
    logger.addHandler(LogHandler(log))
    logger.critical(message, *arguments)
    line = json.loads(stream.getvalue())
    assert (line["event"], line["level"], line["logger"]) == (expected, "error", "library")


def test_tracebacks_of_libraries_are_redacted() -> None:
    log, stream = make()
    logger = logging.Logger("library")
    logger.addHandler(LogHandler(log))
    try:
        raise ValueError("state=abcdefghijkl")
    except ValueError:
        logger.exception("failed")
    assert "abcdefghijkl" not in stream.getvalue()
    assert "ValueError" in json.loads(stream.getvalue())["exception"]


def test_a_worker_names_itself_where_there_are_several() -> None:
    stream = io.StringIO()
    for worker in (0, 3):
        log = Log(stream, lambda: 0.0, worker=worker)
        log.event("info", "serving", {"a": 1})
    assert [line.split(" ", 2)[2] for line in stream.getvalue().splitlines()] == [
        "serving a=1",
        "serving a=1 worker=3",
    ]


@pytest.mark.parametrize("style", ["json", "text"])
def test_an_access_line_is_put_together_as_any_other(style: str) -> None:
    """Its pieces are made once and used often, which must not show."""
    log, stream = make(style=style)
    fields: dict[str, object] = {"method": "GET", "path": '/a "b" é', "client": "::1"}
    log.access(FakeClock()(), 200, 1.25, "abc", log.part(**fields) + log.part(sub="alice b"))
    log.event(
        "info",
        "access",
        {"status": 200, "ms": 1.2, "request_id": "abc", **fields, "sub": "alice b"},
    )
    log.flush()
    first, second = stream.getvalue().splitlines()
    assert first == second


@pytest.mark.parametrize("style", ["json", "text"])
def test_whatever_clients_send_a_line_is_one_that_a_pipe_takes_whole(style: str) -> None:
    """A longer one can block whoever writes it: 8 KiB of path, 30 KiB of Host."""
    log, stream = make(style=style)
    log.access(1000.0, 200, 1.0, "id", log.part(method="GET", path=plain_path("/" + "é" * 8000)))
    log.event("info", "host " + "x" * 30_000)
    log.exception(ValueError("x" * 30_000), "id")
    log.flush()
    lines = stream.getvalue().splitlines()
    assert len(lines) == 3
    assert all(len(line.encode()) < select.PIPE_BUF for line in lines)
