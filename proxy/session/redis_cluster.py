"""A Redis Cluster: which node has a key, and what to do when that has changed.

Every command is about one key, so there is nothing that could be of two nodes
(https://redis.io/docs/latest/operate/oss_and_stack/reference/cluster-spec/).
"""

from __future__ import annotations

import asyncio
import binascii
from collections.abc import Callable, Coroutine, Sequence
from typing import Any, Final

from proxy.session.redis_address import Address, Servers
from proxy.session.redis_client import Broken, Command, Line, Moved, Refused, Reply
from proxy.session.redis_pool import Pool
from proxy.session.redis_route import Dial, PoolOf, Question, first_answer, outcome, seen

SLOTS: Final = 16384
_HOPS: Final = 5
"""Nodes that may send us on before we believe none of them."""
_STILL: Final = 0.25
"""Seconds that a map is not drawn again after an attempt, whatever seems to be wrong with it."""

_Map = tuple[list[Address], list[Address]]
"""The master of each slot, and every master once."""
_Jobs = dict[int, Command]
"""Commands by their place in the answer."""


def slot_of(key: bytes) -> int:
    """CRC16 (XMODEM) of the key, or of what stands in its first braces."""
    _, brace, rest = key.partition(b"{")
    tag, end, _ = rest.partition(b"}")
    return binascii.crc_hqx(tag if brace and end and tag else key, 0) % SLOTS


