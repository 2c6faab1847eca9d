"""Which Redis is asked: the one there is, or the master that Sentinels name."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Sequence
from typing import Any, Final, Protocol, TypeVar

from proxy.session.redis_address import Address, Login, Servers
from proxy.session.redis_client import Broken, Command, Line, Refused, Reply
from proxy.session.redis_news import News
from proxy.session.redis_pool import Pool

Question = tuple[str, Command]
"""A key, and a command that is about this key only."""
Dial = Callable[[Address, Login], Awaitable[Line]]
PoolOf = Callable[[str, Callable[[], Awaitable[Line]]], Pool]

T = TypeVar("T")

_HEAD_START: Final = 0.1
"""Seconds that one server is given to answer before the next is asked as well."""


class Route(Protocol):
    """The way to whoever has a key. Everything raises Broken; time limits are the caller's."""

    async def ask(self, questions: Sequence[Question], *, again: bool) -> list[Reply]:
        """Answers in order; ``again`` where the questions may be sent twice."""

    async def ask_any(self, command: Command) -> Reply:
        """Ask whoever answers; may be sent twice."""

    async def pools(self) -> list[Pool]:
        """One for each master."""

    async def dial(self) -> Line:
        """A connection of one's own to whoever passes messages on."""

    def on_move(self, moved: Callable[[], None]) -> None:
        """Call when messages are passed on elsewhere than before."""

    async def close(self) -> None:
        """Close what is open."""


async def first_answer(asked: Iterable[Callable[[], Coroutine[Any, Any, T]]]) -> T:
    """The first good answer, each asked a little after the one before. Raises the last Broken."""
    waiting = list(asked)
    running: set[asyncio.Task[T]] = set()
    last = Broken("there is nobody to ask")
    try:
        while waiting or running:
            if waiting:
                running.add(asyncio.ensure_future(waiting.pop(0)()))
            done, running = await asyncio.wait(
                running,
                timeout=_HEAD_START if waiting else None,
                return_when=asyncio.FIRST_COMPLETED,
            )
            for task in done:
                try:
                    return task.result()
                except Broken as error:
                    last = error
    finally:
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)
    raise last


async def outcome(task: asyncio.Task[T]) -> T:
    """What a task gives that others wait for as well. Raises Broken if it was ended with us."""
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        if task.cancelled():
            raise Broken("closed") from None
        raise


def seen(task: asyncio.Task[Any]) -> None:
    """Let a task fail whose waiters have gone: nothing is to be said about it."""
    if not task.cancelled():
        task.exception()


class Alone:
    """One master: the server itself, or whom ``dial`` finds."""

    def __init__(self, pool: Pool, dial: Callable[[], Awaitable[Line]]) -> None:
        self._pool = pool
        self._dial = dial

    async def ask(self, questions: Sequence[Question], *, again: bool) -> list[Reply]:
        replies = await self._pool.exchange([command for _, command in questions], again=again)
        refused = [number for number, reply in enumerate(replies) if reply == _READ_ONLY]
        if refused:
            # A master no more: somebody else is. What was refused has not been done.
            self._pool.give_up()
            told = [questions[number][1] for number in refused]
            for number, reply in zip(
                refused, await self._pool.exchange(told, again=again), strict=True
            ):
                replies[number] = reply
        return replies

    async def ask_any(self, command: Command) -> Reply:
        return (await self._pool.exchange([command], again=True))[0]

    async def pools(self) -> list[Pool]:
        return [self._pool]

    async def dial(self) -> Line:
        return await self._dial()

    def on_move(self, moved: Callable[[], None]) -> None:
        """Whoever it is, it does not move."""

    async def close(self) -> None:
        self._pool.close()


_READ_ONLY: Final = Refused("READONLY")


def single(servers: Servers, dial: Dial, pool: PoolOf) -> Alone:
    """The one server at ``servers.addresses``."""
    address = servers.addresses[0]

    async def there() -> Line:
        return await dial(address, servers.login)

    return Alone(pool(str(address), there), there)


class Sentinels:
    """Finds the master, anew for each connection, and hears when another one becomes it.

    The one before may live on for seconds and take what is then lost: its connections are given
    up as soon as its Sentinels say so, by ``moved``.
    """

    def __init__(self, servers: Servers, dial: Dial, patience: float) -> None:
        self.moved: list[Callable[[], None]] = []
        self._servers = servers
        self._dial = dial
        self._patience = patience
        self._turn = 0
        self._master: Address | None = None
        self._asking: asyncio.Task[Address] | None = None
        self._hearing: asyncio.Task[None] | None = None
        self._news = News(self._sentinel, "+switch-master", patience, _nobody, _nobody)

    async def dial(self) -> Line:
        """A connection to the master, who says itself that it is one. Raises Broken."""
        if self._hearing is None:
            self._hearing = asyncio.ensure_future(self._news.listen(self._heard))
        line = await self._dial(await outcome(self._find()), self._servers.login)
        try:
            role = (await line.exchange([("ROLE",)]))[0]
            # Who may not ask is taken at the Sentinels' word.
            if isinstance(role, list) and role[:1] != [b"master"]:
                raise Broken(f"{line.address}: the Sentinels' master is none (yet)")
        except BaseException:
            line.abort()
            raise
        return line

    def _heard(self, message: bytes | None) -> None:
        self._find()

    def _find(self) -> asyncio.Task[Address]:
        """Ask, once for all who want to know."""
        if self._asking is None or self._asking.done():
            self._asking = asyncio.ensure_future(self._found())
            self._asking.add_done_callback(seen)
        return self._asking

    async def _found(self) -> Address:
        try:
            async with asyncio.timeout(self._patience):
                master = await first_answer(map(self._ask, self._servers.addresses))
        except TimeoutError:
            raise Broken("no Sentinel answers in time") from None
        before, self._master = self._master, master
        if before not in (None, master):
            for moved in self.moved:
                moved()
        return master

    async def _sentinel(self) -> Line:
        """A connection to one of them; to another after each that failed."""
        addresses = self._servers.addresses
        try:
            return await self._dial(addresses[self._turn % len(addresses)], self._servers.gate)
        except BaseException:
            self._turn += 1
            raise

    def _ask(self, sentinel: Address) -> Callable[[], Coroutine[Any, Any, Address]]:
        async def ask() -> Address:
            line = await self._dial(sentinel, self._servers.gate)
            try:
                command = ("SENTINEL", "GET-MASTER-ADDR-BY-NAME", self._servers.master)
                match (await line.exchange([command]))[0]:
                    case [bytes() as host, bytes() as port]:
                        return Address(host.decode(), int(port))
                    case Refused(code):
                        raise Broken(f"Sentinel {sentinel} refused to tell the master: {code}")
                    case _:
                        raise Broken(f"Sentinel {sentinel} knows no master of that name")
            finally:
                line.abort()

        return ask

    async def close(self) -> None:
        self._news.close()
        tasks = [task for task in (self._asking, self._hearing) if task is not None]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def _nobody(*_: str) -> None:
    """Nobody needs to be told: who asks for the master is."""


class Watched(Alone):
    """The master that Sentinels name."""

    def __init__(self, servers: Servers, dial: Dial, pool: PoolOf, patience: float) -> None:
        self._sentinels = Sentinels(servers, dial, patience)
        found = pool(f"the master {servers.master}", self._sentinels.dial)
        self._sentinels.moved.append(found.give_up)
        super().__init__(found, self._sentinels.dial)

    def on_move(self, moved: Callable[[], None]) -> None:
        self._sentinels.moved.append(moved)

    async def close(self) -> None:
        await super().close()
        await self._sentinels.close()
