"""The hook of docs/hooks.md, as it stands there; and that the page speaks of what there is."""

from __future__ import annotations

import re
from contextlib import suppress
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import pytest

from proxy.config.sign_in import Hooks
from proxy.errors import AccessDenied
from proxy.model import Identity
from proxy.web.hook_result import checked
from proxy.web.hooks import Hook, load_hook
from proxy.web.provisioning import told
from tests.docs.pages import ROOT, blocks
from tests.session.samples import person

PAGE = ROOT / "docs" / "hooks.md"


@pytest.fixture
def hook(tmp_path: Path) -> Hook:
    [source] = [text for mark, text in blocks(PAGE, "python") if mark == "snippet: my_hooks.py"]
    (tmp_path / "my_hooks.py").write_text(source)
    found = load_hook(Hooks(post_login="my_hooks:handler", folder=str(tmp_path)))
    assert found is not None
    return found


@pytest.mark.parametrize(
    ("claimed", "role", "max_age"),
    [
        pytest.param(["agent_public"], "member", None, id="agent"),
        pytest.param(["agent_public", "dirigeant"], "admin", 3600.0, id="director"),
    ],
)
async def test_the_example_gives_roles(
    hook: Hook, claimed: list[str], role: str, max_age: float | None
) -> None:
    found = await hook.admit(person(), {"roles": claimed}, "sign_in")
    assert (found.identity.role, found.identity.roles) == (role, (role,))
    assert found.identity.scope == f"playground {role}"
    assert found.max_age == max_age


@pytest.mark.parametrize("claims", [{}, {"roles": []}, {"roles": ["else"]}])
async def test_the_example_denies_everybody_else(hook: Hook, claims: dict[str, object]) -> None:
    with pytest.raises(AccessDenied, match="Your administration has no access yet"):
        await hook.admit(person(), claims, "refresh")


def test_the_page_names_what_a_hook_may_not_set() -> None:
    text = " ".join(PAGE.read_text(encoding="utf-8").split())
    found = re.search("It may not set what the provider vouches for: (.*?)[.]", text)
    assert found is not None
    named = set(re.findall("`([a-z_]+)`", found[1]))
    assert {field.name for field in fields(Identity) if is_vouched_for(field.name)} == named


def is_vouched_for(name: str) -> bool:
    before = person()
    other: dict[str, Any] = {name: {"amr": ("x",), "auth_time": 7}.get(name, "x")}
    with suppress(ValueError):
        checked(replace(before, **other), before)
        return False
    with pytest.raises(ValueError, match=name) as refused:
        checked(replace(before, **other), before)
    return "vouches" in str(refused.value)


def test_the_page_names_what_the_upstream_is_told() -> None:
    [row] = re.findall(r"\| body \| JSON: (.*) \|", PAGE.read_text(encoding="utf-8"))
    assert re.findall("`([a-z_]+)`", row) == list(told(person()))