class Cluster:
    """A ``Route`` to all masters of a Cluster."""

    def __init__(self, servers: Servers, dial: Dial, pool: PoolOf, patience: float) -> None:
        self._servers = servers
        self._dial = dial
        self._pool_of = pool
        self._patience = patience
        self._pools: dict[Address, Pool] = {}
        self._slots: list[Address] = []
        self._masters: list[Address] = []
        self._turn = 0
        self._drawing: asyncio.Task[None] | None = None
        self._drawn_at = -_STILL
        self._closed = False

    async def ask(self, questions: Sequence[Question], *, again: bool) -> list[Reply]:
        await self._map()
        replies: list[Reply] = [None] * len(questions)
        parted: dict[Address, _Jobs] = {}
        for place, (key, command) in enumerate(questions):
            node = self._slots[slot_of(key.encode())]
            parted.setdefault(node, {})[place] = command
        for _ in range(_HOPS):
            onward: dict[Address, _Jobs] = {}
            asking: dict[Address, _Jobs] = {}
            for place, reply in (await self._everywhere(parted, again)).items():
                if not isinstance(reply, Moved):
                    replies[place] = reply
                    continue
                self._redraw()
                target = asking if reply.asking else onward
                target.setdefault(reply.address, {})[place] = questions[place][1]
            for node, jobs in asking.items():
                for place, reply in (await self._asking(node, jobs, again)).items():
                    replies[place] = reply
            if not onward:
                return replies
            parted = onward
        raise Broken("the nodes of the Cluster send us around in a circle")

    async def _everywhere(self, parted: dict[Address, _Jobs], again: bool) -> dict[int, Reply]:
        """All at once; each is waited for, so that none is left behind without a time limit."""
        if len(parted) == 1:
            ((node, jobs),) = parted.items()
            return await self._at(node, jobs, again)
        found: dict[int, Reply] = {}
        for answer in await asyncio.gather(
            *(self._at(node, jobs, again) for node, jobs in parted.items()),
            return_exceptions=True,
        ):
            if isinstance(answer, BaseException):
                raise answer
            found |= answer
        return found

    async def _at(self, node: Address, jobs: _Jobs, again: bool) -> dict[int, Reply]:
        try:
            replies = await self._pool(node).exchange(list(jobs.values()), again=again)
        except BaseException:
            self._redraw()
            raise
        if Refused("CLUSTERDOWN") in replies or Refused("READONLY") in replies:
            self._redraw()
        return dict(zip(jobs, replies, strict=True))

    async def _asking(self, node: Address, jobs: _Jobs, again: bool) -> dict[int, Reply]:
        """Ask for keys that are on their way to ``node``."""
        commands = [word for command in jobs.values() for word in (("ASKING",), command)]
        replies = await self._pool(node).exchange(commands, again=again)
        found = dict(zip(jobs, replies[1::2], strict=True))
        if any(isinstance(reply, Moved) for reply in found.values()):
            raise Broken("a key of the Cluster is on its way twice")
        return found

    async def ask_any(self, command: Command) -> Reply:
        last = Broken("the Cluster has no node")
        for pool in await self.pools():
            try:
                return (await pool.exchange([command], again=True))[0]
            except Broken as error:
                self._redraw()
                last = error
        raise last

    async def pools(self) -> list[Pool]:
        await self._map()
        return [self._pool(node) for node in self._masters]

    def _pool(self, node: Address) -> Pool:
        pool = self._pools.get(node)
        if pool is None:

            async def there() -> Line:
                return await self._dial(node, self._servers.login)

            pool = self._pools[node] = self._pool_of(str(node), there)
        return pool

    async def dial(self) -> Line:
        """To any node, since each hears all; to another one after each that failed."""
        nodes = self._known()
        try:
            return await self._dial(nodes[self._turn % len(nodes)], self._servers.login)
        except BaseException:
            self._turn += 1
            raise

    def on_move(self, moved: Callable[[], None]) -> None:
        """Every node passes messages on."""

    # The map

    def _known(self) -> list[Address]:
        """Nodes to ask for anything: those on the map, and those of the settings."""
        return list(dict.fromkeys([*self._masters, *self._servers.addresses]))

    async def _map(self) -> None:
        """Have a map, if not the newest."""
        if not self._slots:
            await outcome(self._redraw())

    def _redraw(self) -> asyncio.Task[None]:
        """Draw it anew; once for all who find it wrong."""
        now = asyncio.get_running_loop().time()
        if self._drawing is None or (self._drawing.done() and now >= self._drawn_at + _STILL):
            self._drawing = asyncio.ensure_future(self._draw())
            self._drawing.add_done_callback(seen)
        return self._drawing

    async def _draw(self) -> None:
        if self._closed:
            raise Broken("closed")
        try:
            async with asyncio.timeout(self._patience):
                slots, masters = await first_answer(map(self._reading, self._known()))
        except TimeoutError:
            raise Broken("no node of the Cluster tells in time who has which keys") from None
        finally:
            self._drawn_at = asyncio.get_running_loop().time()
        self._slots, self._masters = slots, masters
        for node in set(self._pools) - set(self._masters):
            self._pools.pop(node).retire()

    def _reading(self, node: Address) -> Callable[[], Coroutine[Any, Any, _Map]]:
        async def read() -> _Map:
            line = await self._dial(node, self._servers.login)
            try:
                return _read_map((await line.exchange([("CLUSTER", "SLOTS")]))[0], node)
            finally:
                line.abort()

        return read

    async def close(self) -> None:
        self._closed = True
        if self._drawing is not None:
            self._drawing.cancel()
            await asyncio.wait([self._drawing])
        for pool in self._pools.values():
            pool.close()


def _read_map(reply: Reply, asked: Address) -> _Map:
    """Raises Broken where a slot has no master: such a node knows too little."""
    slots: list[Address | None] = [None] * SLOTS
    masters: dict[Address, None] = {}
    for item in reply if isinstance(reply, list) else []:
        match item:
            case [int() as first, int() as last, [host, int() as port, *_], *_]:
                # No name is that of whoever was asked.
                name = host.decode() if isinstance(host, bytes) and host != b"?" else ""
                node = Address(name or asked.host, port)
                slots[first : last + 1] = [node] * (last + 1 - first)
                masters[node] = None
    found = [node for node in slots if node is not None]
    if len(found) != SLOTS:
        code = f" ({reply.code})" if isinstance(reply, Refused) else ""
        raise Broken(f"{asked} does not know who has which keys{code}")
    return found, list(masters)
