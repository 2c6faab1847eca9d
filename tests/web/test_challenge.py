"""What programs without a good token are told."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.rules.judged import StepUp
from proxy.web.challenge import bearer_challenge, stronger_challenge, takes_password

RESOURCE = "https://app.example.org/.well-known/oauth-protected-resource"
WHERE = f'resource_metadata="{RESOURCE}"'


@pytest.mark.parametrize(
    ("told", "expected"),
    [
        pytest.param(("", ""), f"Bearer {WHERE}", id="no credentials: no error"),
        pytest.param(
            ("invalid_token", ""),
            'Bearer error="invalid_token", error_description="The access token is expired, '
            f'revoked, or not valid here", {WHERE}',
            id="a bad token",
        ),
        pytest.param(
            ("insufficient_scope", "models chat"),
            'Bearer error="insufficient_scope", error_description="The access token does not '
            f'allow this", scope="models chat", {WHERE}',
            id="a missing scope",
        ),
    ],
)
def test_challenges(told: tuple[str, str], expected: str) -> None:
    assert bearer_challenge(*told, RESOURCE) == expected


def test_where_no_token_could_be_good_there_is_nothing_to_find() -> None:
    assert bearer_challenge() == "Bearer"


@given(st.text(), st.text(), st.text())
def test_no_text_ends_a_quoted_string(error: str, scope: str, resource: str) -> None:
    parameter = r'[a-z_]+="[ !#-\[\]-~]*"'
    pattern = rf"Bearer( {parameter}(, {parameter}){{0,3}})?"
    assert re.fullmatch(pattern, bearer_challenge(error, scope, resource))


@pytest.mark.parametrize(
    ("step_up", "expected"),
    [
        pytest.param(StepUp(("gold", "silver")), ', acr_values="gold silver"', id="classes"),
        pytest.param(StepUp(max_age=600.0), ', max_age="600"', id="age"),
        pytest.param(StepUp(('a"b', "c\r\nd", "e f", "ok")), ', acr_values="ok"', id="odd ones"),
    ],
)
def test_a_stronger_sign_in(step_up: StepUp, expected: str) -> None:
    found = stronger_challenge(step_up)
    assert found == 'Bearer error="insufficient_user_authentication"' + expected


@pytest.mark.parametrize(
    ("user_agent", "takes"),
    [
        ("git/2.39.5", True),
        ("git/2.0 (libgit2 1.7)", True),
        ("git-lfs/3.4", True),
        ("JGit/6.8", True),
        ("go-git/5.x", True),
        ("Mozilla/5.0 (X11; Linux x86_64) git/2.39", False),
        ("github-actions/1", False),
        ("curl/8.5.0", False),
        ("", False),
    ],
)
def test_only_git_is_asked_for_a_password(user_agent: str, takes: bool) -> None:
    assert takes_password(user_agent) is takes
