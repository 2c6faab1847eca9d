"""A file of keys that rotate: what it holds, at which step it is, and the step after that.

A key is added in second place, where every proxy accepts it and none uses it; then it takes the
first place; then the old one goes. At any two neighbouring steps each proxy accepts what the other
makes. The step is remembered in a remark at the top of the file, which its readers skip.
"""

from __future__ import annotations

import hashlib
import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from types import MappingProxyType

from proxy.config.types import decode_cookie_secret, split_secrets
from proxy.crypto.jwk import private_keys, signing_algorithm, similar_signing_key
from proxy.crypto.jwt import load_signer

_REMARK = "# auth-proxy keys rotate: "
_WRITTEN = re.compile(rf"{_REMARK}(added|used) (\S+)")
_LABELS = re.compile(r"-----BEGIN ([A-Z0-9 ]+)-----")
_UNNEEDED = "EC PARAMETERS"  # the key itself names its curve


class Step(StrEnum):
    """How far a rotation is; the values are written into the file."""

    NONE = "none"
    ADDED = "added"
    USED = "used"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Key:
    """A key as it is written; only ``name`` is for showing."""

    name: str
    text: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class KeyFile:
    """``algorithm`` is that of signing keys, and empty for secrets. ``since``: when the step was
    made, ISO 8601, as far as that is known. ``remarks`` are those of other people.
    """

    keys: tuple[Key, ...]
    algorithm: str = ""
    step: Step = Step.NONE
    since: str = ""
    remarks: tuple[str, ...] = ()

    def added(self, now: str) -> KeyFile:
        """With a new key of the same kind in second place. Raises ValueError."""
        if len(self.keys) > 1:
            raise ValueError(_MANY[self.step])
        pem = similar_signing_key(self.keys[0].text.encode()) if self.algorithm else b""
        new = _read_key(pem.decode() or new_secret(), self.algorithm)
        return replace(self, keys=(*self.keys, new), step=Step.ADDED, since=now)

    def used(self, now: str) -> KeyFile:
        """With the second key in first place. Raises ValueError."""
        if len(self.keys) < 2:
            raise ValueError("holds one key only: a new one is added first")
        if self.step is Step.USED:
            raise ValueError("the new key is in use already: the old one is dropped next")
        first, second, *others = self.keys
        return replace(self, keys=(second, first, *others), step=Step.USED, since=now)

    def dropped(self) -> KeyFile:
        """With the first key only. Raises ValueError."""
        if len(self.keys) < 2:
            raise ValueError("holds one key only: there is none to drop")
        if self.step is Step.ADDED:
            raise ValueError("the new key is not in use yet: that comes first")
        return replace(self, keys=self.keys[:1], step=Step.NONE, since="")

    def written(self) -> str:
        """The text of the file."""
        lines = [*self.remarks]
        if self.step in (Step.ADDED, Step.USED):
            lines.insert(0, f"{_REMARK}{self.step} {self.since}")
        return "".join(f"{line.strip()}\n" for line in (*lines, *(key.text for key in self.keys)))


_MANY: Mapping[Step, str] = MappingProxyType(
    {
        Step.ADDED: "a new key waits in second place already: it is taken into use next",
        Step.USED: "the last rotation is not over: the old key is dropped first",
        Step.UNKNOWN: "holds several keys already: those that are not needed are dropped first",
    }
)


def new_secret() -> str:
    """32 random bytes as ``cookie.secret`` has them."""
    while True:
        text = secrets.token_urlsafe(32)
        try:
            decode_cookie_secret(text)
        except ValueError:  # one in a billion spells a word such as "secret"
            continue
        if text[0].isalnum():  # else it could be taken for a flag
            return text


def read_keys(text: str) -> KeyFile:
    """What a file holds: secrets, one on a line, or private keys as PEM.

    Raises ValueError in words that show nothing of a key.
    """
    labels = _LABELS.findall(text)
    if foreign := [x for x in labels if not x.endswith("PRIVATE KEY") and x != _UNNEEDED]:
        raise ValueError(
            f"holds more than private keys ({foreign[0].lower()}), which would be lost"
        )
    algorithm = ""
    if labels:
        texts = [pem.decode("ascii") for pem in private_keys(text.encode())]
        algorithm = signing_algorithm(texts[0].encode())
    else:
        texts = split_secrets(text)
        if not texts:
            raise ValueError("holds no key")
    keys = tuple(_read_numbered(texts, algorithm))
    if len({key.name for key in keys}) < len(keys):
        raise ValueError("holds the same key twice")
    remarks = [line.strip() for line in text.split("\n") if line.strip()[:2] == "# "]
    ours = next((match for line in remarks if (match := _WRITTEN.fullmatch(line))), None)
    others = tuple(line for line in remarks if not line.startswith(_REMARK))
    if len(keys) == 1 or not ours:
        step = Step.NONE if len(keys) == 1 else Step.UNKNOWN
        return KeyFile(keys, algorithm, step, remarks=others)
    return KeyFile(keys, algorithm, Step(ours[1]), ours[2], others)


def _read_numbered(texts: list[str], algorithm: str) -> list[Key]:
    keys = []
    for number, text in enumerate(texts, start=1):
        try:
            keys.append(_read_key(text, algorithm))
        except ValueError as exc:
            raise ValueError(f"key {number}: {exc}") from None
    return keys


def _read_key(text: str, algorithm: str) -> Key:
    """The name of a signing key is its ``kid``. Raises ValueError."""
    if algorithm:
        return Key(load_signer(text.encode(), algorithm).kid, text)
    digest = hashlib.sha256(b"auth-proxy/secret-id/" + decode_cookie_secret(text))
    return Key(digest.hexdigest()[:8], text)
