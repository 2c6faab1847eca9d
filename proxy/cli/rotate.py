"""``auth-proxy keys rotate``: new keys in three steps, without anybody being signed out."""

from __future__ import annotations

import argparse
import os
import shlex
import stat
import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING

from proxy.cli.arguments import Commands

if TYPE_CHECKING:
    from proxy.cli.keyfile import KeyFile

_STEPS: Mapping[str, str] = MappingProxyType(
    {
        "add": "make a new key and put it in second place: accepted by all, used by none",
        "use": "put the new key in first place",
        "drop": "remove all keys but the first",
        "status": "show which keys there are, by their ids, and what comes next",
    }
)


def add(kinds: Commands) -> None:
    """Declare the command and its steps, below ``auth-proxy keys``."""
    text = "replace a key in three steps, and sign nobody out: add, use, drop"
    rotation = kinds.add_parser("rotate", help=text, description=text, allow_abbrev=False)
    steps = rotation.add_subparsers(metavar="STEP", title="steps", required=True)
    for name, words in _STEPS.items():
        step = steps.add_parser(name, help=words, description=words, allow_abbrev=False)
        step.add_argument(
            "file", metavar="FILE", help="that of cookie.secret, or of identity.signing_key_files"
        )
        step.set_defaults(run=run, step=name)


def run(parsed: argparse.Namespace) -> int:
    """Take one step, or say in a sentence why not; 1 then."""
    from proxy.cli.keyfile import read_keys  # late: slow to import

    name: str = parsed.file
    try:
        if parsed.step == "status":
            file = read_keys(_read(Path(name)))
        else:
            file = _take(Path(name).resolve(strict=True), parsed.step)
    except OSError as exc:
        print(f"{exc.filename or name}: {exc.strerror or exc}", file=sys.stderr)
        return 1
    except ValueError as exc:
        print(f"{name}: {exc}", file=sys.stderr)
        return 1
    kind = f"{file.algorithm} keys for identity.signing_key_files" if file.algorithm else "secrets"
    print(f"{name}: {kind}")
    for number, key in enumerate(file.keys):
        print(f"  {key.name}  {'accepted' if number else 'in use'}")
    if file.since:
        print(f"{file.step} at {file.since}")
    print(f"next: {_next(file, shlex.quote(name), over=parsed.step == 'drop')}")
    return 0


def _next(file: KeyFile, name: str, *, over: bool) -> str:
    """What the operator does after this step, and how long to wait before."""
    from proxy.cli.keyfile import Step
    from proxy.crypto.jwt import JWKS_SECONDS

    command = "auth-proxy keys rotate"
    reload = "reload every proxy (SIGHUP)"
    known = f", wait {JWKS_SECONDS} seconds: so long may others keep the JWKS that they have"
    life = "identity.ttl" if file.algorithm else "session.lifetime"
    match file.step:
        case Step.ADDED:
            return f"{reload}{known if file.algorithm else ''}; then: {command} use {name}"
        case Step.USED:
            return f"{reload}, wait as long as {life} says; then: {command} drop {name}"
        case Step.UNKNOWN:
            return (
                "not known, as the list was written by other means: "
                f"{command} use {name} if the second key is the new one, else drop"
            )
    return f"{reload}; then the rotation is over" if over else f"{command} add {name}"


def _read(path: Path) -> str:
    """Raises OSError or ValueError."""
    if not stat.S_ISREG(path.stat().st_mode):
        raise ValueError("is not a regular file")
    try:
        return path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError:
        raise ValueError("is not UTF-8 text") from None


def _take(path: Path, step: str) -> KeyFile:
    """Replace the file by that of the next step: whoever reads it sees one or the other.

    The new text is written beside it, in a file that also keeps others from doing the same.
    Raises OSError or ValueError, and has changed nothing then.
    """
    draft = path.with_name(f".{path.name}.rotating")
    try:
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        raise ValueError(
            f"another rotation is at work, or one broke off: if none is, remove {draft}"
        ) from None
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8", newline="\n") as file:
            found = _changed(_read(path), step)
            _keep_owner(path, file.fileno())
            file.write(found.written())
            file.flush()
            os.fsync(file.fileno())
        draft.replace(path)
    except BaseException:
        draft.unlink(missing_ok=True)
        raise
    _sync(path.parent)
    return found


def _changed(text: str, step: str) -> KeyFile:
    from proxy.cli.keyfile import read_keys

    found = read_keys(text)
    now = datetime.now(UTC).isoformat(timespec="seconds")
    if step == "add":
        return found.added(now)
    return found.used(now) if step == "use" else found.dropped()


def _keep_owner(path: Path, descriptor: int) -> None:
    """Owner, group and mode as those of ``path``. Raises OSError or ValueError."""
    old, new = path.stat(), os.fstat(descriptor)
    if (old.st_uid, old.st_gid) != (new.st_uid, new.st_gid):
        try:
            os.fchown(descriptor, old.st_uid, old.st_gid)
        except PermissionError:
            raise ValueError("its owner cannot be kept: run this as its owner, or root") from None
    os.fchmod(descriptor, stat.S_IMODE(old.st_mode))


def _sync(folder: Path) -> None:
    """The new name is on the disk as well. Raises OSError."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
