"""The house's own rules, read from the sources with ``ast``: directions, doors, sizes, mirrors.

Where something must stand out, it stands in one of the exception lists below. They may only
shrink: an exception that is no longer needed fails as well.
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
SOURCE = ROOT / "proxy"

MAX_FILE = 400
MAX_FUNCTION = 50

BELOW: dict[str, frozenset[str]] = {
    "errors": frozenset(),
    "model": frozenset({"errors"}),
    "config": frozenset({"errors"}),
    "crypto": frozenset({"errors"}),
}
_GROUND = frozenset(BELOW)
BELOW |= dict.fromkeys(("wire", "rules", "oidc", "session"), _GROUND)
BELOW["web"] = frozenset(BELOW)
BELOW["process"] = frozenset(BELOW)
BELOW["demo"] = frozenset(BELOW)
BELOW["cli"] = frozenset(BELOW)
BELOW["__main__"] = frozenset({"cli"})
"""Room → the rooms it may import. Everyone may import ``proxy`` itself, for its version."""

DOORS: dict[str, tuple[str, ...]] = {
    "aiohttp": ("web/", "demo/"),
    "multidict": ("web/", "demo/"),
    "yarl": ("web/", "demo/"),
    "authlib": ("oidc/",),
    "cryptography": ("crypto/",),
    "httptools": ("wire/",),
    "itsdangerous": ("crypto/",),
    "jinja2": ("web/pages/", "demo/"),
    "jwt": ("crypto/jwt.py",),
    "markupsafe": ("web/pages/", "demo/"),
    "prometheus_client": ("web/",),
    "pydantic": ("config/",),
    "pydantic_core": ("config/",),
    "redis": ("session/redis_client.py",),
    "tomllib": ("config/",),
    "uvloop": ("cli/", "process/worker.py", "demo/run.py"),
    "yaml": ("config/",),
}
"""Library → where it may be imported. One that is not here needs a door first."""

ENVIRONMENT = ("cli/",)
WALL_CLOCK = ("cli/", "web/app.py", "web/world.py", "demo/provider.py", "demo/playground.py")
ASYNC = (
    "cli/sessions.py",
    "cli/shelf.py",
    "cli/tokens.py",
    "process/worker.py",
    "web/",
    "wire/",
    "demo/",
    "session/",
)
PURE = frozenset({"rules", "oidc", "session", "wire", "crypto"})
LATE_IMPORTS = (
    "cli/",  # a command imports what it needs when it runs, so that --help is quick
    # Large, and not needed for the first answer: each is loaded with the first …
    "crypto/jwt.py",  # token (PyJWT brings X.509 along)
    "crypto/client_key.py",  # key with its certificate (X.509 again)
    "oidc/attempt.py",  # sign-in (authlib brings all of its OAuth along)
    "session/keeping.py",  # Redis that is configured
    "web/metrics.py",  # scrape
    "web/pages/render.py",  # page
    "web/endpoints.py",  # tokens and terminals that are switched on
    "web/programs.py",  # issuer that is trusted
    "web/sign_in.py",  # hook, provisioning, debugging, GitHub that is configured
)

WHOLE_SETTINGS = frozenset({"rules/routes.py"})  # compiles every route from what stands above it
TOO_LONG: frozenset[str] = frozenset()
WITHOUT_TEST: frozenset[str] = frozenset()
VAGUE_NAMES = frozenset({"utils", "util", "helpers", "helper", "manager", "common", "misc"})


@dataclass(frozen=True)
class Module:
    """A source file; ``path`` is below proxy/, ``name`` is as it is imported."""

    path: str
    name: str
    tree: ast.Module
    lines: int

    @property
    def room(self) -> str:
        return self.path.split("/")[0].removesuffix(".py")

    @property
    def is_door_plate(self) -> bool:
        return self.path.endswith("__init__.py")

    def within(self, places: tuple[str, ...]) -> bool:
        return self.path.startswith(places)


def _read(file: Path) -> Module:
    path = file.relative_to(SOURCE).as_posix()
    parts = ["proxy", *path.removesuffix(".py").split("/")]
    name = ".".join(parts).removesuffix(".__init__")
    text = file.read_text(encoding="utf-8")
    return Module(path, name, ast.parse(text, path), text.count("\n"))


MODULES = [_read(file) for file in sorted(SOURCE.rglob("*.py"))]
NAMES = frozenset(module.name for module in MODULES)


def imports(module: Module, *, at_run_time: bool = False) -> Iterator[tuple[int, str]]:
    """Line and dotted name of every import; a name taken from a package counts as its module."""
    skipped = _typing_only(module.tree) if at_run_time else set()
    for node in ast.walk(module.tree):
        if node in skipped:
            continue
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            for alias in node.names:
                inner = f"{node.module}.{alias.name}"
                yield node.lineno, inner if inner in NAMES else node.module


def _typing_only(tree: ast.Module) -> set[ast.AST]:
    guarded = (
        node
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test)
    )
    return {inner for node in guarded for part in node.body for inner in ast.walk(part)}


def offences(found: Iterator[str]) -> None:
    listed = sorted(set(found))
    assert not listed, "\n  " + "\n  ".join(listed)


def test_the_sources_are_found() -> None:
    assert {"errors", "model", "config", "crypto"} <= {module.room for module in MODULES}


def test_every_room_is_on_the_plan() -> None:
    offences(m.path for m in MODULES if m.room not in BELOW and m.path != "__init__.py")


def test_imports_go_down_only() -> None:
    def upward() -> Iterator[str]:
        for module in MODULES:
            for line, name in imports(module):
                if not name.startswith("proxy."):
                    continue
                room = name.split(".")[1]
                if room != module.room and room not in BELOW.get(module.room, frozenset()):
                    yield f"{module.path}:{line} imports {name}"

    offences(upward())


def test_no_modules_import_one_another_in_a_circle() -> None:
    graph = {
        module.name: {
            name for _, name in imports(module, at_run_time=True) if name in NAMES
        } - {module.name}
        for module in MODULES
    }  # fmt: skip
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        pytest.fail(" -> ".join(error.args[1]))


def test_pure_rooms_see_sections_of_the_settings_never_the_whole() -> None:
    def whole() -> Iterator[str]:
        for module in MODULES:
            if module.room not in PURE or module.path in WHOLE_SETTINGS:
                continue
            for node in ast.walk(module.tree):
                if isinstance(node, ast.ImportFrom) and node.module == "proxy.config.settings":
                    for alias in node.names:
                        if alias.name == "Settings":
                            yield f"{module.path}:{node.lineno} imports the whole Settings"

    offences(whole())


def test_each_library_comes_in_by_its_door() -> None:
    def elsewhere() -> Iterator[str]:
        for module in MODULES:
            for line, name in imports(module):
                library = name.split(".")[0]
                if library == "proxy":
                    continue
                if library in DOORS:
                    if not module.within(DOORS[library]):
                        yield f"{module.path}:{line} imports {library}"
                elif library not in sys.stdlib_module_names:
                    yield f"{module.path}:{line} imports {library}, which has no door"

    offences(elsewhere())


def uses(module: Module, owner: str, names: frozenset[str]) -> Iterator[int]:
    """Lines where ``owner.name`` is used, or imported from ``owner``."""
    for node in ast.walk(module.tree):
        if isinstance(node, ast.Attribute) and node.attr in names:
            if ast.unparse(node.value).split(".")[-1] == owner:
                yield node.lineno
        elif isinstance(node, ast.ImportFrom) and node.module == owner:
            yield from (node.lineno for alias in node.names if alias.name in names)


@pytest.mark.parametrize(
    ("owner", "names", "places"),
    [
        pytest.param("os", {"environ", "environb", "getenv", "putenv"}, ENVIRONMENT, id="environ"),
        pytest.param("time", {"time", "time_ns"}, WALL_CLOCK, id="time.time"),
        pytest.param("datetime", {"now", "utcnow", "today"}, WALL_CLOCK, id="datetime.now"),
    ],
)
def test_the_environment_and_the_clock_are_handed_in(
    owner: str, names: set[str], places: tuple[str, ...]
) -> None:
    offences(
        f"{module.path}:{line}"
        for module in MODULES
        if not module.within(places)
        for line in uses(module, owner, frozenset(names))
    )


def test_only_rooms_with_sockets_are_asynchronous() -> None:
    offences(
        f"{module.path}:{node.lineno} async def {node.name}"
        for module in MODULES
        if not module.within(ASYNC)
        for node in ast.walk(module.tree)
        if isinstance(node, ast.AsyncFunctionDef)
    )


def test_imports_stand_at_the_top() -> None:
    offences(
        f"{module.path}:{inner.lineno}"
        for module in MODULES
        if not module.within(LATE_IMPORTS)
        for node in ast.walk(module.tree)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        for inner in ast.walk(node)
        if isinstance(inner, ast.Import | ast.ImportFrom)
    )


def test_no_function_rebinds_a_global() -> None:
    offences(
        f"{module.path}:{node.lineno}"
        for module in MODULES
        for node in ast.walk(module.tree)
        if isinstance(node, ast.Global)
    )


def too_long() -> Iterator[tuple[str, str]]:
    """Key for the exceptions, and the words for a person."""
    for module in MODULES:
        if module.lines > MAX_FILE:
            yield module.path, f"{module.path}: {module.lines} lines, {MAX_FILE} at most"
        for node in ast.walk(module.tree):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                lines = (node.end_lineno or node.lineno) - node.lineno + 1
                if lines > MAX_FUNCTION:
                    key = f"{module.path}:{node.name}"
                    yield key, f"{key}: {lines} lines, {MAX_FUNCTION} at most"


def test_files_and_functions_stay_small() -> None:
    offences(words for key, words in too_long() if key not in TOO_LONG)


def test_files_say_in_their_names_what_they_are() -> None:
    offences(m.path for m in MODULES if VAGUE_NAMES & set(m.path.removesuffix(".py").split("/")))


def test_every_module_begins_by_saying_what_it_is() -> None:
    offences(module.path for module in MODULES if not ast.get_docstring(module.tree))


def test_door_plates_hold_no_code() -> None:
    """cli may hold ``main``, proxy its version."""
    offences(
        f"{module.path}:{node.lineno}"
        for module in MODULES
        if module.is_door_plate and module.name not in ("proxy", "proxy.cli")
        for node in module.tree.body[1:]
        if not (isinstance(node, ast.ImportFrom) and node.module == "__future__")
    )


def expected_test(path: str) -> Path:
    folder, _, name = path.rpartition("/")
    return ROOT / "tests" / folder / f"test_{name}"


def without_test() -> set[str]:
    return {
        module.path
        for module in MODULES
        if not module.path.endswith(("__init__.py", "__main__.py"))
        and not expected_test(module.path).exists()
    }


def test_every_source_file_has_its_test_file() -> None:
    offences(
        f"{path}: {expected_test(path).relative_to(ROOT)} is missing"
        for path in without_test() - WITHOUT_TEST
    )


def test_exceptions_only_shrink() -> None:
    unneeded = (TOO_LONG - {key for key, _ in too_long()}) | (WITHOUT_TEST - without_test())
    offences(f"{key}: take it off the list" for key in unneeded)
