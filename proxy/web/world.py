"""Time and randomness of this process, handed to whoever needs them."""

from __future__ import annotations

import os
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class World:
    """Time and randomness, handed in: ``clock`` gives Unix seconds, ``random`` n bytes."""

    clock: Callable[[], float] = time.time
    random: Callable[[int], bytes] = os.urandom

    def token(self) -> str:
        """256 random bits as 43 URL-safe characters."""
        return secrets.token_urlsafe(32)
