"""One call for all who wait, whatever becomes of whoever makes it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from proxy.errors import BearerRefused, ProviderError, Reason
from proxy.oidc.bearer import Believed
from proxy.web.questions import Questions
from tests.fakes.clock import FakeClock
from tests.wire.stage import eventually

YES = Believed("https://ci.example.org", {"sub": "a"}, 1.0, ())
KEY = ("ci", b"digest")


class Asked:
    """A call that a test answers when it wants to."""

    def __init__(self) -> None:
        self.answers: list[asyncio.Future[Believed | None]] = []

    async def __call__(self) -> Believed | None:
        self.answers.append(asyncio.get_running_loop().create_future())
        return await self.answers[-1]


def never() -> Callable[[], Awaitable[Believed | None]]:
    async def call() -> Believed | None:
        raise AssertionError

    return call


async def test_all_who_wait_get_the_one_answer() -> None:
    questions, call = Questions(60, FakeClock()), Asked()
    waiting = [asyncio.ensure_future(questions.ask(KEY, call)) for _ in range(5)]
    await eventually(lambda: call.answers)
    call.answers[0].set_result(YES)
    assert await asyncio.gather(*waiting) == [YES] * 5
    assert len(call.answers) == 1


@pytest.mark.parametrize(
    "failure",
    [
        ProviderError(Reason.PROVIDER_TIMEOUT, "late", status=504),
        BearerRefused(
            "no scope", "insufficient_scope", Reason.SCOPE_MISSING, status=403, scope="a"
        ),
    ],
    ids=["fault", "refusal"],
)
async def test_all_who_wait_get_the_one_failure_each_its_own(
    failure: ProviderError | BearerRefused,
) -> None:
    questions, call = Questions(60, FakeClock()), Asked()
    waiting = [asyncio.ensure_future(questions.ask(KEY, call)) for _ in range(3)]
    await eventually(lambda: call.answers)
    call.answers[0].set_exception(failure)
    found = await asyncio.gather(*waiting, return_exceptions=True)
    assert len(set(map(id, found))) == 3
    for one in found:
        assert type(one) is type(failure)
        assert isinstance(one, ProviderError | BearerRefused)
        assert (one.reason, one.detail, one.status) == (
            failure.reason, failure.detail, failure.status
        )  # fmt: skip
        assert getattr(one, "scope", "") == getattr(failure, "scope", "")
    # and nothing of it stays
    again = asyncio.ensure_future(questions.ask(KEY, call))
    await eventually(lambda: len(call.answers) == 2)
    call.answers[1].set_result(YES)
    assert await again == YES


async def test_when_the_caller_goes_the_next_one_calls() -> None:
    questions, call = Questions(60, FakeClock()), Asked()
    first, second = (asyncio.ensure_future(questions.ask(KEY, call)) for _ in range(2))
    await eventually(lambda: call.answers)
    first.cancel()
    await eventually(lambda: len(call.answers) == 2)
    call.answers[1].set_result(YES)
    assert await second == YES
    assert first.cancelled()


async def test_the_same_digest_of_another_issuer_is_another_question() -> None:
    questions, call, other = Questions(60, FakeClock()), Asked(), Asked()
    one = asyncio.ensure_future(questions.ask(KEY, call))
    two = asyncio.ensure_future(questions.ask(("other", KEY[1]), other))
    await eventually(lambda: call.answers and other.answers)
    call.answers[0].set_result(None)
    other.answers[0].set_result(YES)
    assert (await one, await two) == (None, YES)


async def test_a_no_is_believed_for_ten_seconds_a_yes_is_not_kept_here() -> None:
    clock, call = FakeClock(), Asked()
    questions = Questions(60, clock)
    asked = asyncio.ensure_future(questions.ask(KEY, call))
    await eventually(lambda: call.answers)
    call.answers[0].set_result(None)
    assert await asked is None
    clock.advance(9.9)
    assert await questions.ask(KEY, never()) is None
    clock.advance(0.1)
    asked = asyncio.ensure_future(questions.ask(KEY, call))
    await eventually(lambda: len(call.answers) == 2)
    call.answers[1].set_result(YES)
    assert await asked == YES


async def test_more_questions_than_can_wait_are_answered_at_once() -> None:
    questions, call = Questions(60, FakeClock()), Asked()
    waiting = [
        asyncio.ensure_future(questions.ask(("ci", bytes([number])), call)) for number in range(100)
    ]
    await eventually(lambda: len(call.answers) == 100)
    with pytest.raises(ProviderError) as refused:
        await questions.ask(KEY, never())
    assert refused.value.status == 503
    call.answers[0].set_result(YES)
    await waiting[0]
    for answer in call.answers[1:]:
        answer.set_result(None)
    await asyncio.gather(*waiting)
