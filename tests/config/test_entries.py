"""Entries of lists: secrets from files, empty keys, unknown keys, and what messages leave out."""

from __future__ import annotations

import re
from collections.abc import Mapping

import pytest

from proxy.config.declaration import options
from proxy.config.entries import EntryReader, read_secret, secrets_in
from tests.config.configurations import MINIMAL, SEVERAL, load_text, problems_of

OPTIONS = {option.key: option for option in options()}
FILES = {"/run/s": "lion-in-the-den\n"}


def read(key: str, value: object) -> tuple[object, list[tuple[str, str]]]:
    """The value as it is validated, and the problems with their dotted places."""

    def read_file(path: str) -> str | OSError:
        return FILES.get(path) or FileNotFoundError(2, "No such file or directory")

    reader = EntryReader(read_file)
    made = reader.read(OPTIONS[key], value, OPTIONS[key].path)
    return made, [(".".join(map(str, place)), message) for place, message in reader.problems]


@pytest.mark.parametrize(
    ("key", "value", "expected"),
    [
        pytest.param("routes", [{"path": "/a", "methods": None}], [{"path": "/a"}], id="empty"),
        pytest.param(
            "access.any",
            [{"any": [{"emails": None, "name": "x"}], "not": {"roles": None}}],
            [{"any": [{"emails": [], "name": "x"}], "not": {"roles": []}}],
            id="conditions without a value, which are nobody's",
        ),
        pytest.param(
            "providers", [{"claims": None, "entra": {"tenant": None}}], [{"entra": {}}], id="groups"
        ),
        pytest.param(
            "providers",
            [{"extra_headers": {"X-Empty": None}}],
            [{"extra_headers": {"X-Empty": None}}],
            id="a mapping is not looked into",
        ),
        pytest.param(
            "providers",
            [{"client_secret_file": "/run/s"}],
            [{"client_secret": "lion-in-the-den\n"}],
            id="a secret file",
        ),
        pytest.param("routes", ["/a", None, 3], ["/a", None, 3], id="no entries"),
        pytest.param("routes", "text", "text", id="no list"),
        pytest.param("public_url", {"a": None}, {"a": None}, id="no list of entries"),
    ],
)
def test_what_is_read(key: str, value: object, expected: object) -> None:
    assert read(key, value) == (expected, [])


@pytest.mark.parametrize(
    ("key", "value", "problem"),
    [
        pytest.param(
            "providers",
            [{"client_secret_file": "/none"}],
            (
                "providers.0.client_secret_file",
                "the file cannot be read: No such file or directory",
            ),
            id="no such file",
        ),
        pytest.param(
            "providers",
            [{}, {"client_secret_file": "/run/s", "client_secret": "x"}],
            ("providers.1.client_secret_file", "set client_secret or this, not both"),
            id="a secret and its file",
        ),
        pytest.param(
            "providers",
            [{"https_proxy_file": ["/run/s"]}],
            ("providers.0.https_proxy_file", "expected the path of a file"),
            id="a list of files for one secret",
        ),
        pytest.param(
            "providers",
            [{"client_id_file": "/run/s"}],
            (
                "providers.0.client_id_file",
                "unknown option, did you mean client_key_file?",
            ),
            id="a file of no secret",
        ),
        pytest.param(
            "access.all",
            [{"any": [{"claims": [{"claim": "a", "inn": ["b"]}]}]}],
            ("access.all.0.any.0.claims.0.inn", "unknown option, did you mean in?"),
            id="unknown, deep below",
        ),
        pytest.param(
            "routes", [{"path": "/", "qqqq": None}], ("routes.0.qqqq", "unknown option"),
            id="unknown and without a value",
        ),
    ],
)  # fmt: skip
def test_what_is_wrong(key: str, value: object, problem: tuple[str, str]) -> None:
    assert read(key, value)[1] == [problem]


def test_secrets_of_a_list_may_be_in_several_files() -> None:
    texts = {"/a": "one-one-one", "/b": "# remark\ntwo-two-two,three-three"}
    found = read_secret(OPTIONS["cookie.secret"], ["/a", "/b"], texts.__getitem__)
    assert found == (["one-one-one", "two-two-two", "three-three"], [])


