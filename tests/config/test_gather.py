"""Secrets: from files, from references, and never in a message."""

from __future__ import annotations

import pytest

from tests.config.configurations import MINIMAL, SECRET, load_text, problems_of

OTHER = "QqWwEeRrTtYyUuIiOoPpAaSsDdFfGgHhJjKkLlZzXxA="


def test_a_secret_file_named_in_the_configuration() -> None:
    text = MINIMAL.replace("client_secret: tiger-in-the-tank", "client_secret_file: /run/s")
    settings = load_text(text, files={"/run/s": "sesame: #open\n"})
    assert settings.provider.client_secret.reveal() == "sesame: #open"


def test_secret_files_can_be_a_list_for_rotation() -> None:
    text = MINIMAL.replace(f"secret: {SECRET}", "secret_file: [/new, /old]")
    settings = load_text(text, files={"/new": f"{OTHER}\n", "/old": SECRET})
    assert [secret.reveal() for secret in settings.cookie.secret] == [OTHER, SECRET]


@pytest.mark.parametrize(
    "how",
    [
        pytest.param({"environ": {"AUTH_PROXY_COOKIE_SECRET_FILE": "/s"}}, id="variable"),
        pytest.param({"flags": {"cookie.secret_file": "/s"}}, id="flag"),
        pytest.param({}, id="file"),
    ],
)
def test_a_file_may_hold_several_secrets(how: dict[str, dict[str, str]]) -> None:
    text = MINIMAL.replace(f"secret: {SECRET}", "" if how else "secret_file: /s")
    settings = load_text(text, files={"/s": f"# new, then old\n{OTHER}\n{SECRET}\n"}, **how)
    assert [secret.reveal() for secret in settings.cookie.secret] == [OTHER, SECRET]


def test_a_file_of_one_secret_is_one_secret_whatever_it_holds() -> None:
    text = MINIMAL.replace("client_secret: tiger-in-the-tank", "client_secret_file: /s")
    settings = load_text(text, files={"/s": "# a,\nb\n"})
    assert settings.provider.client_secret.reveal() == "# a,\nb"


def test_an_empty_file_of_secrets_is_a_missing_secret() -> None:
    text = MINIMAL.replace(f"secret: {SECRET}", "secret_file: /s")
    (problem,) = problems_of(text, files={"/s": "# nothing yet\n"})
    assert "not set: cookie.secret" in problem


def test_a_secret_and_its_file_in_the_configuration_are_a_problem() -> None:
    text = MINIMAL + "  secret_file: /run/s\n"
    assert problems_of(text, files={"/run/s": SECRET}) == [
        "proxy.cfg:9: cookie.secret_file: set secret or this, not both"
    ]


def test_a_missing_secret_file_is_one_problem_with_its_line() -> None:
    text = MINIMAL.replace(f"secret: {SECRET}", "secret_file: /run/s")
    assert problems_of(text) == [
        "proxy.cfg:8: cookie.secret_file: the file cannot be read: No such file or directory"
    ]


def test_any_variable_can_name_a_file() -> None:
    environ = {"AUTH_PROXY_PROVIDER_CLIENT_ID_FILE": "/run/id"}
    assert load_text(MINIMAL, environ, files={"/run/id": "app\r\n"}).provider.client_id == "app"


def test_ca_file_is_an_option_and_no_file_of_an_option() -> None:
    settings = load_text(MINIMAL, {"AUTH_PROXY_PROVIDER_CA_FILE": "/ca.pem"})
    assert settings.provider.ca_file == "/ca.pem"


def test_a_flag_can_name_a_secret_file() -> None:
    settings = load_text(MINIMAL, flags={"cookie.secret_file": "/s"}, files={"/s": OTHER})
    assert settings.cookie.secret[0].reveal() == OTHER


@pytest.mark.parametrize(
    "secret",
    [
        pytest.param("a#b: c", id="what YAML would read as comment and mapping"),
        pytest.param("one\ntwo: [", id="line breaks"),
        pytest.param("${HOME}", id="what looks like a reference"),
        pytest.param("'quoted\" \\n", id="quotes and backslashes"),
        pytest.param("null", id="what YAML would read as nothing"),
    ],
)
def test_a_referenced_secret_arrives_as_it_is(secret: str) -> None:
    text = MINIMAL.replace("tiger-in-the-tank", "${CLIENT_SECRET}")
    settings = load_text(text, {"CLIENT_SECRET": secret})
    assert settings.provider.client_secret.reveal() == secret


def test_references_in_comments_and_keys_are_left_alone() -> None:
    assert problems_of(MINIMAL + "# ${NOT_SET}\n") == []
    assert "unknown option" in problems_of(MINIMAL + '"${NOT_SET}": x\n')[0]


def test_an_unresolved_reference_is_a_problem_with_its_line() -> None:
    text = MINIMAL.replace("tiger-in-the-tank", "${CLIENT_SECRET}")
    assert problems_of(text, {"CLIENT_SECRET": ""}) == [
        "proxy.cfg:6: provider.client_secret: ${CLIENT_SECRET} is not set"
    ]


def test_an_unresolved_reference_does_not_matter_where_the_option_is_set_elsewhere() -> None:
    text = MINIMAL.replace("tiger-in-the-tank", "${CLIENT_SECRET}")
    assert problems_of(text, {"AUTH_PROXY_PROVIDER_CLIENT_SECRET": "other-secret"}) == []


def test_a_reference_that_ends_empty_leaves_the_default() -> None:
    text = MINIMAL + "access:\n  help_url: ${HELP_URL:-}\n"
    assert load_text(text).access.help_url is None


def test_an_empty_item_of_a_list_does_not_vanish_and_open_the_door() -> None:
    text = MINIMAL + 'access:\n  email_domains: ["${DOMAIN:-}"]\n'
    assert "access.email_domains: '' is not a domain" in problems_of(text)[0]


@pytest.mark.parametrize(
    "more",
    [
        pytest.param("provider.pkce", id="in another option"),
        pytest.param("public_url", id="as a URL"),
        pytest.param("session.lifetime", id="as a duration"),
    ],
)
def test_a_secret_that_strayed_elsewhere_is_not_echoed(more: str) -> None:
    found = problems_of(MINIMAL, flags={more: "tiger-in-the-tank"})
    assert found
    assert "tiger" not in "".join(found)


@pytest.mark.parametrize(
    "written",
    [
        pytest.param("{tiger-in-the-tank: tiger-in-the-tank}", id="a mapping"),
        pytest.param("[tiger-in-the-tank, tiger-in-the-tank]", id="a list"),
    ],
)
def test_a_secret_of_the_wrong_shape_is_not_echoed(written: str) -> None:
    found = problems_of(MINIMAL.replace("tiger-in-the-tank", written))
    assert found == ["proxy.cfg:6: provider.client_secret: expected a text"]
