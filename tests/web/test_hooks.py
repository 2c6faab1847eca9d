"""Hooks: found beside the configuration, checked before anybody comes, held to what they may."""

from __future__ import annotations

import asyncio
import sys
import textwrap
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from proxy.config.sign_in import Hooks
from proxy.errors import AccessDenied, ConfigError, ProxyError, Reason
from proxy.model import Admission
from proxy.web.hooks import Hook, hook_problems, import_problems, load_hook
from tests.session.samples import person

JEAN = person(provider="main", claims={"siret": "1", "list": ["a"]})
CLAIMS: dict[str, object] = {
    "sub": "704e",
    "roles": ["agent"],
    "access_token": "secret-a",
    "_claim_sources": {"src": {"JWT": "secret-b", "access_token": "secret-c", "endpoint": "e"}},
}

Write = Callable[..., Hooks]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Files of a folder → the settings of a hook there."""

    def written(named: str, timeout: float = 5.0, **files: str) -> Hooks:
        for name, text in files.items():
            file = tmp_path / name.replace("__", "/")
            file = file.with_name(f"{file.name.replace('INIT', '__init__')}.py")
            file.parent.mkdir(exist_ok=True)
            file.write_text(textwrap.dedent(text))
        return Hooks(post_login=named, folder=str(tmp_path), timeout=timeout)

    return written


def hook(function: Any, timeout: float = 5.0, *, takes_event: bool = False) -> Hook:
    return Hook("my_hooks:handler", timeout, function, takes_event)


# Finding and checking


HANDLER = """
    async def handler(identity, claims):
        return None
