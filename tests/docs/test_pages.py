"""What the pages say exists does: links, files, options, commands, metrics, reasons, endpoints."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import unquote

import pytest
from prometheus_client.parser import text_string_to_metric_families

from proxy.cli.commands import _parser
from proxy.config.declaration import options
from proxy.config.settings import Route
from proxy.errors import Reason
from proxy.web.board import WORKERS
from proxy.web.metrics import Metrics
from tests.docs.pages import HAND_WRITTEN, ROOT, blocks, prose

DOCS = ROOT / "docs"
PAGES = [pytest.param(page, id=page.relative_to(ROOT).as_posix()) for page in HAND_WRITTEN]
KEYS = {option.key for option in options()} | {option.variable for option in options()}
SECTIONS = {key.split(".")[0] for key in KEYS if "." in key}
CODE = re.compile(r"`([^`\n]+)`")


def anchors(page: Path) -> set[str]:
    """The names of a page's headings, as hosts of Markdown make them."""
    headings = re.findall(r"^#+ (.*)$", prose(page), re.M)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def broken_links(page: Path) -> Iterator[str]:
    for target in re.findall(r"\]\(([^)\s]+)\)", prose(page)):
        if target.startswith("https://"):
            continue
        path, _, anchor = unquote(target).partition("#")
        file = (page.parent / path).resolve() if path else page
        if not file.exists() or (anchor and anchor not in anchors(file)):
            yield target


@pytest.mark.parametrize("page", PAGES)
def test_links_lead_somewhere(page: Path) -> None:
    assert list(broken_links(page)) == []


@pytest.mark.parametrize("page", PAGES)
def test_options_are_named_as_they_are_declared(page: Path) -> None:
    named = {text for text in CODE.findall(prose(page)) if re.fullmatch(r"[a-z]+\.[a-z_]+", text)}
    of_ours = {
        text for text in named if text.split(".")[0] in SECTIONS and not text.endswith(".py")
    }
    files = {"proxy.cfg", "config.yaml", "access.log"}
    groups = {"access.groups", "access.claims"}  # groups of options, or entries
    assert of_ours - KEYS - files - groups == set()
    variables = set(re.findall(r"\bAUTH_PROXY_[A-Z_]+\b", page.read_text(encoding="utf-8")))
    assert {v.removesuffix("_FILE") for v in variables} - KEYS == set()


def test_the_options_of_routes_are_named_as_they_are_declared() -> None:
    text = (DOCS / "headers.md").read_text(encoding="utf-8")
    assert "`authorization: replace`" in text
    assert {"authorization", "rule", "origins"} <= set(Route.model_fields)


@pytest.mark.parametrize("page", PAGES)
def test_commands_exist(page: Path) -> None:
    _, names = _parser()
    text = page.read_text(encoding="utf-8")
    given = set(re.findall(r"(?:^|`|: )auth-proxy ([a-z-]+)\b", text, re.M))
    assert given - names - {"stands", "is", "adds"} == set()
    targets = set(re.findall(r"^make ([.\w-]+)|`make ([.\w-]+)`", text, re.M))
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    for target in {one or other for one, other in targets}:
        assert re.search(rf"^{re.escape(target)}:", makefile, re.M), f"make {target}"


def test_every_metric_is_explained_and_every_explained_metric_exists() -> None:
    metrics = Metrics()
    metrics.board.cells(0)[WORKERS] = 1
    counted = set()
    for family in text_string_to_metric_families(metrics.render().decode()):
        if family.name.startswith("auth_proxy_"):
            counted.add(family.name + ("_total" if family.type == "counter" else ""))
    page = (DOCS / "deployment.md").read_text(encoding="utf-8")
    assert set(re.findall(r"`(auth_proxy_\w+)`", page)) == counted


def test_every_reason_is_explained_once_in_the_order_of_the_code() -> None:
    rows = re.findall(r"^\| `(\w+)` \|", (DOCS / "reasons.md").read_text(encoding="utf-8"), re.M)
    assert rows == [str(reason) for reason in Reason]


def test_the_architecture_names_every_room_and_only_files_that_exist() -> None:
    page = (DOCS / "architecture.md").read_text(encoding="utf-8")
    plan = next(text for _, text in blocks(DOCS / "architecture.md", "") if "proxy/\n" in text)
    rooms = {path.name for path in (ROOT / "proxy").iterdir() if (path / "__init__.py").is_file()}
    assert set(re.findall(r"^[├└]── (\w+)/", plan, re.M)) == rooms
    room, missing = "", []
    for line in plan.splitlines():
        if found := re.match(r"[├└]── (?:(\w+)/)?", line):
            room = found[1] or ""
        for name in re.findall(r"(?<![\w/])(\w+\.py)", line):
            if not list((ROOT / "proxy" / room).rglob(name)):
                missing.append(f"{room}/{name}")
    for name in re.findall(r"`((?:\w+/)*\w+\.py|(?:\w+/)+)`", page):
        if not (ROOT / name).exists() and not (ROOT / "proxy" / name).exists():
            missing.append(name)
    for name in re.findall(r"`(tests/\w+)`", page):
        if not (ROOT / name).exists():
            missing.append(name)
    assert missing == []


@pytest.mark.parametrize("page", PAGES)
def test_no_page_names_a_place_of_ours(page: Path) -> None:
    """Only this machine, reserved names (RFC 2606, RFC 6761) and projects that are spoken of."""
    text = page.read_text(encoding="utf-8")
    assert not re.search(r"/(?:home|root|work|tmp)/", text)
    hosts = set(re.findall(r"https?://([\w.-]+)", text))
    for host in hosts:
        assert "." not in host or host.endswith(
            ("example.org", ".example", "127.0.0.1", "readthedocs.io", "github.com")
        ) or host in {"semver.org", "keepachangelog.com"}, host  # fmt: skip