@pytest.mark.parametrize("name", ["client_secret", "https_proxy"])
@pytest.mark.parametrize("how", ["file", "variable"])
def test_a_secret_of_an_entry_may_be_in_a_file(name: str, how: str) -> None:
    secret = "" if name == "client_secret" else "client_secret: abc, "
    providers = f"[{{name: a, preset: google, client_id: app, {secret}{name}_file: /run/s}}]"
    text = re.sub("(?s)providers:.*(?=cookie:)", "", SEVERAL)
    environ = {}
    if how == "variable":
        environ = {"AUTH_PROXY_PROVIDERS": providers}
    else:
        text += f"providers: {providers}\n"
    settings = load_text(text, environ, files={"/run/s": "http://proxy:3128\n"})
    assert getattr(settings.providers[0], name).reveal() == "http://proxy:3128"


_SECRET = "zebra-in-the-zoo"


@pytest.mark.parametrize(
    ("old", "new"),
    [
        pytest.param("label: Partners", f"pkce: {_SECRET}", id="in another option"),
        pytest.param("label: Partners", f"issuer_url: {_SECRET}", id="in another again"),
        pytest.param(f"client_secret: {_SECRET}", f"client_secret: [{_SECRET}]", id="a list"),
        pytest.param(
            f"client_secret: {_SECRET}", f"client_secret: {{a: {_SECRET}}}", id="a mapping"
        ),
        pytest.param("label: Partners", f"preset: {{client_secret: {_SECRET}}}", id="one too deep"),
        pytest.param("label: Partners", f"timeout: {{client_secret: {_SECRET}}}", id="and as text"),
        pytest.param(
            "label: Partners", f"{_SECRET}: {_SECRET}", id="as a key, which only is redacted"
        ),
        pytest.param(
            "label: Partners", f"https_proxy: ftp://me:{_SECRET}@proxy:1", id="in a proxy's URL"
        ),
        pytest.param(
            "label: Partners",
            f"token_auth_method: client_secret_jwt\n    client_key_id: {_SECRET}",
            id="what does not fit together",
        ),
    ],
)
def test_a_secret_of_an_entry_is_in_no_message(old: str, new: str) -> None:
    found = problems_of(SEVERAL.replace(old, new))
    assert found
    assert "zebra" not in "".join(found)


@pytest.mark.parametrize("how", ["file", "variable"])
def test_a_secret_that_was_read_from_a_file_is_in_no_message(how: str) -> None:
    entry = "{name: a, client_secret_file: /run/s, pkce: lion-in-the-den, client_id: {a: b}}"
    given: Mapping[str, str] = {"AUTH_PROXY_PROVIDERS": f"[{entry}]"} if how == "variable" else {}
    text = MINIMAL if given else f"{MINIMAL}providers: [{entry}]\n"
    found = problems_of(text, given, files=FILES)
    assert any("providers.0.pkce: '***'" in problem for problem in found)
    assert "lion" not in "".join(found)


def test_quotes_in_a_secret_do_not_let_it_through() -> None:
    secret = "zebra'in\"the\\zoo"
    found = problems_of(SEVERAL.replace("zebra-in-the-zoo", "${S}\n    pkce: ${S}"), {"S": secret})
    assert any("'***' is not one of" in problem for problem in found)


def test_what_is_called_like_a_secret_is_one_wherever_it_stands() -> None:
    value = [{"entra": {"client_secret": "a"}, "x": [{"https_proxy": ["b", {"c": "d"}]}], "y": "e"}]
    assert {*secrets_in(OPTIONS["providers"], value)} == {"a", "b", "d"}
    assert {*secrets_in(OPTIONS["cookie.secret"], "a,b")} == {"a,b", "a", "b"}
    assert {*secrets_in(OPTIONS["provider.issuer_url"], {"client_secret": "a"})} == {"a"}
    assert {*secrets_in(OPTIONS["provider.issuer_url"], "a")} == set()
    assert {*secrets_in(OPTIONS["routes"], [{"rule": {"max_age": {"password": "a"}}}])} == {"a"}
    assert {*secrets_in(OPTIONS["providers"], [{"github": {"url": "a"}}])} == set()
