"""Files of addresses: read whole at the start, read again when they change."""

from __future__ import annotations

import asyncio
import contextlib
import os
from pathlib import Path

import pytest

from proxy.config.settings import Settings
from proxy.errors import ConfigError
from proxy.web.lists import EmailFiles, list_problems, paths_of
from tests.wire.stage import eventually

Told = list[tuple[str, str]]


def settings(**more: object) -> Settings:
    document = {"public_url": "https://app.example.org", "upstream": "http://app:8501"}
    return Settings.model_validate(document | more)


def tell(told: Told, level: str, words: str) -> None:
    told.append((level, words))


def replace(path: Path, text: str) -> None:
    """As careful people do: another file takes its place."""
    other = path.with_suffix(".new")
    other.write_text(text, encoding="utf-8")
    os.replace(other, path)


def test_the_files_of_all_rules_are_named() -> None:
    found = paths_of(
        settings(
            access={"emails_file": "/a", "any": [{"emails_file": "/b"}]},
            routes=[{"path": "/x", "rule": {"not": {"all": [{"emails_file": "/c"}]}}},
                    {"path": "/y", "rule": {"emails_file": "/a"}}],
        )
    )  # fmt: skip
    assert found == {"/a", "/b", "/c"}
    assert paths_of(settings()) == frozenset()


def test_what_is_read(tmp_path: Path) -> None:
    path = tmp_path / "people"
    lines = "\ufeff# people\n\n Jean.Dupont@Example.ORG \nme@bücher.example # a guest\r\nx@y.fr"
    path.write_bytes(lines.encode())
    lists = EmailFiles([str(path)])
    expected = {"jean.dupont@example.org", "me@xn--bcher-kva.example", "x@y.fr"}
    assert lists.addresses(str(path)) == expected
    assert lists.addresses("/another") == frozenset()


def test_every_problem_is_named(tmp_path: Path) -> None:
    good, bad, odd = tmp_path / "good", tmp_path / "bad", tmp_path / "odd"
    good.write_text("a@b.fr\n")
    bad.write_text("a@b.fr\nnobody\n# remark\na@b@c.fr\n" + "x\n" * 9)
    odd.write_bytes(b"\xff\xfe")
    paths = [str(path) for path in (good, bad, odd, tmp_path, tmp_path / "absent")]
    with pytest.raises(ConfigError) as caught:
        EmailFiles(paths)
    assert sorted(caught.value.problems) == sorted(
        [
            f"emails_file: {tmp_path}: Is a directory",
            f"emails_file: {tmp_path / 'absent'}: No such file or directory",
            *(f"emails_file: {bad}: line {n} is no e-mail address" for n in (2, 4, 5, 6, 7)),
            f"emails_file: {bad}: and 6 more such lines",
            f"emails_file: {odd}: is no UTF-8 text",
        ]
    )
    named = settings(access={"emails_file": str(bad)})
    assert list_problems(named)[0] == f"emails_file: {bad}: line 2 is no e-mail address"
    assert list_problems(settings(access={"emails_file": str(good)})) == []


def test_a_change_is_read_and_told(tmp_path: Path) -> None:
    path = tmp_path / "people"
    path.write_text("a@b.fr\n")
    lists, told = EmailFiles([str(path)]), Told()
    lists.refresh(lambda level, words: tell(told, level, words))
    assert told == []
    replace(path, "c@d.fr\nnobody\n")
    for _ in range(2):
        lists.refresh(lambda level, words: tell(told, level, words))
    assert lists.addresses(str(path)) == {"c@d.fr"}
    assert told == [
        ("info", f"emails_file: {path}: read again"),
        ("warning", f"emails_file: {path}: line 2 is no e-mail address"),
    ]


def test_while_a_file_cannot_be_read_the_last_good_one_counts(tmp_path: Path) -> None:
    path = tmp_path / "people"
    path.write_text("a@b.fr\n")
    lists, told = EmailFiles([str(path)]), Told()
    path.unlink()
    for _ in range(3):
        lists.refresh(lambda level, words: tell(told, level, words))
    assert lists.addresses(str(path)) == {"a@b.fr"}
    trouble = f"emails_file: {path}: No such file or directory; the old list stays in use"
    assert told == [("warning", trouble)]
    path.write_bytes(b"\xff")
    lists.refresh(lambda level, words: tell(told, level, words))
    replace(path, "")
    lists.refresh(lambda level, words: tell(told, level, words))
    assert lists.addresses(str(path)) == frozenset()
    assert [level for level, _ in told] == ["warning", "warning", "info"]
    path.unlink()
    lists.refresh(lambda level, words: tell(told, level, words))
    assert told[-1] == ("warning", trouble)


async def test_it_looks_by_itself(tmp_path: Path) -> None:
    path = tmp_path / "people"
    path.write_text("a@b.fr\n")
    lists, told = EmailFiles([str(path)], every=0.01), Told()
    watching = asyncio.create_task(lists.watch(lambda level, words: tell(told, level, words)))
    try:
        replace(path, "c@d.fr\n")
        await eventually(lambda: lists.addresses(str(path)) == {"c@d.fr"})
    finally:
        watching.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await watching
    assert told == [("info", f"emails_file: {path}: read again")]
