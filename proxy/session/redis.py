"""A shelf in Redis: one server, Sentinel, or Cluster."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from typing import Any, Final, TypeVar

from proxy.config.keeping import Redis
from proxy.errors import Reason, StoreError
from proxy.session.redis_address import Kind, read_servers
from proxy.session.redis_client import Broken, Command, Dialer, Line, Refused, Reply
from proxy.session.redis_cluster import Cluster
from proxy.session.redis_news import News
from proxy.session.redis_pool import Pool
from proxy.session.redis_route import Question, Route, Watched, single
from proxy.session.shelf import Heard, Only, Share

T = TypeVar("T")

UNHEARD: Final = 0.5
"""The most ``trust`` while nothing is heard of what others change."""

_FAR: Final = 10**12
"""Milliseconds after which nothing needs an end of its own: Redis refuses times too far away."""
_PAGE: Final = 500
_WALKS: Final = 5
"""Times that a walk over the keys begins anew, because another server answers now."""
_WRONG_TYPE: Final = Refused("WRONGTYPE")

_SWAP: Final = """
if redis.pcall('GET', KEYS[1]) ~= ARGV[1] then return 0 end
if tonumber(ARGV[3]) > 0 then redis.call('SET', KEYS[1], ARGV[2], 'PX', ARGV[3])
else redis.call('DEL', KEYS[1]) end
return 1
"""
_DROP_IF: Final = """
if redis.pcall('GET', KEYS[1]) ~= ARGV[1] then return 0 end
return redis.call('DEL', KEYS[1])
"""
# A new set has no end (PTTL -1), and PEXPIRE's own GT takes that for the latest of all.
_ADD: Final = """
local kind = redis.call('TYPE', KEYS[1]).ok
if kind ~= 'zset' and kind ~= 'none' then redis.call('DEL', KEYS[1]) end
redis.call('ZADD', KEYS[1], ARGV[1], ARGV[2])
local left = redis.call('PTTL', KEYS[1])
if left < 0 or left < tonumber(ARGV[3]) then redis.call('PEXPIRE', KEYS[1], ARGV[3]) end
return 1
"""

# What is there and no number is no counter. Nothing is added beyond ARGV[3], if that is given.
_COUNT: Final = """
local had = redis.pcall('GET', KEYS[1])
local known = type(had) == 'string' and string.match(had, '^-?%d+$') and #had < 19
local sum = tonumber(ARGV[1]) + (known and tonumber(had) or 0)
if ARGV[3] ~= '' and sum > tonumber(ARGV[3]) then return sum end
if known then return redis.call('INCRBY', KEYS[1], ARGV[1]) end
if tonumber(ARGV[2]) > 0 then redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
else redis.call('DEL', KEYS[1]) end
return sum
"""
# By the server's clock: those of the replicas may differ.
_TAKE: Final = """
local kind = redis.call('TYPE', KEYS[1]).ok
if kind ~= 'zset' and kind ~= 'none' then redis.call('DEL', KEYS[1]) end
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', now)
local own = redis.call('ZSCORE', KEYS[1], ARGV[1])
if not own and redis.call('ZCARD', KEYS[1]) >= tonumber(ARGV[2]) then return 0 end
redis.call('ZADD', KEYS[1], now + ARGV[3], ARGV[1])
local left = redis.call('PTTL', KEYS[1])
if left < 0 or left < tonumber(ARGV[3]) then redis.call('PEXPIRE', KEYS[1], ARGV[3]) end
return 1
"""


class RedisShelf:
    """See ``Shelf``. Every call takes ``redis.timeout`` at most.

    A call goes on in a task of its own when its caller is cancelled: what is on the wire is
    neither cut off nor left for the next one to read. ``tell`` gets a sentence for the log when
    Redis is lost, and when it is back. Raises ConfigError for options that cannot be used.
    """

    def __init__(
        self,
        settings: Redis,
        clock: Callable[[], float],
        tell: Callable[[str], None] = lambda words: None,
        trust: float = 1.0,
    ) -> None:
        self.trust = min(trust, UNHEARD)
        self._most_trust = trust
        self._clock = clock
        self._prefix = settings.prefix
        self._timeout = settings.timeout
        self._tasks: set[asyncio.Task[Any]] = set()
        self._closed = False
        self._route = _route(settings, tell)
        self._channel = f"{settings.prefix}news"
        self._news = News(self._route.dial, self._channel, self._timeout, tell, self._weigh)
        self._route.on_move(self._news.renew)

    async def get(self, *keys: str) -> list[bytes | None]:
        if not keys:
            return []
        commands: list[Command] = [("GET", self._prefix + key) for key in keys]
        replies = await self._each(keys, commands, again=True)
        return [reply if isinstance(reply, bytes) else None for reply in replies]

    async def put(self, key: str, value: bytes, until: float, only: Only = Only.ALWAYS) -> bool:
        name, left = self._prefix + key, self._left(until)
        if left <= 0:  # Redis refuses such ends
            command: Command = ("EXISTS" if only is Only.ABSENT else "DEL", name)
            there = bool(await self._one(key, command, again=only is not Only.PRESENT))
            return only is Only.ALWAYS or there is (only is Only.PRESENT)
        match only:
            case Only.ALWAYS:
                return await self._done(key, ("SET", name, value, "PX", left), again=True)
            case Only.ABSENT:
                return await self._done(key, ("SET", name, value, "PX", left, "NX"))
            case Only.PRESENT:
                return await self._done(key, ("SET", name, value, "PX", left, "XX"))

    async def swap(self, key: str, old: bytes, new: bytes, until: float) -> bool:
        name, left = self._prefix + key, self._left(until)
        return await self._done(key, ("EVAL", _SWAP, 1, name, old, new, left))

    async def drop(self, *keys: str) -> None:
        if keys:
            await self._each(keys, [("DEL", self._prefix + key) for key in keys], again=True)

    async def drop_if(self, key: str, value: bytes) -> bool:
        return await self._done(key, ("EVAL", _DROP_IF, 1, self._prefix + key, value))

    async def count(self, key: str, by: int, until: float) -> int:
        return _number(await self._one(key, self._counting(key, by, until), again=False))

    async def take(self, *shares: Share) -> list[bool]:
        if not shares:
            return []
        keys = tuple(share.key for share in shares)
        replies = await self._each(keys, [self._taking(share) for share in shares], again=False)
        return [
            _number(reply) == 1 if share.holder else _number(reply) <= share.most
            for share, reply in zip(shares, replies, strict=True)
        ]

    def _counting(self, key: str, by: int, until: float, most: int | str = "") -> Command:
        return ("EVAL", _COUNT, 1, self._prefix + key, by, self._left(until), most)

    def _taking(self, share: Share) -> Command:
        if not share.holder:
            return self._counting(share.key, 1, share.until, share.most)
        name, left = self._prefix + share.key, self._left(share.until)
        return ("EVAL", _TAKE, 1, name, share.holder, share.most, left)

    async def add(self, key: str, member: str, score: float, until: float) -> None:
        name, left = self._prefix + key, self._left(until)
        await self._one(key, ("EVAL", _ADD, 1, name, repr(score), member, left), again=True)

    async def remove(self, key: str, *members: str) -> None:
        if members:
            await self._one(key, ("ZREM", self._prefix + key, *members), again=True)

    async def members(self, key: str) -> list[str]:
        found = await self._one(key, ("ZRANGE", self._prefix + key, 0, -1), again=True)
        return [word.decode(errors="replace") for word in found] if isinstance(found, list) else []

    async def keys(self, prefix: str) -> AsyncIterator[str]:
        pattern = _literally(self._prefix + prefix) + "*"
        for pool in await self._within(self._route.pools()):
            async for name in self._walk(pool, pattern):
                yield name.removeprefix(self._prefix)

    async def publish(self, message: bytes) -> None:
        command = ("PUBLISH", self._channel, message)
        _answers([command], [await self._within(self._route.ask_any(command))])

    async def listen(self, heard: Heard) -> None:
        await self._news.listen(heard)

    async def ready(self) -> None:
        _answers([("PING",)], [await self._within(self._route.ask_any(("PING",)))])

    async def close(self) -> None:
        if self._closed:
            return
        self._closed = True
        self._news.close()
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await self._route.close()
        await asyncio.gather(*tasks, return_exceptions=True)
        await asyncio.sleep(0)  # sockets are closed by the loop's next round

    def _weigh(self) -> None:
        heard = self._news.is_heard
        self.trust = self._most_trust if heard else min(self._most_trust, UNHEARD)

    def _left(self, until: float) -> int:
        """Milliseconds that are left."""
        return int(min((until - self._clock()) * 1000, _FAR))

    async def _done(self, key: str, command: Command, *, again: bool = False) -> bool:
        return await self._one(key, command, again=again) not in (None, 0)

    async def _one(self, key: str, command: Command, *, again: bool) -> Reply:
        return (await self._each((key,), [command], again=again))[0]

    async def _each(
        self, keys: tuple[str, ...], commands: list[Command], *, again: bool
    ) -> list[Reply]:
        questions: list[Question] = [
            (self._prefix + key, command) for key, command in zip(keys, commands, strict=True)
        ]
        return _answers(commands, await self._within(self._route.ask(questions, again=again)))

    async def _walk(self, pool: Pool, pattern: str) -> AsyncIterator[str]:
        """Names at one server, from the beginning again when another has taken its place."""
        for _ in range(_WALKS):
            generation, cursor = pool.generation, b"0"
            while generation == pool.generation:
                command = ("SCAN", cursor, "MATCH", pattern, "COUNT", _PAGE)
                asked = pool.exchange([command], again=False)
                found = _answers([command], await self._within(asked))[0]
                if not isinstance(found, list):
                    break
                cursor, names = found
                for name in names:
                    yield name.decode(errors="replace")
                if cursor == b"0" and generation == pool.generation:
                    return
        raise Broken("another server answers all the time")

    async def _within(self, work: Coroutine[Any, Any, T]) -> T:
        """What ``work`` gives, in time; cancelling the caller does not cancel it."""
        if self._closed:
            work.close()
            raise Broken("closed")
        task = asyncio.get_running_loop().create_task(self._in_time(work))
        self._tasks.add(task)
        task.add_done_callback(self._ended)
        return await asyncio.shield(task)

    async def _in_time(self, work: Coroutine[Any, Any, T]) -> T:
        try:
            async with asyncio.timeout(self._timeout):
                return await work
        except TimeoutError:
            raise Broken(f"Redis gave no answer within {self._timeout:g} s") from None
        except asyncio.CancelledError:  # nobody cancels but ``close``
            raise Broken("closed") from None

    def _ended(self, task: asyncio.Task[Any]) -> None:
        self._tasks.discard(task)
        if not task.cancelled():
            task.exception()  # seen, even if its caller has gone


def _answers(commands: list[Command], replies: list[Reply]) -> list[Reply]:
    """The replies, another type under a key as None. Raises StoreError for all else refused."""
    answers: list[Reply] = []
    for command, reply in zip(commands, replies, strict=True):
        if isinstance(reply, Refused) and reply != _WRONG_TYPE:
            words = f"Redis refused {command[0]}: {reply.code}"
            raise StoreError(Reason.STORE_UNAVAILABLE, words)
        answers.append(None if reply == _WRONG_TYPE else reply)
    return answers


def _number(reply: Reply) -> int:
    if not isinstance(reply, int):
        raise Broken("Redis answered no number")
    return reply


def _literally(text: str) -> str:
    """A glob pattern (as Redis has it) that matches this text only."""
    return "".join(f"\\{mark}" if mark in "*?[]^-\\" else mark for mark in text)


def _route(settings: Redis, tell: Callable[[str], None]) -> Route:
    servers = read_servers(settings)
    dial = Dialer(settings, servers.tls).dial

    def pool(name: str, dial: Callable[[], Awaitable[Line]]) -> Pool:
        return Pool(name, dial, settings.connections, tell)

    match servers.kind:
        case Kind.SINGLE:
            return single(servers, dial, pool)
        case Kind.SENTINEL:
            return Watched(servers, dial, pool, settings.timeout)
        case Kind.CLUSTER:
            return Cluster(servers, dial, pool, settings.timeout)
