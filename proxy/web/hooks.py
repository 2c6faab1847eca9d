"""Hooks: the operator's own code, asked about each person who signs in."""

from __future__ import annotations

import ast
import asyncio
import copy
import hashlib
import importlib
import importlib.util
import inspect
import sys
import traceback
from collections.abc import Awaitable, Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType, ModuleType
from typing import Final, Literal

from proxy.config.sign_in import Hooks
from proxy.errors import AccessDenied, ConfigError, ProxyError, Reason
from proxy.model import Admission, Identity, Json
from proxy.oidc.userinfo import BEARER_FIELDS
from proxy.web.hook_result import checked, public_words

Event = Literal["sign_in", "refresh"]
_OPTION: Final = "hooks.post_login"
_PACKAGE: Final = "auth_proxy_hooks_"
# Aggregated and distributed claims bring tokens of their own (OpenID Connect Core section 5.6.2).
_BEARER: Final = frozenset(BEARER_FIELDS) | {"jwt"}
_OURS: Final = frozenset({__file__, importlib.__file__})


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Hook:
    """One function of the operator's, with a limit in seconds on each call."""

    name: str
    timeout: float
    function: Callable[..., Awaitable[object]]
    takes_event: bool

    async def admit(
        self, identity: Identity, claims: Mapping[str, object], event: Event
    ) -> Admission:
        """What the hook makes of a person whose ``claims`` are verified; it gets copies.

        Raises AccessDenied in the hook's words, or ProxyError(HOOK_FAILED, 500) for a hook that
        raises anything else, is too slow, or returns what cannot be used: then nobody comes in.
        """
        try:
            shown = replace(identity, claims=_readable(identity.claims))
            readable = _readable(claims)
        except RecursionError:
            raise self._failed("the claims are nested too deeply") from None
        more = {"event": event} if self.takes_event else {}
        # A task of its own: a hook that does not stop when it is cancelled holds nobody up.
        task = asyncio.ensure_future(self._run(shown, readable, more))
        task.add_done_callback(_seen)
        try:
            done, _ = await asyncio.wait({task}, timeout=self.timeout)
        finally:
            task.cancel()
        if not done:
            raise self._failed(f"no answer within {self.timeout:g} s")
        try:
            return checked(task.result(), identity)
        except AccessDenied as exc:
            raise AccessDenied(public_words(exc.message)) from exc
        except asyncio.CancelledError as exc:
            raise self._failed("cancelled itself") from exc
        except Exception as exc:
            raise self._failed(_told(exc)) from exc

    async def _run(
        self, identity: Identity, claims: Mapping[str, Json], more: Mapping[str, str]
    ) -> object:
        try:
            return await self.function(identity, claims, **more)
        except (Exception, asyncio.CancelledError, GeneratorExit):
            raise
        except BaseException as exc:  # such as SystemExit, which would end the whole process
            raise RuntimeError(f"raised {type(exc).__name__}") from exc

    def _failed(self, detail: str) -> ProxyError:
        return ProxyError(Reason.HOOK_FAILED, f"{self.name}: {detail}", status=500)


def load_hook(settings: Hooks) -> Hook | None:
    """Import the function of ``hooks.post_login``; None where none is configured.

    Its module is looked for in ``hooks.folder`` alone, and imported as part of a package of our
    own: nothing is added to ``sys.path``, so that no file there can stand in for a library. What
    lies beside it is imported by ``from . import name``. Raises ConfigError.
    """
    if not settings.post_login:
        return None
    if problems := hook_problems(settings):
        raise ConfigError(problems)
    module, function = _named(settings.post_login)
    try:
        found = getattr(_imported(Path(settings.folder or "."), module), function, None)
    except (Exception, SystemExit) as exc:
        hint = ""
        if isinstance(exc, ModuleNotFoundError):
            hint = "; what lies beside it is imported by: from . import name"
        problem = f"{_OPTION}: {_file(settings)}: cannot be imported: {_told(exc)}{hint}"
        raise ConfigError([problem]) from exc
    if found is None:
        raise ConfigError([f"{_OPTION}: {_file(settings)}: has no function {function}"])
    if not inspect.iscoroutinefunction(found):
        raise ConfigError([_not_async(_file(settings), function)])
    return Hook(f"{module}:{function}", settings.timeout, found, _takes_event(found))


