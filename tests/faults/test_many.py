"""F28: many logins and logouts in fast time leave no memory behind, and nothing on the shelf.

``FAULTS_LOGINS`` sets another number than the small one that fits among the other tests.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
from pathlib import Path

from tests.fakes.redis_servers import single
from tests.faults.scene import figure
from tests.faults.soak import Found

LOGINS = int(os.environ.get("FAULTS_LOGINS", "800"))
REMEMBERED = 100
NOISE = 0.5
"""MiB by which a process of Python grows and shrinks while it does the same over and over."""
PER_100_000 = 1.0
IN_FLIGHT = 600_000
"""Milliseconds that the end of a session which the store has forgotten is remembered."""


async def soaked(place: str) -> Found:
    """In a process of its own: nobody else's memory counts."""
    command = [
        *(sys.executable, "-m", "tests.faults.soak", place),
        *("--logins", str(LOGINS), "--warm-up", str(4 * REMEMBERED)),
        *("--remembered", str(REMEMBERED)),
    ]
    process = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE)
    told, _ = await process.communicate()
    assert process.returncode == 0
    return Found(**json.loads(told))


def check(found: Found) -> None:
    figure("F28", logins=found.logins, growth=found.growth, slope=found.slope)
    assert found.growth < NOISE + PER_100_000 * LOGINS / 100_000


async def test_redis(tmp_path: Path) -> None:
    with single(tmp_path) as server:
        found = await soaked(server.url)
        check(found)
        left = server.ask("--scan").split()
        assert {key.rpartition(":")[0] for key in left} <= {"auth-proxy:ended:session"}
        assert len(left) <= found.logins
        # And those go by themselves.
        most, least = map(int, server.ask("EVAL", _LIVES, 0).split())
        assert 0 < least <= most <= IN_FLIGHT


_LIVES = """
local most, least = 0, 1e9
for _, key in ipairs(redis.call('KEYS', '*')) do
    local left = redis.call('PTTL', key)
    most, least = math.max(most, left), math.min(least, left)
end
return {most, least}
"""


async def test_sqlite(tmp_path: Path) -> None:
    check(await soaked(str(tmp_path / "shelf.db")))
