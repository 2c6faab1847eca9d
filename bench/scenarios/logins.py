"""Whole sign-ins: to the provider and back with a session, by browsers the provider knows."""

from __future__ import annotations

import asyncio
import time
from contextlib import AsyncExitStack

import uvloop

from bench.browser import Browser
from bench.contenders import APACHE, AUTH_PROXY, OAUTH2_PROXY
from bench.model import CPU_LOGIN, LOGINS, Plan, Samples, turned
from bench.place import Place, Subject

_NAMES = (AUTH_PROXY, OAUTH2_PROXY, APACHE)
_BROWSERS = 4


def measure(place: Place, plan: Plan, found: Samples) -> None:
    """Provider and browsers share the other core and take longer: CPU time is what counts."""
    with place.all_running(*_NAMES) as subjects:
        for number in range(plan.rounds):
            for subject in turned(subjects, number):
                before = subject.process.cpu_seconds()
                done, elapsed = uvloop.run(_sign_in_for(subject, plan.seconds))
                used = subject.process.cpu_seconds() - before
                found.add(subject.name, LOGINS, done / elapsed)
                found.add(subject.name, CPU_LOGIN, used / done * 1e3)


async def _sign_in_for(subject: Subject, seconds: float) -> tuple[int, float]:
    async with AsyncExitStack() as stack:
        browsers = [await stack.enter_async_context(Browser()) for _ in range(_BROWSERS)]
        begun = time.perf_counter()
        counts = await asyncio.gather(
            *(_keep_signing_in(browser, subject.port, begun + seconds) for browser in browsers)
        )
        return sum(counts), time.perf_counter() - begun


async def _keep_signing_in(browser: Browser, port: int, until: float) -> int:
    done = 0
    while not done or time.perf_counter() < until:
        browser.forget(port)
        await browser.sign_in(port)
        done += 1
    return done
