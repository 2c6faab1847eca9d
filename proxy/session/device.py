"""Terminals that wait for a person to sign them in (RFC 8628), on the shelf."""

from __future__ import annotations

import base64
import hmac
import json
import math
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Final

from proxy.crypto.pseudonym import Pseudonyms
from proxy.crypto.seal import Sealer
from proxy.crypto.token import digest
from proxy.errors import Reason, StoreError
from proxy.session.shelf import Only, Shelf

LIFE: Final = 600
"""Seconds in which a person must have confirmed, and the terminal have asked for its token."""
INTERVAL: Final = 2
"""Seconds between two questions of a terminal."""
MOST_TRIES: Final = 5
"""Wrong codes of one person, after which every code that is out by then is dead for them."""

_VERSION: Final = 1
_SLOWER: Final = 5  # RFC 8628 section 3.5
_SLOWEST: Final = 60
_LEEWAY: Final = 0.5
_MOST_WAITING: Final = 10_000
_MOST_OF_ADDRESS: Final = 30
_ALPHABET: Final = "BCDFGHJKLMNPQRSTVWXZ"
"""No vowels, so that no word comes of it, and nothing that looks like another (RFC 8628 section
6.1): 8 of these are 34.5 bits."""
_LETTERS: Final = 8
_LONGEST_TYPED: Final = 40
_ID: Final = re.compile(r"login_[0-9a-f]{32}", re.ASCII)
_NO_DIGEST: Final = "0" * 64


class State(StrEnum):
    """Where the sign-in of a terminal stands; whatever is not PENDING stays so, but for ALLOWED,
    which is USED once its token has been made."""

    PENDING = "pending"
    ALLOWED = "allowed"
    DENIED = "denied"
    USED = "used"


@dataclass(frozen=True, slots=True)
class Terminal:
    """A terminal that asks to be signed in. Times are Unix seconds.

    ``id`` is public; ``secret`` is the digest of what only the terminal knows. ``program`` and
    ``address`` are what it says and where it asks from. ``issuer`` and ``subject``: who confirmed
    it, from ``allowed_from``. ``kept`` is the record as it lay on the shelf.
    """

    id: str
    secret: str = field(repr=False)
    program: str
    address: str
    scopes: tuple[str, ...]
    created_at: float
    expires_at: float
    state: State = State.PENDING
    issuer: str = ""
    subject: str = ""
    allowed_from: str = ""
    kept: bytes = field(default=b"", repr=False, compare=False)

    @property
    def place(self) -> str:
        """The address, where it has one: a unix socket has none."""
        return "" if self.address.startswith("unix") else self.address

    def is_open(self, now: float) -> bool:
        """May a person still confirm it?"""
        return self.state is State.PENDING and now < self.expires_at


@dataclass(frozen=True, slots=True)
class Begun:
    """What the terminal is told, once."""

    terminal: Terminal
    secret: str = field(repr=False)
    user_code: str = field(repr=False)


