"""Sources, precedence, origins, and every problem at once."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from proxy.config.access import Access
from proxy.config.load import Sources, draft
from tests.config.configurations import (
    MINIMAL,
    MINIMAL_ENVIRONMENT,
    SECRET,
    load_text,
    problems_of,
)


def test_a_minimal_file_is_enough() -> None:
    settings = load_text(MINIMAL)
    assert settings.provider.issuer_url == "https://idp.example.org/"
    assert settings.cookie.secret[0].reveal() == SECRET
    assert settings.session.lifetime == 12 * 3600


def test_the_environment_alone_is_enough() -> None:
    assert load_text(None, MINIMAL_ENVIRONMENT) == load_text(MINIMAL)


@pytest.mark.parametrize(
    ("text", "environ", "flags", "expected"),
    [
        pytest.param("", {}, {}, 30.0, id="default"),
        pytest.param("40s", {}, {}, 40.0, id="file over default"),
        pytest.param("40s", {"X": "50s"}, {}, 50.0, id="environment over file"),
        pytest.param("40s", {"X": ""}, {}, 40.0, id="an empty variable counts as unset"),
        pytest.param("40s", {"X": "50s"}, {"server.drain_timeout": "1m"}, 60.0, id="flag over all"),
    ],
)
def test_precedence(
    text: str, environ: Mapping[str, str], flags: Mapping[str, str], expected: float
) -> None:
    content = f"{MINIMAL}server:\n  drain_timeout: {text}\n"
    named = {f"AUTH_PROXY_SERVER_DRAIN_TIMEOUT{k[1:]}": v for k, v in environ.items()}
    assert load_text(content, named, flags).server.drain_timeout == expected


@pytest.mark.parametrize(
    ("more", "expected"),
    [
        pytest.param(
            "server:\n  liste: x\n",
            "proxy.cfg:10: server.liste: unknown option, did you mean server.listen?",
            id="a misspelt option",
        ),
        pytest.param(
            "client_id: x\n",
            "proxy.cfg:9: client_id: unknown option, did you mean provider.client_id?",
            id="an option outside its section",
        ),
        pytest.param(
            "qqqqqq:\n", "proxy.cfg:9: qqqqqq: unknown option", id="unknown, even without a value"
        ),
        pytest.param(
            "upstream: http://b\n",
            "proxy.cfg:9: upstream: written twice, first on line 2",
            id="a key written twice",
        ),
        pytest.param(
            "log:\n  level: loud\n",
            "proxy.cfg:10: log.level: 'loud' is not one of 'debug', 'info', 'warning' or 'error'",
            id="a choice that does not exist",
        ),
        pytest.param(
            "log: text\n",
            "proxy.cfg:9: log: expected options below it, indented",
            id="a text instead of a section",
        ),
        pytest.param(
            "routes:\n  - path: /a\n  - path: /b\n    acess: public\n",
            "proxy.cfg:12: routes.1.acess: unknown option, did you mean access?",
            id="a misspelt key of a route",
        ),
        pytest.param(
            "routes:\n  - path: /a\n    rule:\n      emial: x\n",
            "proxy.cfg:12: routes.0.rule.emial: unknown option, did you mean rule.emails?",
            id="a misspelt key deep in a route",
        ),
        pytest.param(
            "routes:\n  - access: public\n", "proxy.cfg:10: routes.0.path: is needed", id="no path"
        ),
        pytest.param(
            "access:\n  claims:\n    - claim: roles\n",
            "proxy.cfg:11: access.claims.0: a claim rule needs any_of, in, all_of, equals, matches",
            id="a claim rule that says nothing",
        ),
        pytest.param(
            "access:\n  any:\n    - emials: [a@b.example]\n",
            "proxy.cfg:11: access.any.0.emials: unknown option, did you mean emails?",
            id="a misspelt key of a rule in a rule",
        ),
        pytest.param(
            "access:\n  any:\n    - not:\n        clams: []\n",
            "proxy.cfg:12: access.any.0.not.clams: unknown option, did you mean claims?",
            id="a misspelt key of a single rule under not",
        ),
        pytest.param(
            "access:\n  all:\n    - nott: {emails: [a@b.example]}\n",
            "proxy.cfg:11: access.all.0.nott: unknown option, did you mean not?",
            id="nearly not",
        ),
        pytest.param(
            "access:\n  not_:\n    emails: [a@b.example]\n",
            "proxy.cfg:10: access.not_: unknown option, did you mean access.not?",
            id="not as Python has it",
        ),
        pytest.param(
            "access:\n  claims:\n    - {claim: a, in_: [b]}\n",
            "proxy.cfg:11: access.claims.0.in_: unknown option, did you mean in?",
            id="in as Python has it",
        ),
        pytest.param(
            "access:\n  not:\n    networks: [here]\n",
            "proxy.cfg:11: access.not.0.networks.0: 'here' is not a network",
            id="a wrong value under a single not",
        ),
        pytest.param(
            "access:\n  any:\n    - max_age: soon\n",
            "proxy.cfg:11: access.any.0.max_age: 'soon' is not a duration",
            id="a wrong value in a rule in a rule",
        ),
        pytest.param(
            "login:\n  max_attempts: 99\n",
            "proxy.cfg:10: login.max_attempts: must be 7 or less",
            id="a number too large",
        ),
        pytest.param(
            "log:\n  access: perhaps\n",
            "proxy.cfg:10: log.access: 'perhaps' is neither true nor false",
            id="not a boolean",
        ),
        pytest.param(
            "session:\n  lifetime: soon\n",
            "proxy.cfg:10: session.lifetime: 'soon' is not a duration such as 30s, 5m or 12h",
            id="not a duration",
        ),
        pytest.param(
            "cookie: [\n", "proxy.cfg:10: not valid YAML: expected the node content", id="no YAML"
        ),
        pytest.param(
            "server: &s\n  listen: 127.0.0.1:1\nlog: *s\n",
            "proxy.cfg:11: aliases (*name) are not supported",
            id="aliases, and so alias bombs",
        ),
        pytest.param(
            "log: !!python/name:os.system x\n",
            "proxy.cfg:9: log: tags (!name) are not supported",
            id="a tag that would run code",
        ),
    ],
)
def test_a_problem_in_the_file_names_its_line(more: str, expected: str) -> None:
    assert any(problem.startswith(expected) for problem in problems_of(MINIMAL + more)), (
        problems_of(MINIMAL + more)
    )


@pytest.mark.parametrize(
    ("environ", "expected"),
    [
        pytest.param(
            {"AUTH_PROXY_LOG_LEVEL": "loud"},
            "AUTH_PROXY_LOG_LEVEL: log.level: 'loud' is not one of",
            id="a bad value",
        ),
        pytest.param(
            {"AUTH_PROXY_PROVIDR_CLIENT_ID": "x"},
            "AUTH_PROXY_PROVIDR_CLIENT_ID: unknown variable, "
            "did you mean AUTH_PROXY_PROVIDER_CLIENT_ID?",
            id="an unknown variable",
        ),
        pytest.param(
            {"AUTH_PROXY_COOKIE_SECRET": SECRET, "AUTH_PROXY_COOKIE_SECRET_FILE": "/s"},
            "AUTH_PROXY_COOKIE_SECRET_FILE: cookie.secret: set AUTH_PROXY_COOKIE_SECRET or "
            "AUTH_PROXY_COOKIE_SECRET_FILE, not both",
            id="a value and a file",
        ),
        pytest.param(
            {"AUTH_PROXY_COOKIE_SECRET_FILE": "/none"},
            "AUTH_PROXY_COOKIE_SECRET_FILE: cookie.secret: the file cannot be read: "
            "No such file or directory",
            id="a file that does not exist",
        ),
        pytest.param(
            {"AUTH_PROXY_COOKIE_SECRET": "tooshort"},
            "AUTH_PROXY_COOKIE_SECRET: cookie.secret: ",
            id="a secret that is none",
        ),
        pytest.param(
            {"AUTH_PROXY_ROUTES": "[{path: /a"},
            "AUTH_PROXY_ROUTES: routes: not valid YAML",
            id="routes that are no YAML",
        ),
    ],
)
def test_a_problem_in_the_environment_names_the_variable(
    environ: Mapping[str, str], expected: str
) -> None:
    found = problems_of(MINIMAL, environ)
    assert [problem[: len(expected)] for problem in found] == [expected]


def test_a_problem_in_a_flag_names_the_flag() -> None:
    found = problems_of(MINIMAL, flags={"server.listen": "nope", "server.lisden": "x"})
    assert sorted(found) == [
        "--server-lisden: unknown option, did you mean server.listen?",
        "--server-listen: server.listen: 'nope' is not host:port, such as 127.0.0.1:4180 or "
        "[::1]:4180",
    ]


def test_everything_wrong_is_reported_at_once() -> None:
    text = "public_url: ftp://x\nprovider:\n  issuer_url: http://idp.example.org\n  pkce: never\n"
    found = "\n".join(problems_of(text, {"AUTH_PROXY_LOG_LEVEL": "loud"}, {"log.access": "maybe"}))
    for part in (
        "not set: upstream (AUTH_PROXY_UPSTREAM), provider.client_id",
        "cookie.secret (AUTH_PROXY_COOKIE_SECRET)",
        "proxy.cfg:1: public_url:",
        "proxy.cfg:3: provider.issuer_url: must be https",
        "proxy.cfg:4: provider.pkce:",
        "AUTH_PROXY_LOG_LEVEL: log.level:",
        "--log-access: log.access:",
    ):
        assert part in found


def test_whatever_is_missing_is_named_in_one_message() -> None:
    assert problems_of(None) == [
        "these options are needed and not set: public_url (AUTH_PROXY_PUBLIC_URL), "
        "upstream (AUTH_PROXY_UPSTREAM), provider.issuer_url (AUTH_PROXY_PROVIDER_ISSUER_URL), "
        "provider.client_id (AUTH_PROXY_PROVIDER_CLIENT_ID), "
        "provider.client_secret (AUTH_PROXY_PROVIDER_CLIENT_SECRET), "
        "cookie.secret (AUTH_PROXY_COOKIE_SECRET)"
    ]


def test_a_broken_option_is_not_called_missing_as_well() -> None:
    text = MINIMAL.replace("http://app:8501", "app:8501")
    assert len(problems_of(text)) == 1


def test_values_keep_what_was_written_whatever_yaml_would_guess() -> None:
    more = "  pkce: on\n"
    text = MINIMAL.replace("client_id: playground", "client_id: 00123").replace(
        "cookie:\n", f"{more}cookie:\n"
    )
    provider = load_text(text).provider
    assert (provider.client_id, provider.pkce) == ("00123", "on")


def test_a_key_without_a_value_counts_as_not_written() -> None:
    text = MINIMAL + "log:\nserver:\n  hosts:\nroutes:\n  - path: /a\n    methods:\n    access:\n"
    settings = load_text(text)
    assert settings.server.hosts == ()
    assert settings.routes[0].access is Access.REQUIRED


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        pytest.param("a, b", ("a", "b"), id="separated by commas"),
        pytest.param('["cn=x,ou=y", b]', ("cn=x,ou=y", "b"), id="items with commas as JSON"),
    ],
)
def test_a_list_in_the_environment(value: str, expected: tuple[str, ...]) -> None:
    settings = load_text(MINIMAL, {"AUTH_PROXY_ACCESS_GROUPS_ANY": value})
    assert settings.access.groups.any == expected


def test_routes_and_mappings_in_environment_and_flags_are_yaml_or_json() -> None:
    settings = load_text(
        MINIMAL,
        {"AUTH_PROXY_ROUTES": '[{"path": "/api/*", "access": "public"}]'},
        {"headers.extra": "{X-Siret: siret}"},
    )
    assert settings.routes[0].access is Access.PUBLIC
    assert settings.headers.extra == {"X-Siret": "siret"}


@pytest.mark.parametrize(
    "name",
    [
        pytest.param("AUTH_PROXY_SERVICE_HOST", id="host"),
        pytest.param("AUTH_PROXY_SERVICE_PORT_HTTP", id="port"),
        pytest.param("AUTH_PROXY_PORT", id="link"),
        pytest.param("AUTH_PROXY_PORT_4180_TCP_ADDR", id="link address"),
        pytest.param("AUTH_PROXY_REDIS_PORT_6379_TCP", id="a second service"),
        pytest.param("AUTH_PROXY_CONFIG", id="the path of the file"),
    ],
)
def test_variables_that_are_not_options_but_belong_there(name: str) -> None:
    assert problems_of(MINIMAL, {name: "tcp://10.0.0.1:4180"}) == []


def test_a_draft_serves_commands_that_need_only_a_part() -> None:
    sources = Sources(None, None, {"AUTH_PROXY_PUBLIC_URL": "https://app.example.org"}, {})
    found = draft(sources, str)
    assert found.settings.public_url == "https://app.example.org"
    assert len(found.problems) == 1
    assert not found.broken


@pytest.mark.parametrize(
    ("path", "more", "folder"),
    [
        pytest.param("/etc/app/proxy.cfg", "", "/etc/app", id="beside the file"),
        pytest.param("proxy.cfg", "", ".", id="here"),
        pytest.param("/etc/app/proxy.cfg", ", folder: /srv/hooks", "/srv/hooks", id="as written"),
        pytest.param(None, "", "", id="no file"),
    ],
)
def test_hooks_lie_beside_the_configuration(path: str | None, more: str, folder: str) -> None:
    text = f"{MINIMAL}hooks: {{post_login: 'a:b'{more}}}\n"
    environ = MINIMAL_ENVIRONMENT if path is None else {}
    if path is None:
        environ = {**environ, "AUTH_PROXY_HOOKS_POST_LOGIN": "a:b"}
    sources = Sources(path, text if path else None, environ, {})
    assert draft(sources, str).settings.hooks.folder == folder
    assert load_text(MINIMAL).hooks.folder == ""


def test_a_huge_file_is_refused() -> None:
    assert problems_of("#" * (1 << 20) + "\n") == ["proxy.cfg: longer than 1 MiB"]


def test_deep_nesting_is_refused() -> None:
    assert problems_of("routes: " + "[" * 5000) == ["proxy.cfg:1: nested too deeply"]


@pytest.mark.parametrize(
    ("problem", "origin"),
    [
        pytest.param("server.key_file: k: gone", "proxy.cfg:10: ", id="in the file"),
        pytest.param("provider.ca_file: c: gone", "AUTH_PROXY_PROVIDER_CA_FILE: ", id="variable"),
        pytest.param("server.listen: taken", "--server-listen: ", id="flag"),
        pytest.param("identity.signing_key_files[1]: b: gone", "proxy.cfg:14: ", id="in a list"),
        pytest.param("server.private_listen: taken", "", id="a default"),
        pytest.param("worker 1 ended", "", id="no option"),
        pytest.param("routes.1.rule.emails_file: f: gone", "proxy.cfg:18: ", id="in an entry"),
    ],
)
def test_a_problem_found_later_is_put_where_its_option_was_set(problem: str, origin: str) -> None:
    text = f"{MINIMAL}server:\n  key_file: k\nidentity:\n  signing_key_files:\n  - a\n  - b\n"
    text += "routes:\n- path: /a\n- path: /b\n  rule: {emails_file: f}\n"
    environ = {"AUTH_PROXY_PROVIDER_CA_FILE": "c"}
    sources = Sources("proxy.cfg", text, environ, {"server.listen": ":80"})
    assert draft(sources, lambda path: "").locate(problem) == f"{origin}{problem}"


def test_hooks_are_looked_for_beside_the_file() -> None:
    def folder(path: str, more: str = "") -> str:
        text = f"{MINIMAL}hooks:\n  post_login: people:admit\n{more}"
        return draft(Sources(path, text, {}, {}), str).settings.hooks.folder

    assert folder("/etc/auth-proxy/proxy.cfg") == "/etc/auth-proxy"
    assert folder("proxy.cfg") == "."
    assert folder("/etc/proxy.cfg", "  folder: /srv/hooks\n") == "/srv/hooks"


@pytest.mark.parametrize(
    ("more", "option"),
    [
        pytest.param("access:\n  groups:\n", "access.groups.any", id="groups"),
        pytest.param("access:\n  emails:\n", "access.emails", id="emails"),
        pytest.param("access:\n  roles: ${NOBODY:-}\n", "access.roles", id="an empty reference"),
        pytest.param("access:\n  any:\n    - roles:\n", "access.any.0.roles", id="in a rule"),
        pytest.param(
            "routes:\n  - path: /a\n    rule:\n      groups:\n",
            "routes.0.rule.groups.any",
            id="of a route",
        ),
    ],
)
def test_a_condition_without_a_value_lets_nobody_in(more: str, option: str) -> None:
    """Were it taken for not written, it would let everybody in."""
    [problem] = problems_of(MINIMAL + more)
    assert f"{option}: is empty" in problem
