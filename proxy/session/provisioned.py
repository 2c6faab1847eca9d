"""Who has been provisioned: remembered by all replicas, so that it happens once."""

from __future__ import annotations

import json
import math
from typing import Final

from proxy.crypto.pseudonym import Pseudonyms
from proxy.crypto.seal import Sealer
from proxy.session.shelf import Shelf

_VERSION: Final = 1


class Provisioned:
    """People whom an upstream knows, on the shelf: keys are pseudonyms, values sealed.

    ``place`` is the address they were provisioned at: another one knows nobody yet. Everything
    raises StoreError.
    """

    def __init__(self, shelf: Shelf, sealer: Sealer, pseudonyms: Pseudonyms) -> None:
        self._shelf = shelf
        self._sealer = sealer
        self._pseudonyms = pseudonyms

    def lock(self, place: str, issuer: str, subject: str) -> str:
        """What to lock while a person is being provisioned."""
        return self._keys(place, issuer, subject)[0]

    async def known(self, place: str, issuer: str, subject: str, now: float) -> str | None:
        """The id that the upstream gave, "" where it gave none; None for who is not known."""
        for box in await self._shelf.get(*self._keys(place, issuer, subject)):
            if box is None:
                continue
            # How long it is good for, the shelf knows.
            data = self._sealer.open(box.decode("ascii", "replace"), now, math.inf)
            user = _read(data, [place, issuer, subject])
            if user is not None:
                return user
        return None

    async def remember(
        self, place: str, issuer: str, subject: str, user: str, now: float, until: float
    ) -> None:
        """The upstream knows this person until then, by ``user`` or by no id of its own."""
        document = [_VERSION, place, issuer, subject, user]
        data = json.dumps(document, separators=(",", ":")).encode()
        box = self._sealer.seal(data, now).encode()
        await self._shelf.put(self._keys(place, issuer, subject)[0], box, until)

    def _keys(self, place: str, issuer: str, subject: str) -> tuple[str, ...]:
        names = self._pseudonyms.of("provisioned", place, issuer, subject)
        return tuple(f"provisioned:{name}" for name in names)


def _read(data: bytes | None, whose: list[str]) -> str | None:
    """The id in what ``remember`` sealed for ``whose``; None for anything else."""
    try:
        document = json.loads(data) if data is not None else None
    except (ValueError, RecursionError):
        return None
    if not isinstance(document, list) or document[:-1] != [_VERSION, *whose]:
        return None
    user = document[-1]
    return user if isinstance(user, str) else None
