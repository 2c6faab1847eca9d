"""The rules about tokens of our own."""

from __future__ import annotations

import pytest

from tests.config.configurations import MINIMAL, load_text, problems_of

FILE = "session: {file: kept.db}\n"


@pytest.mark.parametrize(
    ("more", "expected"),
    [
        pytest.param(
            "tokens: {personal: true}\n",
            "tokens.personal: needs redis.url or session.file",
            id="nowhere to keep personal ones",
        ),
        pytest.param(
            "tokens: {terminal: true}\n",
            "tokens.terminal: needs redis.url or session.file",
            id="nowhere to keep terminals'",
        ),
        pytest.param(
            FILE + "routes: [{path: /v1/*, passthrough_prefixes: [sk-, apx_]}]\n",
            "routes.0.passthrough_prefixes: 'apx_' would hand on tokens of ours",
            id="handed on",
        ),
        pytest.param(
            FILE + "routes: [{path: /v1/*, passthrough_prefixes: [ap]}]\n",
            "routes.0.passthrough_prefixes: 'ap' would hand on tokens of ours",
            id="handed on with others",
        ),
        pytest.param(
            FILE + "routes: [{path: /v1/*, passthrough_prefixes: [apx_p]}]\n",
            "routes.0.passthrough_prefixes: 'apx_p' would hand on tokens of ours",
            id="some handed on",
        ),
        pytest.param(
            "session: {file: kept.db, lifetime: 40d}\ntokens: {personal: true}\n",
            "tokens.identity_max_age: must not be shorter than session.lifetime (40d)",
            id="people are forgotten while they are signed in",
        ),
        pytest.param(
            FILE + "tokens: {personal: true, scopes: ['a b']}\n",
            "tokens.scopes: 'a b' is no scope",
            id="two scopes in one",
        ),
    ],
)
def test_what_does_not_fit_together(more: str, expected: str) -> None:
    assert any(expected in problem for problem in problems_of(MINIMAL + more))


@pytest.mark.parametrize(
    "more",
    [
        pytest.param(FILE + "tokens: {personal: true, terminal: true}\n", id="in a file"),
        pytest.param(
            "redis: {url: 'redis://redis:6379/0'}\ntokens: {personal: true}\n", id="in Redis"
        ),
        pytest.param("tokens: {max_lifetime: 1d}\n", id="none at all"),
        pytest.param(
            "routes: [{path: /v1/*, passthrough_prefixes: [ap]}]\n", id="none to be handed on"
        ),
        pytest.param(
            FILE + "tokens: {prefix: acme}\nroutes: [{path: /*, passthrough_prefixes: [apx_]}]\n",
            id="another prefix",
        ),
        pytest.param(FILE + "tokens: {scopes: ['api:read', api]}\n", id="scopes"),
    ],
)
def test_what_does(more: str) -> None:
    load_text(MINIMAL + more)