"""


@pytest.mark.parametrize(
    ("named", "files"),
    [
        pytest.param("my_hooks:handler", {"my_hooks": HANDLER}, id="module:function"),
        pytest.param("my_hooks.handler", {"my_hooks": HANDLER}, id="module.function"),
        pytest.param("json:handler", {"json": HANDLER}, id="called as a library is"),
        pytest.param("sso.hooks:handler", {"sso__INIT": "", "sso__hooks": HANDLER}, id="package"),
        pytest.param("sso:handler", {"sso__INIT": HANDLER}, id="a package itself"),
        pytest.param(
            "sso.hooks:handler",
            {"sso__hooks": "from ..teams import handler", "teams": HANDLER},
            id="package without __init__, a neighbour above",
        ),
        pytest.param(
            "my_hooks:handler",
            {"my_hooks": "from . import teams\nhandler = teams.handler", "teams": HANDLER},
            id="a neighbour",
        ),
        pytest.param(
            "my_hooks:handler",
            {
                "my_hooks": """
                    import functools

                    async def any_of(groups, identity, claims):
                        return None

                    handler = functools.partial(any_of, {"staff"})
                """
            },
            id="a partial function",
        ),
    ],
)
async def test_a_hook_is_found_beside_the_configuration(
    write: Write, named: str, files: dict[str, str]
) -> None:
    before, modules = list(sys.path), set(sys.modules)
    settings = write(named, **files)
    assert hook_problems(settings) == import_problems(settings) == []
    found = load_hook(settings)
    assert found is not None
    assert await found.admit(JEAN, CLAIMS, "sign_in") == Admission(JEAN)
    assert sys.path == before
    assert all(name.startswith("auth_proxy_hooks_") for name in set(sys.modules) - modules)


def test_without_a_hook_nothing_is_imported(write: Write) -> None:
    assert load_hook(write("", my_hooks="raise SystemExit")) is None
    assert hook_problems(Hooks()) == import_problems(Hooks()) == []


def test_each_load_reads_the_file_anew(write: Write) -> None:
    first = load_hook(write("a:handler", a="from .b import handler", b=HANDLER))
    second = load_hook(write("a:handler", b="async def handler(identity, claims, event): ..."))
    assert first is not None
    assert second is not None
    assert (first.takes_event, second.takes_event) == (False, True)


BAD = [
    pytest.param("my_hooks:handler", {}, "my_hooks.py: No such file", True, id="no file"),
    pytest.param("a.b:handler", {}, "a/b.py: No such file", True, id="no file in a package"),
    pytest.param("a..b:handler", {}, "No such file", True, id="no name of a module"),
    pytest.param(
        "my_hooks:handler", {"my_hooks": "\n\ndef handler(:"}, "line 3: ", True, id="no Python"
    ),
    pytest.param("my_hooks:handler", {"my_hooks": "\0"}, "my_hooks.py: ", True, id="no text"),
    pytest.param(
        "my_hooks:handler",
        {"my_hooks": "def handler(identity, claims):\n    return None"},
        "handler must be a coroutine function: async def handler(…)",
        True,
        id="E5.2: not async",
    ),
    pytest.param(
        "my_hooks:handler",
        {"my_hooks": "handler = lambda identity, claims: None"},
        "handler must be a coroutine function: async def handler(…)",
        False,
        id="not async, and only the import tells",
    ),
    pytest.param(
        "my_hooks:other", {"my_hooks": HANDLER}, "has no function other", False, id="no function"
    ),
    pytest.param(
        "my_hooks:handler",
        {"my_hooks": "import teams", "teams": HANDLER},
        "ModuleNotFoundError: No module named 'teams' at my_hooks.py:1; what lies beside it is "
        "imported by: from . import name",
        False,
        id="a neighbour, not relative",
    ),
    pytest.param(
        "my_hooks:handler",
        {"my_hooks": "import os\nos.nothing"},
        "my_hooks.py: cannot be imported: AttributeError: ",
        False,
        id="fails",
    ),
    pytest.param(
        "my_hooks:handler", {"my_hooks": "raise SystemExit(0)"}, "SystemExit", False, id="exits"
    ),
]


@pytest.mark.parametrize(("named", "files", "words", "without_running"), BAD)
def test_what_is_wrong_is_said_at_the_start(
    write: Write, named: str, files: dict[str, str], words: str, without_running: bool
) -> None:
    settings = write(named, **files)
    with pytest.raises(ConfigError) as refused:
        load_hook(settings)
    (problem,) = refused.value.problems
    assert problem.startswith(f"hooks.post_login: {settings.folder}/")
    assert words in problem
    assert hook_problems(settings) == ([problem] if without_running else [])
    assert import_problems(settings) == [problem]


def test_the_static_look_runs_nothing(write: Write, tmp_path: Path) -> None:
    trace = tmp_path / "trace"
    settings = write("a:handler", a=f"open({str(trace)!r}, 'w').close()\n{HANDLER.strip()}")
    assert hook_problems(settings) == []
    assert not trace.exists()


# Asking


async def test_the_hook_gets_copies_and_no_token() -> None:
    seen: list[Any] = []

    async def handler(identity: Any, claims: Any) -> None:
        seen[:] = [identity, claims]
        claims["roles"].append("admin")
        identity.claims["list"].append("b")
        with pytest.raises(TypeError):
            claims["email"] = "x"

    assert await hook(handler).admit(JEAN, CLAIMS, "sign_in") == Admission(JEAN)
    identity, claims = seen
    assert replace(identity, claims={}) == replace(JEAN, claims={})
    assert set(claims) == {"sub", "roles", "_claim_sources"}
    assert claims["_claim_sources"] == {"src": {"endpoint": "e"}}
    assert CLAIMS["roles"] == ["agent"]
    assert JEAN.claims["list"] == ["a"]


async def test_what_was_changed_in_place_does_not_count() -> None:
    async def handler(identity: Any, claims: Any) -> Any:
        identity.claims["list"].append("b")

    assert (await hook(handler).admit(JEAN, CLAIMS, "sign_in")).identity.claims == JEAN.claims


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        pytest.param("async def handler(identity, claims): ...", None, id="not asked for"),
        pytest.param("async def handler(identity, claims, event): TELL", "refresh", id="argument"),
        pytest.param("async def handler(identity, claims, *, event=0): TELL", "refresh", id="key"),
        pytest.param("async def handler(identity, claims, **event): TELL", {"event": "refresh"},
                     id="whatever else there is"),
    ],
)  # fmt: skip
async def test_the_event_is_told_to_who_takes_it(
    write: Write, source: str, expected: object
) -> None:
    told = "raise __import__('proxy.errors').errors.AccessDenied(str(event))"
    found = load_hook(write("a:handler", a=source.replace("TELL", told)))
    assert found is not None
    if expected is None:
        assert await found.admit(JEAN, CLAIMS, "refresh") == Admission(JEAN)
        return
    with pytest.raises(AccessDenied) as denied:
        await found.admit(JEAN, CLAIMS, "refresh")
    assert denied.value.message == str(expected)


async def test_a_hook_may_enrich_and_shorten() -> None:
    async def handler(identity: Any, claims: Any) -> Admission:
        return Admission(replace(identity, user="42", role="admin", scope="a b"), max_age=60)

    admission = await hook(handler).admit(JEAN, CLAIMS, "sign_in")
    found = admission.identity
    assert (found.user, found.role, found.roles, found.scope) == ("42", "admin", ("admin",), "a b")
    assert admission.max_age == 60


async def test_a_hook_may_deny_in_words_of_its_own() -> None:
    async def handler(identity: Any, claims: Any) -> None:
        raise AccessDenied("Ask your team\nfor a seat.", Reason.INTERNAL)

    with pytest.raises(AccessDenied) as denied:
        await hook(handler).admit(JEAN, CLAIMS, "sign_in")
    assert denied.value.message == "Ask your team for a seat."
    assert (denied.value.reason, denied.value.status) == (Reason.DENIED_BY_HOOK, 403)


class Fatal(BaseException):
    """What no ``except Exception`` catches."""


@pytest.mark.parametrize(
    ("exc", "words"),
    [
        pytest.param(ValueError("boom"), "ValueError: boom at test_hooks.py:", id="an exception"),
        pytest.param(ProxyError(Reason.NO_SESSION), "ProxyError", id="one of ours"),
        pytest.param(asyncio.CancelledError(), "cancelled itself", id="cancelled"),
        pytest.param(SystemExit(3), "RuntimeError: raised SystemExit", id="exit"),
        pytest.param(Fatal("x"), "RuntimeError: raised Fatal", id="BaseException"),
        pytest.param(TimeoutError(), "TimeoutError", id="a timeout of its own"),
    ],
)
async def test_whatever_else_a_hook_raises_lets_nobody_in(exc: BaseException, words: str) -> None:
    async def handler(identity: Any, claims: Any) -> None:
        raise exc

    with pytest.raises(ProxyError) as failed:
        await hook(handler).admit(JEAN, CLAIMS, "sign_in")
    assert (failed.value.reason, failed.value.status) == (Reason.HOOK_FAILED, 500)
    assert failed.value.detail.startswith("my_hooks:handler: ")
    assert words in failed.value.detail


@pytest.mark.parametrize(
    "result",
    [
        pytest.param("admin", id="no Identity"),
        pytest.param(replace(JEAN, subject="else"), id="another person"),
        pytest.param(Admission(JEAN, -1), id="no time"),
    ],
)
async def test_a_result_that_cannot_be_used_lets_nobody_in(result: object) -> None:
    async def handler(identity: Any, claims: Any) -> object:
        return result

    with pytest.raises(ProxyError) as failed:
        await hook(handler).admit(JEAN, CLAIMS, "sign_in")
    assert failed.value.reason is Reason.HOOK_FAILED


async def test_a_slow_hook_is_not_waited_for() -> None:
    stopped = asyncio.Event()

    async def handler(identity: Any, claims: Any) -> None:
        try:
            await asyncio.Event().wait()
        finally:
            stopped.set()

    with pytest.raises(ProxyError) as failed:
        await hook(handler, timeout=0.01).admit(JEAN, CLAIMS, "sign_in")
    assert failed.value.reason is Reason.HOOK_FAILED
    assert failed.value.detail == "my_hooks:handler: no answer within 0.01 s"
    await asyncio.wait_for(stopped.wait(), 5)


async def test_nor_one_that_does_not_let_itself_be_stopped() -> None:
    go_on, ended = asyncio.Event(), asyncio.Event()

    async def handler(identity: Any, claims: Any) -> None:
        try:
            await go_on.wait()
        except asyncio.CancelledError:
            await go_on.wait()
        ended.set()
        raise ValueError("nobody hears this")

    with pytest.raises(ProxyError, match="no answer"):
        await asyncio.wait_for(hook(handler, timeout=0.01).admit(JEAN, CLAIMS, "sign_in"), 5)
    go_on.set()
    await asyncio.wait_for(ended.wait(), 5)


async def test_who_leaves_takes_the_hook_along() -> None:
    begun, stopped = asyncio.Event(), asyncio.Event()

    async def handler(identity: Any, claims: Any) -> None:
        begun.set()
        try:
            await asyncio.Event().wait()
        finally:
            stopped.set()

    task = asyncio.ensure_future(hook(handler).admit(JEAN, CLAIMS, "sign_in"))
    await begun.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await asyncio.wait_for(stopped.wait(), 5)
