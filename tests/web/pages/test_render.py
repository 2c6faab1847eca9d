"""Our pages: whole, safe whatever the fields hold, and with what each must offer."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.errors import Reason
from proxy.web.own_sessions import Shown
from proxy.web.pages.language import languages
from proxy.web.pages.render import (
    SECURITY_HEADERS,
    STATIC_HEADERS,
    Pages,
    page_headers,
    static,
)
from proxy.web.token_form import Choices
from proxy.web.tokens_page import Shown as ShownToken
from proxy.web.user_agent import Browser
from tests.web.pages.document import Document

PAGES = Pages("/oauth2/static/")
CONTACT = {
    "request_id": "req-1",
    "help_url": "https://help.example.org/access",
    "support_email": "support@example.org",
}
THIS = Shown(
    "ab" * 16, True, Browser("Firefox", "Linux"), "203.0.113.7",
    "2026-01-02T03:04:05Z", 7300.0, "2026-01-02T05:05:05Z", 0.0,
)  # fmt: skip
OTHER = replace(THIS, sid="cd" * 16, is_this=False, browser=Browser("", ""), used_ago=60.0)
TOKEN = ShownToken(
    "tok_" + "a" * 16, "personal", "laptop", "", ("staff", "beta"), ("read",),
    "2026-01-02T03:04:05Z", 7300.0, "", 0.0, "2026-02-02T03:04:05Z", 90_000.0,
)  # fmt: skip
TERMINAL = replace(
    TOKEN, id="tok_" + "b" * 16, kind="terminal", name="curl", client="tux", groups=None,
    scopes=(), used="2026-01-02T03:04:05Z", used_ago=60.0, expires_left=30.0,
)  # fmt: skip
CHOICES = Choices(("staff", "beta"), ("read", "write"), 90 * 86_400.0)
LEAF: dict[str, object] = {"words": "groups: staff", "holds": None, "below": []}
FOUND: Mapping[str, object] = {
    "provider": "one",
    "outcome": {"verdict": "refused", "reason": "rule_not_met", "rule": "staff", "remedy": "Ask."},
    "error": {"reason": "rule_not_met", "status": 403, "detail": "in other words"},
    "identity": {"user": "ada", "role": "admin", "roles": ["admin", "user"], "claims": {"a": [1]}},
    "role": {"why": "group 'admins'"},
    "groups": [{"source": "id_token", "groups": ["a", "b"]}, {"source": "api", "groups": []}],
    "routes": [
        {"path": "/*", "access": "required", "verdict": "allowed"},
        {"path": "/x", "methods": ["PUT"], "verdict": "refused", "reason": "r", "rule": "of it"},
    ],
    "hook": {"changed": {"role": "admin"}, "max_age": None},
    "notes": ["a note"],
    "id_token_claims": {"sub": "1", "nested": {"a": ["b", None, True, 1.5]}},
    "userinfo_claims": None,
    "access_token_claims": {},
    "merged_claims": {"sub": "1"},
}
FIELDS: Mapping[str, dict[str, object]] = {
    "error": {"reason": Reason.ATTEMPT_MISSING, "status": 403, "retry_url": "/oauth2/start?rd=%2F"},
    "denied": {
        "reason": Reason.EMAIL_NOT_ALLOWED,
        "email": "ada@example.org",
        "sign_out_url": "/oauth2/sign_out",
    },
    "sign_in": {
        "providers": [("Example", "/oauth2/start?provider=one"), ("", "/oauth2/start")],
        "sign_in_url": "/oauth2/sign_in",
        "return_to": "/chat",
        "asks_email": True,
        "is_unknown": True,
    },
    "signed_out": {"sign_in_url": "/oauth2/start", "provider_signed_out": True},
    "sign_out": {"sign_out_url": "/oauth2/sign_out"},
    "sessions": {
        "sessions": [THIS, OTHER],
        "sessions_url": "/oauth2/sessions",
        "token": "0" * 64,
        "email": "ada@example.org",
        "has_more": True,
        "is_done": True,
    },
    "debug": {
        "debug_url": "/oauth2/debug",
        "providers": [("one", "Example"), ("two", "")],
        "token": "0" * 64,
    },
    "debug_result": {
        "debug_url": "/oauth2/debug",
        "found": FOUND,
        "rules": [{"words": "allowed", "holds": False, "below": [LEAF, LEAF | {"holds": True}]}],
    },
    "device": {"account": "ada@example.org", "device_url": "/oauth2/device", "token": "0" * 64},
    "device_allowed": {"account": "ada@example.org"},
    "device_confirm": {
        "account": "ada@example.org",
        "program": "auth-proxy",
        "begun": "2026-01-02T03:04:05Z",
        "begun_ago": 60.0,
        "login": "login_" + "0" * 32,
        "device_url": "/oauth2/device",
        "token": "0" * 64,
        "address": "203.0.113.7",
        "is_elsewhere": True,
        "scopes": ("api", "read"),
    },
    "device_denied": {"account": "ada@example.org"},
    "tokens": {
        "tokens": [TOKEN, TERMINAL],
        "tokens_url": "/oauth2/tokens",
        "token": "0" * 64,
        "choices": CHOICES,
        "email": "ada@example.org",
        "can_make": True,
        "is_full": True,
        "is_done": True,
        "made": TOKEN,
        "secret": "apx_p" + "0" * 49,
        "mistake": "name",
        "name": "lap",
    },
    "loop": {
        "sign_in_url": "/oauth2/start",
        "public_url": "https://app.example.org",
        "cookie_hint": "address",
    },
    "disabled": {},
}
EVERYWHERE = [(page, tag) for page in FIELDS for tag in languages()]
HOSTILE = [
    "<script>alert(1)</script>",
    "\"'><img src=x onerror=alert(1)>",
    "javascript:alert(1)",
    " JaVaScRiPt:alert(1)",
    "data:text/html,<script>alert(1)</script>",
    "//evil.example",
    "/\\evil.example",
    "/\t/evil.example",
    "{{ 7 * 7 }}{% raw %}",
    "{labels} {0} {request_id.__class__}",
    "</title></main><style>*{display:none}</style>",
    "a?bcc=eve@evil.example&body=<b>",
    "\u202egro.elpmaxe@ada",
    "lone \ud800 surrogate",
]
NO_TEXTS = frozenset(
    {
        *("provider_signed_out", "cookie_hint", "sessions", "has_more", "is_done"),
        *("providers", "asks_email", "is_unknown", "found", "rules"),
        *("tokens", "choices", "can_make", "is_full", "made", "mistake"),
        *("begun_ago", "is_elsewhere", "scopes"),
    }
)
HOSTILE_FIELDS = [
    (page, name, value)
    for page in FIELDS
    for name in (*FIELDS[page], *CONTACT)
    if name not in NO_TEXTS
    for value in HOSTILE
]


def document(page: str, tag: str = "en", **fields: object) -> Document:
    return Document(PAGES.render(page, tag, **{**FIELDS[page], **CONTACT, **fields}))


def assert_inert(found: Document) -> None:
    names = {tag for tag, _ in found.tags}
    assert not names & {"script", "style", "iframe", "object", "embed", "base", "svg"}
    assert len(found.all("img")) == 1
    for name, value in found.attributes():
        assert name != "style"
        assert not name.startswith("on")
        if name in ("href", "src", "action"):
            assert re.match(r"/(?![/\\\s])|https?://|mailto:", value), value


@pytest.mark.parametrize(("page", "tag"), EVERYWHERE)
def test_every_page_is_whole_and_can_be_navigated(page: str, tag: str) -> None:
    raw = PAGES.render(page, tag, **FIELDS[page], **CONTACT)
    found = document(page, tag)
    assert raw.startswith(b"<!doctype html>")
    assert [html["lang"] for html in found.all("html")] == [tag]
    assert {"charset": "utf-8"} in found.all("meta")
    assert len(found.all("main")) == len(found.all("h1")) == len(found.all("title")) == 1
    assert found.within("title") == found.within("h1")
    assert all("alt" in image for image in found.all("img"))
    assert "req-1" in found.within("code")
    headings = {heading["id"] for heading in found.all("h2")}
    assert {section["aria-labelledby"] for section in found.all("section")} == headings


@pytest.mark.parametrize(("page", "tag"), EVERYWHERE)
def test_no_page_holds_script_inline_style_or_foreign_files(page: str, tag: str) -> None:
    found = document(page, tag)
    assert_inert(found)
    files = [link["href"] for link in found.all("link")] + [i["src"] for i in found.all("img")]
    for path in files:
        name = path.removeprefix("/oauth2/static/").partition("?")[0]
        assert static(name) is not None, path


@pytest.mark.parametrize(("page", "name", "value"), HOSTILE_FIELDS)
def test_a_hostile_value_is_inert_in_every_field(page: str, name: str, value: str) -> None:
    found = document(page, **{name: value})
    assert_inert(found)
    assert "49" not in found.text.replace(value, "")
    shape = [tag for tag, _ in document(page).tags]
    if not name.endswith("_url"):  # a URL that is refused takes its link with it
        assert [tag for tag, _ in found.tags] == shape


@given(st.text())
def test_no_address_breaks_the_page_or_adds_to_it(text: str) -> None:
    plain = document("denied", email="a@example.org", support_email="b@example.org")
    found = document("denied", email=text or "-", support_email=text or "-")
    assert_inert(found)
    assert [tag for tag, _ in found.tags] == [tag for tag, _ in plain.tags]


@pytest.mark.parametrize("tag", languages())
@pytest.mark.parametrize("reason", Reason)
def test_every_reason_has_its_own_error_page(reason: Reason, tag: str) -> None:
    found = document("error", tag, reason=reason, status=418)
    words = languages()[tag].reasons[reason]
    assert found.within("h1") == [words.title]
    assert {words.text, words.advice} <= set(found.within("p"))
    assert f"{reason} (418)" in found.within("code")


def test_an_unknown_reason_still_gets_a_page() -> None:
    found = document("error", reason="brand_new", status=500)
    assert found.within("h1") == [languages()["en"].fallback.title]


def test_an_unknown_language_gets_the_default() -> None:
    assert document("disabled", "tlh").all("html")[0]["lang"] == "en"


def test_an_error_offers_another_try_only_where_there_is_one() -> None:
    assert {"class": "button", "href": "/oauth2/start?rd=%2F"} in document("error").all("a")
    assert "Try again" not in document("error", retry_url="").text


@pytest.mark.parametrize("page", FIELDS)
def test_whom_to_ask_is_named_only_where_it_is_known(page: str) -> None:
    links = {link["href"] for link in document(page).all("a")}
    assert CONTACT["help_url"] in links
    assert any(link.startswith("mailto:support@example.org?subject=") for link in links)
    silent = document(page, help_url=None, support_email="", request_id="")
    assert "help" not in {heading["id"] for heading in silent.all("h2")}
    assert not any(link["href"].startswith("mailto:") for link in silent.all("a"))


def test_mail_to_support_carries_the_request_id_and_no_further_field() -> None:
    found = document("error", support_email="a@example.org?cc=eve@evil.example", request_id="r&b=c")
    (link,) = [a["href"] for a in found.all("a") if a["href"].startswith("mailto:")]
    assert link.startswith("mailto:a@example.org%3Fcc%3Deve@evil.example?subject=")
    assert link.endswith("r%26b%3Dc")
    assert "&" not in link


def test_denied_shows_the_account_and_a_way_to_another_one() -> None:
    found = document("denied")
    assert found.within("bdi") == ["ada@example.org", "support@example.org"]
    form = {"class": "actions", "method": "post", "action": "/oauth2/sign_out"}
    assert found.all("form") == [form]
    assert found.within("button") == ["Sign out and use another account"]


def test_denied_without_an_address_names_no_account() -> None:
    assert "Your account" not in document("denied", email="").text


def test_a_weak_sign_in_is_told_to_use_a_second_factor() -> None:
    assert "second factor" in document("denied", reason=Reason.ACR_NOT_ALLOWED).text
    assert "second facteur" in document("denied", "fr", reason=Reason.ACR_NOT_ALLOWED).text


def test_sign_in_names_each_provider_if_it_has_a_name() -> None:
    assert document("sign_in").within("a")[:2] == ["Sign in with Example", "Sign in"]


@pytest.mark.parametrize("value", HOSTILE)
def test_a_hostile_provider_is_inert(value: str) -> None:
    assert_inert(document("sign_in", providers=[(value, "/oauth2/start"), ("A", value)]))


def test_an_address_is_asked_for_only_where_it_says_something() -> None:
    assert document("sign_in").all("form")
    assert not document("sign_in", asks_email=False).all("form")


def test_signed_out_offers_to_sign_in_and_does_not_go_by_itself() -> None:
    found = document("signed_out")
    assert {"class": "button", "href": "/oauth2/start"} in found.all("a")
    assert not any("http-equiv" in meta for meta in found.all("meta"))


def test_signed_out_warns_when_the_provider_may_still_know_the_person() -> None:
    warning = languages()["en"].pages["signed_out"].advice
    assert warning in document("signed_out", provider_signed_out=False).within("p")
    assert warning not in document("signed_out", provider_signed_out=True).within("p")


def test_sign_out_asks_with_a_button_and_lets_one_stay() -> None:
    found = document("sign_out")
    assert [form["method"] for form in found.all("form")] == ["post"]
    assert {"class": "button quiet", "href": "/"} in found.all("a")


def test_sessions_are_told_apart_and_each_can_be_ended() -> None:
    found = document("sessions")
    buttons = [(b["name"], b["value"]) for b in found.all("button")]
    assert buttons == [("end", THIS.sid), ("end", OTHER.sid), ("end", "others")]
    assert found.within("button") == ["Sign out", "End session", "End all other sessions"]
    assert found.within("strong") == ["Firefox on Linux", "Unknown browser"]
    assert found.within("time") == ["2 hours ago", "just now", "2 hours ago", "a minute ago"]
    assert found.text.count("This browser") == 1
    ids = {attributes["id"] for _, attributes in found.tags if "id" in attributes}
    for button in found.all("button"):
        assert set(button.get("aria-labelledby", "").split()) <= ids


def test_the_only_session_has_nothing_beside_it_to_end() -> None:
    found = document("sessions", "fr", sessions=[THIS], has_more=False, is_done=False, email="")
    assert found.within("button") == ["Se déconnecter"]
    assert found.within("strong") == ["Firefox sur Linux"]
    assert "nulle part ailleurs" in found.text
    assert not any("role" in attributes for _, attributes in found.tags)


@pytest.mark.parametrize("value", HOSTILE)
def test_what_a_browser_said_of_itself_is_inert(value: str) -> None:
    odd = replace(OTHER, sid=value, browser=Browser(value, value), address=value, used=value)
    found = document("sessions", sessions=[THIS, odd])
    assert_inert(found)
    assert [tag for tag, _ in found.tags] == [tag for tag, _ in document("sessions").tags]


def test_every_token_can_be_revoked_and_another_made() -> None:
    found = document("tokens", made=None, secret="", mistake="", is_full=False)
    buttons = [(b["name"], b["value"]) for b in found.all("button")]
    assert buttons == [("revoke", TOKEN.id), ("revoke", TERMINAL.id), ("make", "yes")]
    assert [text for text in found.within("bdi") if text in ("laptop", "curl")] == [
        "laptop",
        "curl",
    ]
    assert found.within("time") == [
        "2 hours ago", "in 25 hours", "2 hours ago", "a minute ago", "any moment now",
    ]  # fmt: skip
    assert found.text.count("Signed-in terminal") == 1
    assert found.within("option") == ["1 day", "7 days", "30 days", "90 days"]
    [chosen] = [each for each in found.all("option") if "selected" in each]
    assert chosen["value"] == "30d"
    checked = [each["value"] for each in found.all("input") if "checked" in each]
    assert checked == ["all", "all"]
    ids = {attributes["id"] for _, attributes in found.tags if "id" in attributes}
    for _, attributes in found.tags:
        for name in ("aria-labelledby", "aria-describedby", "for"):
            assert set(attributes.get(name, "").split()) <= ids


def test_who_can_choose_nothing_is_asked_nothing() -> None:
    found = document("tokens", choices=Choices((), ("api",), 5400.0), tokens=[])
    assert not found.all("fieldset")
    hidden = [(i["name"], i["value"]) for i in found.all("input") if i.get("type") == "hidden"]
    assert hidden[-2:] == [("groups", "all"), ("scopes", "all")]
    assert found.within("option") == ["90 minutes"]
    assert "You have no tokens." in found.text


@pytest.mark.parametrize("tag", languages())
@pytest.mark.parametrize("mistake", ["name", "expires", "groups", "scopes", "full"])
def test_every_mistake_has_words(mistake: str, tag: str) -> None:
    found = document("tokens", tag, mistake=mistake)
    assert languages()[tag].labels[f"tokens_bad_{mistake}"] in found.text


@pytest.mark.parametrize("value", HOSTILE)
def test_what_people_call_their_tokens_is_inert(value: str) -> None:
    odd = replace(TERMINAL, name=value, client=value, groups=(value,), scopes=(value,))
    choices = Choices((value,), (value, "b"), 86_400.0)
    found = document("tokens", tokens=[odd], made=odd, choices=choices)
    assert_inert(found)
    plain = replace(odd, name="n", client="c", groups=("g",), scopes=("s",))
    same = document(
        "tokens", tokens=[plain], made=plain, choices=Choices(("g",), ("s", "b"), 86_400.0)
    )
    assert [tag for tag, _ in found.tags] == [tag for tag, _ in same.tags]


def test_findings_are_shown_as_json_in_which_types_differ() -> None:
    found = document("debug_result")
    texts = found.within("code")
    assert '"1"' in texts
    assert {"a": ["b", None, True, 1.5]} in [json.loads(text) for text in texts if "null" in text]
    assert found.within("span") == ["does not hold", "unknown", "holds"]
    assert len(found.all("li")) == 4
    for words in ("Refused (rule_not_met)", "Because", "staff", "Ask.", "in other words"):
        assert words in found.text
    assert "Let in" in document("debug_result").within("dd")


@pytest.mark.parametrize("tag", languages())
@pytest.mark.parametrize("verdict", ["allowed", "anonymous", "sign_in", "step_up", "refused"])
def test_every_verdict_has_words(verdict: str, tag: str) -> None:
    outcome = {"verdict": verdict, "reason": "some_reason"}
    found = document("debug_result", tag, found={**FOUND, "outcome": outcome, "error": None})
    assert languages()[tag].labels[f"debug_{verdict}"] in found.text


def test_findings_without_anybody_are_the_error() -> None:
    nobody = dict.fromkeys(("identity", "role", "hook", "id_token_claims", "merged_claims"))
    empty = dict.fromkeys(("groups", "routes", "notes"), ())
    found = document("debug_result", found={**FOUND, **nobody, **empty}, rules=[])
    assert found.within("h2")[0] == "Outcome"
    assert found.text.count("Nothing.") == 4


@pytest.mark.parametrize("value", HOSTILE)
def test_what_a_provider_said_is_inert(value: str) -> None:
    def spoilt(found: object) -> object:
        if isinstance(found, Mapping):
            return {name: spoilt(member) for name, member in found.items()}
        if isinstance(found, list):
            return [spoilt(member) for member in found]
        return value if isinstance(found, str) else found

    known = {"outcome": {**FOUND["outcome"], "rule": value}, "groups": FOUND["groups"]}  # type: ignore[dict-item]
    routes = [{"path": value, "methods": [value], "verdict": "refused", "reason": value}]
    claims = {value: value, "nested": {value: [value]}}
    odd = {**spoilt(FOUND), **known, "routes": routes, "merged_claims": claims}  # type: ignore[dict-item]
    found = document("debug_result", found=odd, rules=[{**LEAF, "words": value}])
    assert_inert(found)
    assert "49" not in found.text.replace(value, "")
    assert_inert(document("debug", providers=[(value, value)]))


@pytest.mark.parametrize(
    ("seconds", "english", "french"),
    [
        (-5, "just now", "à l’instant"),
        (59.9, "just now", "à l’instant"),
        (60, "a minute ago", "il y a une minute"),
        (3599, "59 minutes ago", "il y a 59 minutes"),
        (3600, "an hour ago", "il y a une heure"),
        (2 * 86_400 - 1, "47 hours ago", "il y a 47 heures"),
        (2 * 86_400, "2 days ago", "il y a 2 jours"),
        (40 * 86_400, "40 days ago", "il y a 40 jours"),
    ],
)
def test_how_long_ago_needs_no_time_zone(seconds: float, english: str, french: str) -> None:
    shown = [replace(THIS, used_ago=seconds)]
    assert document("sessions", "en", sessions=shown).within("time")[1] == english
    assert document("sessions", "fr", sessions=shown).within("time")[1] == french


@pytest.mark.parametrize("page", FIELDS)
def test_a_page_with_a_form_lets_the_browser_name_its_origin(page: str) -> None:
    """Under no-referrer the form would come with "Origin: null", like a forged one."""
    found = document(page)
    relaxed = {"name": "referrer", "content": "strict-origin"} in found.all("meta")
    assert relaxed == bool(found.all("form"))


@pytest.mark.parametrize("hint", ["", "address", "never heard of"])
def test_loop_lists_every_check_whatever_the_hint(hint: str) -> None:
    found = document("loop", cookie_hint=hint)
    labels = languages()["en"].labels
    checks = [labels[name] for name in labels if name.startswith("check_")]
    assert all(check in found.text for check in checks)
    assert (labels["likely"] in found.text) == (hint == "address")
    assert len(found.all("li")) == len(checks)


@pytest.mark.parametrize(
    ("page", "fields", "error"),
    [
        pytest.param("nothing", {}, ValueError, id="unknown page"),
        pytest.param("../base", {}, ValueError, id="a path is no page"),
        pytest.param("base", {}, ValueError, id="the frame is no page"),
        pytest.param("error", {"reason": "x"}, TypeError, id="missing field"),
        pytest.param("sign_out", {"sign_out_url": "/", "x": 1}, TypeError, id="unknown field"),
    ],
)
def test_a_page_or_field_that_there_is_not_is_an_error(
    page: str, fields: dict[str, object], error: type[Exception]
) -> None:
    with pytest.raises(error):
        PAGES.render(page, "en", **fields)


def test_headers_allow_our_files_and_nothing_else() -> None:
    headers = dict(page_headers("fr"))
    policy = headers["Content-Security-Policy"]
    assert policy.startswith("default-src 'none'; style-src 'self'; img-src 'self';")
    assert "unsafe" not in policy
    assert "form-action" not in policy, "it would stop the sign-out's redirect to the provider"
    assert headers["Content-Language"] == "fr"
    assert headers["Content-Type"] == "text/html; charset=utf-8"
    assert headers["Cache-Control"] == "no-store"
    assert headers["X-Frame-Options"] == "DENY"
    names = [name for name, _ in page_headers("fr")]
    assert len(names) == len(set(names)) == len(SECURITY_HEADERS) + 2
    assert dict(STATIC_HEADERS)["X-Content-Type-Options"] == "nosniff"


@pytest.mark.parametrize("name", ["", "x.css", "../render.py", "style.css/", "STYLE.CSS"])
def test_only_our_own_files_are_served(name: str) -> None:
    assert static(name) is None


def test_a_terminal_is_shown_before_it_is_allowed() -> None:
    found = document("device_confirm", scopes=("<script>", "read"))
    assert_inert(found)
    texts = ["ada@example.org", "auth-proxy", "203.0.113.7", "<script>", "read"]
    assert found.within("bdi")[:5] == texts
    assert [(b["name"], b["value"]) for b in found.all("button")] == [
        ("wish", "allow"), ("wish", "deny"),
    ]  # fmt: skip
    assert "another address than yours" in found.text
    plain = document("device_confirm", scopes=(), address="", is_elsewhere=False)
    assert "another address" not in plain.text
    assert len(plain.within("dt")) == len(found.within("dt")) - 2
