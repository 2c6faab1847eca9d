"""Where log lines go: whoever reads them may be slow, or stop, and nothing of ours waits."""

from __future__ import annotations

import io
import os
import select
from pathlib import Path

from proxy.web.log import Log
from proxy.web.sink import Sink, atoms
from tests.fakes.clock import FakeClock

LINE = "x" * 99


def test_a_file_takes_everything_at_once(tmp_path: Path) -> None:
    with (tmp_path / "log").open("w") as stream:
        assert Sink(stream).write([LINE] * 10_000) == 10_000
    assert (tmp_path / "log").stat().st_size == 1_000_000


def test_a_stream_without_a_descriptor_does_too() -> None:
    stream = io.StringIO()
    assert Sink(stream).write([LINE] * 3) == 3
    assert stream.getvalue().count("\n") == 3


def test_a_pipe_whose_reader_has_stopped_holds_nobody_up() -> None:
    reader, writer = os.pipe()
    with open(reader, "rb", buffering=0) as out, open(writer, "w") as stream:
        sink, lines = Sink(stream), [LINE] * 10_000
        done = sink.write(lines)
        assert 0 < done < len(lines)
        assert sink.write(lines[done:]) == 0
        got = 0
        while done < len(lines):
            got += len(out.read(65536))
            done += sink.write(lines[done:])
        while select.select([out], [], [], 0)[0]:
            got += len(out.read(65536))
        assert got == 100 * len(lines)


def test_lines_that_found_no_room_are_kept_up_to_a_limit_and_come_later() -> None:
    reader, writer = os.pipe()
    with open(reader, "rb", buffering=0) as out, open(writer, "w") as stream:
        log = Log(stream, FakeClock())
        asked: list[int] = []
        log.schedule = lambda: asked.append(1)
        for _ in range(12_000):
            log.event("info", LINE)
        log.flush()
        assert len(asked) == 2  # the rest is to be tried again
        assert log.dropped > 0
        kept = 12_000 - log.dropped
        got = b""
        while got.count(b"\n") < kept:
            got += out.read(65536)
            log.flush()
        assert got.count(b"\n") == kept


def test_a_process_without_an_event_loop_tries_at_each_line() -> None:
    reader, writer = os.pipe()
    with open(reader, "rb", buffering=0) as out, open(writer, "w") as stream:
        log = Log(stream, FakeClock())
        for _ in range(1_000):
            log.event("info", LINE)
        out.read(65536)
        log.event("info", "the last")
        while select.select([out], [], [], 0)[0]:
            last = out.read(65536)
            log.flush()
        assert b"the last" in last


def test_lines_of_several_processes_do_not_mix() -> None:
    """Each write is as large as a pipe takes at once, and holds whole lines."""
    lengths = [50, 3000, 2000, 4090, 1, 9000, 10, *[200] * 100]
    lines = [f"{number}-" + "é" * (length // 2) for number, length in enumerate(lengths)]
    parts = list(atoms(lines))
    assert [line for part in parts for line in part] == lines
    for part in parts:
        size = sum(len(line.encode()) + 1 for line in part)
        assert size <= select.PIPE_BUF or len(part) == 1
    assert len(parts) < len(lengths) / 3


def test_a_line_longer_than_a_pipe_takes_is_cut_rather_than_waited_for() -> None:
    reader, writer = os.pipe()
    with open(reader, "rb", buffering=0) as out, open(writer, "w") as stream:
        sink = Sink(stream)
        done = 0
        while sink.write(["é" * 7900]):
            done += 1
        assert 0 < done < 100
        assert len(out.read(select.PIPE_BUF)) == select.PIPE_BUF