class Terminals:
    """Keeps those that wait: keys are public names and pseudonyms, values sealed.

    ``random``: n → n random bytes. A record outlives its terminal's time by as much again, so
    that who comes late is told so. Everything raises StoreError.
    """

    def __init__(
        self,
        shelf: Shelf,
        sealer: Sealer,
        pseudonyms: Pseudonyms,
        random: Callable[[int], bytes],
    ) -> None:
        self._shelf = shelf
        self._sealer = sealer
        self._pseudonyms = pseudonyms
        self._random = random

    async def may_begin(self, place: str, now: float) -> bool:
        """May one more begin, from ``place``? Nobody is known yet who could be asked."""
        name = self._pseudonyms.of("place", place)[0]
        until = now + LIFE
        if await self._shelf.count(f"terminal-begun:{name}", 1, until) > _MOST_OF_ADDRESS:
            return False
        return await self._shelf.count("terminal-begun", 1, until) <= _MOST_WAITING

    async def begin(self, program: str, address: str, scopes: Sequence[str], now: float) -> Begun:
        """A new one, with a secret of 256 random bits and a code for people."""
        secret = base64.urlsafe_b64encode(self._random(32)).rstrip(b"=").decode()
        terminal = Terminal(
            id=f"login_{self._random(16).hex()}",
            secret=digest(secret),
            program=program,
            address=address,
            scopes=tuple(scopes),
            created_at=now,
            expires_at=now + LIFE,
        )
        await self._shelf.put(_key(terminal.id), self._seal(terminal, now), _end(terminal))
        for _ in range(8):
            code = self._new_code()
            key, name = self._code_keys(code)[0], terminal.id.encode()
            if await self._shelf.put(key, name, _end(terminal), Only.ABSENT):
                return Begun(terminal, secret, f"{code[:4]}-{code[4:]}")
        raise StoreError(Reason.STORE_UNAVAILABLE, "no code for a terminal is free")

    async def get(self, id: str, now: float) -> Terminal | None:
        """The one with this public name, whatever text that is."""
        if not _ID.fullmatch(id):
            return None
        [box] = await self._shelf.get(_key(id))
        found = self._open(box, now) if box is not None else None
        # Boxes that somebody moved under another key are nothing.
        return found if found is not None and found.id == id else None

    async def of_secret(self, id: str, secret: str, now: float) -> Terminal | None:
        """The same for whoever knows its secret; takes as long for a wrong one as for a right."""
        found = await self.get(id, now)
        wanted = found.secret if found is not None else _NO_DIGEST
        return found if hmac.compare_digest(wanted, digest(secret)) else None

    async def of_code(self, typed: str, now: float) -> Terminal | None:
        """The one with the code that a person typed, in upper or lower case, with any dashes."""
        code = _plain(typed)
        for name in await self._shelf.get(*self._code_keys(code)) if code else ():
            if name is not None:
                return await self.get(name.decode("ascii", "replace"), now)
        return None

    async def decide(
        self, terminal: Terminal, state: State, issuer: str, subject: str, address: str, now: float
    ) -> bool:
        """A person allowed or denied it; False if somebody was quicker, or it is too late."""
        if not terminal.is_open(now):
            return False
        decided = replace(
            terminal, state=state, issuer=issuer, subject=subject, allowed_from=address
        )
        return await self._swap(terminal, decided, now)

    async def claim(self, terminal: Terminal, now: float) -> bool:
        """Its token may be made now, by us and nobody else, ever again."""
        if terminal.state is not State.ALLOWED or now >= terminal.expires_at:
            return False
        return await self._swap(terminal, replace(terminal, state=State.USED), now)

    async def hasty(self, terminal: Terminal, now: float) -> int:
        """0 for a terminal that asks in time; else the seconds that it must wait from now on
        between two questions (``slow_down`` of RFC 8628 section 3.5)."""
        waiting, slow = f"terminal-wait:{terminal.id}", f"terminal-slow:{terminal.id}"
        until = _end(terminal)
        interval = INTERVAL + _SLOWER * await self._shelf.count(slow, 0, until)
        interval = min(interval, _SLOWEST)
        if await self._shelf.put(waiting, b"1", now + interval - _LEEWAY, Only.ABSENT):
            return 0
        await self._shelf.count(slow, 1, until)
        interval = min(interval + _SLOWER, _SLOWEST)
        await self._shelf.put(waiting, b"1", now + interval - _LEEWAY)
        return interval

    async def try_code(self, issuer: str, subject: str, now: float) -> bool:
        """May this person try a code? Counted before it is looked at, so that none is free."""
        tries, dead = self._tries(issuer, subject)
        [is_dead] = await self._shelf.get(dead)
        if is_dead is not None:
            return False
        count = await self._shelf.count(tries, 1, now + LIFE)
        if count >= MOST_TRIES:
            # So long that whatever is out by now has died.
            await self._shelf.put(dead, b"1", now + LIFE)
        return count <= MOST_TRIES

    async def was_right(self, issuer: str, subject: str, now: float) -> None:
        """The try that was counted found a terminal: it counts no more, and no other less."""
        tries, dead = self._tries(issuer, subject)
        if await self._shelf.count(tries, -1, now + LIFE) < MOST_TRIES:
            await self._shelf.drop(dead)

    def _tries(self, issuer: str, subject: str) -> tuple[str, str]:
        name = self._pseudonyms.of("tries", issuer, subject)[0]
        return f"terminal-tries:{name}", f"terminal-dead:{name}"

    async def _swap(self, old: Terminal, new: Terminal, now: float) -> bool:
        box = self._seal(new, now)
        return await self._shelf.swap(_key(old.id), old.kept, box, _end(old))

    def _new_code(self) -> str:
        number, code = int.from_bytes(self._random(16)), ""
        for _ in range(_LETTERS):
            number, letter = divmod(number, len(_ALPHABET))
            code += _ALPHABET[letter]
        return code

    def _code_keys(self, code: str) -> tuple[str, ...]:
        # A pseudonym, not a digest: 34 bits could be guessed by whoever reads the shelf.
        return tuple(f"terminal-code:{name}" for name in self._pseudonyms.of("code", code))

    def _seal(self, terminal: Terminal, now: float) -> bytes:
        data = [
            _VERSION,
            terminal.id,
            terminal.secret,
            terminal.program,
            terminal.address,
            list(terminal.scopes),
            terminal.created_at,
            terminal.expires_at,
            str(terminal.state),
            terminal.issuer,
            terminal.subject,
            terminal.allowed_from,
        ]
        return self._sealer.seal(json.dumps(data, separators=(",", ":")).encode(), now).encode()

    def _open(self, box: bytes, now: float) -> Terminal | None:
        # How long it is good for, the shelf knows.
        data = self._sealer.open(box.decode("ascii", "replace"), now, math.inf)
        found = _read(data) if data is not None else None
        return replace(found, kept=box) if found is not None else None


def _read(data: bytes) -> Terminal | None:
    """What was sealed; None for what another version wrote."""
    try:
        version, *fields = json.loads(data)
        if version != _VERSION:
            return None
        name, secret, program, address, scopes, created, expires, state, *whose = fields
        issuer, subject, allowed_from = whose
        return Terminal(
            id=name,
            secret=secret,
            program=program,
            address=address,
            scopes=tuple(scopes),
            created_at=created,
            expires_at=expires,
            state=State(state),
            issuer=issuer,
            subject=subject,
            allowed_from=allowed_from,
        )
    except (ValueError, TypeError, RecursionError):
        return None


def _plain(typed: str) -> str:
    """The letters of a code as it was made; empty for what is none."""
    if len(typed) > _LONGEST_TYPED:
        return ""
    code = re.sub(r"[\s.\-\u2010-\u2015]", "", typed).upper()
    return code if len(code) == _LETTERS and set(code) <= set(_ALPHABET) else ""


def _key(name: str) -> str:
    return f"terminal:{name}"


def _end(terminal: Terminal) -> float:
    """Until when it is remembered that its time is over."""
    return terminal.expires_at + LIFE
