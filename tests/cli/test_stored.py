"""The file of tokens: whose it is, how it is replaced, and what it does when it is broken."""

from __future__ import annotations

import json
import multiprocessing
import os
import stat
from pathlib import Path

import pytest

from proxy.cli.origin import Failure, origin_of
from proxy.cli.stored import Drawer, Stored, drawer, is_token

HERE = origin_of("https://app.example.org")
THERE = origin_of("https://app.example.org:8443")
TOKENS = Stored("apx_tSecret", "apx_rSecret", 1000.0, "/oauth2", "/ca.pem")


@pytest.fixture
def kept(folder: Path) -> Drawer:
    return Drawer(folder / "config" / "auth-proxy")


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_what_is_kept_is_found_under_its_origin_only(kept: Drawer) -> None:
    assert kept.get(HERE) is None
    kept.put(HERE, TOKENS)
    assert (kept.get(HERE), kept.get(THERE)) == (TOKENS, None)
    kept.put(THERE, TOKENS)
    kept.put(HERE, None)
    kept.put(HERE, None)
    assert (kept.get(HERE), kept.get(THERE)) == (None, TOKENS)


def test_only_the_owner_can_read_it_whatever_the_umask(folder: Path, kept: Drawer) -> None:
    before = os.umask(0)
    try:
        kept.put(HERE, TOKENS)
        with kept.alone_with(HERE):
            pass
    finally:
        os.umask(before)
    files = list((folder / "config" / "auth-proxy").iterdir())
    assert {mode(file) for file in files} == {0o600}
    assert sorted(file.name for file in files)[-2:] == ["tokens.json", "tokens.lock"]
    assert mode(folder / "config" / "auth-proxy") == 0o700


def test_an_open_folder_is_closed(folder: Path, kept: Drawer) -> None:
    (folder / "config" / "auth-proxy").mkdir(parents=True)
    (folder / "config" / "auth-proxy").chmod(0o777)
    kept.put(HERE, TOKENS)
    assert mode(folder / "config" / "auth-proxy") == 0o700


def test_a_file_that_others_can_read_is_not_used(folder: Path, kept: Drawer) -> None:
    kept.put(HERE, TOKENS)
    (folder / "config" / "auth-proxy" / "tokens.json").chmod(0o640)
    with pytest.raises(Failure, match="chmod 600"):
        kept.get(HERE)


def test_what_a_crash_left_is_in_nobodys_way(folder: Path, kept: Drawer) -> None:
    kept.put(HERE, TOKENS)
    (folder / "config" / "auth-proxy" / "tokens.new").write_text("half")
    kept.put(THERE, TOKENS)
    assert kept.get(HERE) == kept.get(THERE) == TOKENS
    assert not (folder / "config" / "auth-proxy" / "tokens.new").exists()


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("", id="empty"),
        pytest.param("{", id="no JSON"),
        pytest.param("null", id="no object"),
        pytest.param('{"version": 2, "origins": {}}', id="of another version"),
        pytest.param('{"version": 1, "origins": []}', id="no entries"),
        pytest.param("[" * 100_000, id="too deep"),
        pytest.param("\udcff", id="no text"),
    ],
)
def test_a_broken_file_is_said_and_not_overwritten(folder: Path, kept: Drawer, text: str) -> None:
    kept.put(HERE, TOKENS)
    file = folder / "config" / "auth-proxy" / "tokens.json"
    file.write_text(text, errors="surrogateescape")
    with pytest.raises(Failure, match="remove it and sign in again"):
        kept.get(HERE)
    with pytest.raises(Failure, match="remove it and sign in again"):
        kept.put(HERE, TOKENS)
    assert file.read_text(errors="surrogateescape") == text


@pytest.mark.parametrize(
    "changed",
    [
        {"token": "two\nlines"},
        {"token": ""},
        {"token": None},
        {"refresh_token": "a b"},
        {"expires_at": "soon"},
        {"expires_at": float("inf")},
        {"prefix": "//evil.example"},
        {"prefix": 1},
        {"ca_file": None},
        {"more": 1},
    ],
)
def test_an_entry_that_is_not_ours_is_nothing(
    folder: Path, kept: Drawer, changed: dict[str, object]
) -> None:
    kept.put(HERE, TOKENS)
    file = folder / "config" / "auth-proxy" / "tokens.json"
    document = json.loads(file.read_text())
    document["origins"][str(HERE)] |= changed
    file.write_text(json.dumps(document))
    assert kept.get(HERE) is None


def test_what_cannot_be_written_is_said(folder: Path) -> None:
    (folder / "file").write_text("")
    with pytest.raises(Failure, match="cannot be made: File exists"):
        Drawer(folder / "file" / "auth-proxy").put(HERE, TOKENS)
    with pytest.raises(Failure, match="cannot be read: Not a directory"):
        Drawer(folder / "file" / "auth-proxy").get(HERE)


def test_no_secret_is_in_a_representation() -> None:
    assert "Secret" not in repr(TOKENS)


def _add(folder: Path, number: int) -> None:
    Drawer(folder).put(origin_of(f"https://a{number}.example.org"), TOKENS)


def test_two_terminals_at_once_lose_nothing(folder: Path) -> None:
    place = folder / "auth-proxy"
    context = multiprocessing.get_context("fork")
    running = [context.Process(target=_add, args=(place, number)) for number in range(12)]
    for process in running:
        process.start()
    for process in running:
        process.join(30)
    assert all(process.exitcode == 0 for process in running)
    found = [Drawer(place).get(origin_of(f"https://a{number}.example.org")) for number in range(12)]
    assert found == [TOKENS] * 12


def test_the_folder_is_that_of_xdg(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(folder))
    for base, expected in (("", ".config"), ("relative", ".config"), (str(folder / "x"), "x")):
        monkeypatch.setenv("XDG_CONFIG_HOME", base)
        drawer().put(HERE, TOKENS)
        assert (folder / expected / "auth-proxy" / "tokens.json").is_file()
        drawer().put(HERE, None)
        (folder / expected / "auth-proxy" / "tokens.json").unlink()


@pytest.mark.parametrize(
    ("text", "sound"),
    [
        ("apx_t0aZ", True),
        ("a.b-c~d+e/f==", True),
        ("", False),
        ("a b", False),
        ("a\n", False),
        ("é", False),
        ("x" * 8193, False),
        (None, False),
        (b"x", False),
    ],
)
def test_tokens_are_of_one_line(text: object, sound: bool) -> None:
    assert is_token(text) is sound
