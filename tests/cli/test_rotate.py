"""``auth-proxy keys rotate``: the file on the disk, and what people are told."""

from __future__ import annotations

import os
import re
import stat
from pathlib import Path

import pytest

from proxy.cli import main
from proxy.config.types import split_secrets
from proxy.crypto.jwk import generate_signing_key
from proxy.crypto.jwt import JWKS_SECONDS, load_signer
from tests.config.configurations import SECRET

OTHER = "QqWwEeRrTtYyUuIiOoPpAaSsDdFfGgHhJjKkLlZzXxA="


@pytest.fixture
def file(folder: Path) -> Path:
    """A file of one secret."""
    path = folder / "secret"
    path.write_text(f"{SECRET}\n", encoding="utf-8")
    return path


def rotate(step: str, path: Path | str) -> int:
    return main(["keys", "rotate", step, str(path)])


def secrets_in(path: Path) -> list[str]:
    return split_secrets(path.read_text(encoding="utf-8"))


def test_three_steps_and_what_is_said_of_each(
    file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    said = []
    lists = [secrets_in(file)]
    for step in ("add", "use", "drop"):
        assert rotate(step, file) == 0
        said.append(capsys.readouterr().out)
        lists.append(secrets_in(file))
    (old,), (_, new) = lists[0], lists[1]
    assert lists == [[old], [old, new], [new, old], [new]]
    assert f"next: reload every proxy (SIGHUP); then: auth-proxy keys rotate use {file}" in said[0]
    assert "wait as long as session.lifetime says; then: auth-proxy keys rotate drop" in said[1]
    assert "the rotation is over" in said[2]
    assert not any(secret in text for text in said for secret in (old, new))


def test_signing_keys_wait_for_whoever_verifies(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = folder / "signing key.pem"
    path.write_bytes(pem := generate_signing_key("EdDSA"))
    assert rotate("add", path) == 0
    said = capsys.readouterr().out
    assert f"wait {JWKS_SECONDS} seconds" in said
    assert f"{load_signer(pem, 'EdDSA').kid}  in use" in said
    assert said.rstrip().endswith(f"rotate use '{path}'"), "as a shell needs it"
    assert rotate("use", path) == 0
    assert "wait as long as identity.ttl says" in capsys.readouterr().out
    assert rotate("drop", path) == 0
    assert path.read_text().count("BEGIN") == 1


def test_status_changes_nothing_and_shows_no_key(
    file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert rotate("status", file) == 0
    assert f"next: auth-proxy keys rotate add {file}" in capsys.readouterr().out
    rotate("add", file)
    before, done = file.read_bytes(), capsys.readouterr().out
    assert rotate("status", file) == 0
    assert capsys.readouterr().out == done
    assert re.search(
        r"^  [0-9a-f]{8}  in use\n  [0-9a-f]{8}  accepted\nadded at \d{4}-", done, re.M
    )
    assert file.read_bytes() == before


def test_a_list_that_others_wrote_is_told_apart(
    file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file.write_text(f"{SECRET}\n{OTHER}\n", encoding="utf-8")
    assert rotate("status", file) == 0
    assert "if the second key is the new one, else drop" in capsys.readouterr().out


@pytest.mark.parametrize("mode", [0o600, 0o640, 0o400, 0o444])
def test_mode_and_owner_are_kept(file: Path, mode: int) -> None:
    file.chmod(mode)
    before = file.stat()
    assert rotate("add", file) == 0
    after = file.stat()
    assert stat.S_IMODE(after.st_mode) == mode
    assert (after.st_uid, after.st_gid) == (before.st_uid, before.st_gid)
    assert after.st_ino != before.st_ino, "replaced, never half written"


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file away")
def test_the_owner_of_root_s_work_stays_who_it_was(file: Path) -> None:
    os.chown(file, 10001, 10001)
    assert rotate("add", file) == 0
    assert (file.stat().st_uid, file.stat().st_gid) == (10001, 10001)


def test_an_owner_that_cannot_be_kept_is_a_refusal(
    file: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def refuse(*_: int) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr("os.fchown", refuse)
    seen = os.fstat

    def somebody_else(descriptor: int) -> os.stat_result:
        values = list(seen(descriptor))
        values[4] += 1
        return os.stat_result(values)

    monkeypatch.setattr("os.fstat", somebody_else)
    assert rotate("add", file) == 1
    assert "its owner cannot be kept" in capsys.readouterr().err
    assert secrets_in(file) == [SECRET]
    assert os.listdir(file.parent) == ["secret"]


def test_a_link_stays_a_link(file: Path) -> None:
    link = file.with_name("link")
    link.symlink_to(file.name)
    assert rotate("add", link) == 0
    assert link.is_symlink()
    assert len(secrets_in(file)) == 2


@pytest.mark.parametrize(
    ("make", "words"),
    [
        pytest.param(lambda path: path.unlink(), "secret: No such file", id="missing"),
        pytest.param(
            lambda path: (path.unlink(), path.mkdir()), "is not a regular file", id="a directory"
        ),
        pytest.param(lambda path: path.write_bytes(b"\xff\xfe"), "not UTF-8", id="binary"),
        pytest.param(lambda path: path.write_text("hunter2"), "key 1: ", id="no secret"),
        pytest.param(
            lambda path: path.with_name(".secret.rotating").touch(),
            "another rotation is at work, or one broke off",
            id="somebody else at the same time",
        ),
    ],
)
@pytest.mark.parametrize("step", ["add", "use", "drop"])
def test_what_cannot_be_rotated(
    file: Path, make: object, words: str, step: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert callable(make)
    make(file)
    there = sorted(os.listdir(file.parent))
    assert rotate(step, file) == 1
    said = capsys.readouterr()
    assert words in said.err
    assert "hunter2" not in said.err
    assert said.out == ""
    assert sorted(os.listdir(file.parent)) == there


def test_a_step_out_of_order_leaves_the_file_as_it_was(
    file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert rotate("add", file) == 0
    before = file.read_bytes()
    for step in ("add", "drop"):
        assert rotate(step, file) == 1
        assert capsys.readouterr().err.startswith(f"{file}: ")
    assert file.read_bytes() == before
    assert os.listdir(file.parent) == ["secret"]