def hook_problems(settings: Hooks) -> list[str]:
    """What can be said against the hook's file without running it; a line at most."""
    if not settings.post_login:
        return []
    file, (_, function) = _file(settings), _named(settings.post_login)
    try:
        tree = ast.parse(file.read_bytes(), str(file))
    except OSError as exc:
        return [f"{_OPTION}: {file}: {exc.strerror}"]
    except SyntaxError as exc:
        return [f"{_OPTION}: {file}: line {exc.lineno or 1}: {exc.msg}"]
    except ValueError as exc:
        return [f"{_OPTION}: {file}: {exc}"]
    for node in tree.body:
        plain = isinstance(node, ast.FunctionDef) and not node.decorator_list
        if plain and node.name == function:  # type: ignore[attr-defined]
            return [_not_async(file, function)]
    return []


def import_problems(settings: Hooks) -> list[str]:
    """What is wrong with the hook, found by importing it."""
    try:
        load_hook(settings)
    except ConfigError as exc:
        return list(exc.problems)
    return []


def _not_async(file: Path, function: str) -> str:
    return f"{_OPTION}: {file}: {function} must be a coroutine function: async def {function}(…)"


def _named(post_login: str) -> tuple[str, str]:
    """``module:function`` or ``module.function`` → both."""
    module, _, function = post_login.rpartition(":" if ":" in post_login else ".")
    return module, function


def _file(settings: Hooks) -> Path:
    """Where the hook's module is, or would be."""
    module, _ = _named(settings.post_login)
    path = Path(settings.folder or ".", *module.split("."))
    package = path / "__init__.py"
    return package if package.is_file() else path.with_name(f"{path.name}.py")


def _imported(folder: Path, module: str) -> ModuleType:
    """A fresh import of ``module`` and of whatever it imports from ``folder``."""
    folder = folder.resolve()
    package = _PACKAGE + hashlib.sha256(str(folder).encode()).hexdigest()[:16]
    for name in [name for name in sys.modules if name.partition(".")[0] == package]:
        del sys.modules[name]
    spec = importlib.util.spec_from_loader(package, None, is_package=True)
    assert spec is not None  # noqa: S101  # as it is for a package without a loader
    spec.submodule_search_locations = [str(folder)]
    sys.modules[package] = importlib.util.module_from_spec(spec)
    importlib.invalidate_caches()
    return importlib.import_module(f"{package}.{module}")


def _takes_event(function: Callable[..., object]) -> bool:
    parameters = inspect.signature(function).parameters.values()
    return any(each.name == "event" or each.kind is each.VAR_KEYWORD for each in parameters)


def _readable(claims: Mapping[str, object]) -> Mapping[str, Json]:
    """A copy, so that nothing a hook does to it counts, and without whatever opens doors."""
    return MappingProxyType({name: _harmless(value) for name, value in _public(claims)})


def _harmless(value: object) -> Json:
    if isinstance(value, Mapping):
        return {name: _harmless(inner) for name, inner in _public(value)}
    if isinstance(value, list | tuple):
        return [_harmless(item) for item in value]
    return copy.copy(value)


def _public(claims: Mapping[str, object]) -> Iterator[tuple[str, object]]:
    return ((name, value) for name, value in claims.items() if name.lower() not in _BEARER)


def _told(exc: BaseException) -> str:
    """An exception in one line, the innermost place first; for the log alone."""
    frames = traceback.extract_tb(exc.__traceback__)
    theirs = [f for f in frames if f.filename not in _OURS and not f.filename.startswith("<")]
    where = " < ".join(f"{Path(f.filename).name}:{f.lineno}" for f in reversed(theirs))
    return f"{type(exc).__name__}: {str(exc)[:200]}" + (f" at {where[:150]}" if where else "")


def _seen(task: asyncio.Task[object]) -> None:
    """A hook that fails after its time was up fails for nobody."""
    if not task.cancelled():
        task.exception()
