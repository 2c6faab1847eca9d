"""What commands on the shelf have in common: where they look, and how they say what is wrong."""

from __future__ import annotations

import argparse
from pathlib import Path

import pytest

from proxy.cli.shelf import Errand, moment, plain, table
from proxy.config.settings import Settings
from proxy.errors import Reason, StoreError
from proxy.session.keeping import Keeping
from tests.config.configurations import MINIMAL

ARGUMENTS = argparse.Namespace(config="proxy.cfg")


async def look(keeping: Keeping, settings: Settings, parsed: argparse.Namespace) -> int:
    await keeping.shelf.ready()
    print("looked")
    return 0


async def fail(keeping: Keeping, settings: Settings, parsed: argparse.Namespace) -> int:
    raise StoreError(Reason.STORE_UNAVAILABLE, "it does not answer")


def no_problem(settings: Settings, parsed: argparse.Namespace) -> str:
    return ""


def configure(folder: Path, more: str = "session: {file: kept.db}\n") -> None:
    (folder / "proxy.cfg").write_text(MINIMAL + more, encoding="utf-8")


def test_it_works_where_the_proxy_keeps_things(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    configure(folder)
    (folder / "kept.db").touch()
    assert Errand("things", no_problem, look).run(ARGUMENTS) == 0
    assert capsys.readouterr().out == "looked\n"


def test_it_makes_no_file_of_its_own(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    configure(folder)
    assert Errand("things", no_problem, look).run(ARGUMENTS) == 1
    assert capsys.readouterr().err.startswith("auth-proxy things: kept.db: does not exist")
    assert not (folder / "kept.db").exists()


def test_what_cannot_be_done_is_said(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    configure(folder)
    (folder / "kept.db").touch()
    assert Errand("things", lambda settings, parsed: "no", look).run(ARGUMENTS) == 2
    assert capsys.readouterr().err == "auth-proxy things: no\n"
    assert Errand("things", no_problem, fail).run(ARGUMENTS) == 1
    assert "things cannot be reached: it does not answer" in capsys.readouterr().err
    configure(folder, "nonsense: true\n")
    assert Errand("things", no_problem, look).run(ARGUMENTS) == 2
    assert "nonsense" in capsys.readouterr().err


def test_tables_and_times() -> None:
    assert list(table([("A", "LONG"), ("wide one", ""), ("\x1b[2J", "x")])) == [
        "A         LONG",
        "wide one  -",
        "\N{REPLACEMENT CHARACTER}[2J      x",
    ]
    assert moment(0) == "1970-01-01 00:00Z"
    assert plain("a\nb") == "a\N{REPLACEMENT CHARACTER}b"
