"""Explanations as they stand on a screen: all that was found, aligned, and inert."""

from __future__ import annotations

import json

from proxy.cli.explanation import as_document, as_text
from proxy.config.access import Access
from proxy.config.provider import Provider
from proxy.errors import Reason
from proxy.model import Identity, Kind
from proxy.oidc.person import Person
from proxy.rules.judged import Line, StepUp
from proxy.rules.routes import Endpoint, Route
from proxy.web.explain import Answer, Explanation, Question, Sent, SignIn
from proxy.web.outcome import Outcome

ADA = Identity(
    "https://idp.example", "1", "ada", "ada@example.org", True, "Ada", groups=("a", "b"),
    acr="gold", amr=("pwd", "otp"), claims={"siret": "77"}, role="admin", roles=("admin", "user"),
)  # fmt: skip
PERSON = Person(ADA, {}, {"id_token": ("a",), "api": ("b",)}, "group 'a'", ("a note",))
ROUTE = Route("/x/*", Access.REQUIRED, ("http://one", "http://two"))
LINES = (Line(0, "allowed", False), Line(1, "acr: gold", True), Line(1, "networks: x", None))
SENT = Sent(
    ("http://one",), "GET /x HTTP/1.1", (("Host", "a"), ("X-Forwarded-User", "ada")),
    {"sub": "ada", "exp": 7},
)  # fmt: skip
BETTER = StepUp(("g", "p"), 300.0)
WEAK = Outcome("step_up", Reason.ACR_NOT_ALLOWED, "strong", "Use your key.", BETTER)


def explanation(*answers: Answer, sign_in: SignIn | None = None, **more: object) -> Explanation:
    question = Question("GET", "/x", str(more.get("client", "")))
    other = Route("/x/*", Access.PUBLIC, ("http://one",), methods=frozenset({"PUT", "POST"}))
    return Explanation(question, answers, sign_in, (other,), ("left out",))


SIGNED = SignIn(Provider(name="idp"), Outcome("allowed"), PERSON, ADA, LINES[1:])
FULL = explanation(
    Answer(Kind.NAVIGATION, WEAK, ROUTE, lines=LINES),
    Answer(Kind.PROGRAM, Outcome("refused", Reason.ACR_NOT_ALLOWED), ROUTE),
    sign_in=SIGNED,
    client="192.0.2.7",
)


def test_everything_has_its_line() -> None:
    assert (
        as_text(FULL)
        == """\
request     GET /x
from        192.0.2.7
sign-in     at idp: allowed
  user      ada
  sub       1
  issuer    https://idp.example
  email     ada@example.org (verified)
  name      Ada
  acr       gold
  amr       pwd, otp
  siret     "77"
  groups    a (id_token)
  groups    b (api)
  role      admin (group 'a')
  roles     admin, user
  note      a note
  rules     yes   acr: gold
            ?     networks: x

route       /x/* (required) to http://one http://two
            not /x/*, which is for POST PUT
  rules     no  allowed
            yes   acr: gold
            ?     networks: x
browser     sent to sign in again: acr_not_allowed, by strong; a sign-in with g or p and at most \
5m old would be enough; they are told: Use your key.
program     refused: acr_not_allowed

note        left out"""
    )


def test_what_the_upstream_gets_stands_apart() -> None:
    text = as_text(explanation(Answer(Kind.PROGRAM, Outcome("allowed"), ROUTE, sent=SENT)))
    assert (
        """\
who         nobody who is signed in

route       /x/* (required) to http://one http://two
            not /x/*, which is for POST PUT
verdict     allowed

upstream    GET /x HTTP/1.1
            Host:             a
            X-Forwarded-User: ada

JWT         sub  "ada"
            exp  7
"""
        in text
    )


def test_a_request_that_comes_nowhere_and_one_that_is_ours() -> None:
    bad = Answer(Kind.PROGRAM, Outcome("refused", Reason.BAD_TARGET), detail="dot segment")
    text = as_text(explanation(bad))
    assert "route       none" in text
    assert "verdict     refused: bad_target (dot segment)" in text
    ours = as_text(explanation(Answer(Kind.PROGRAM, Outcome("ours"), Endpoint.START)))
    assert "route       our own endpoint start" in ours
    assert "verdict     answered by the proxy itself" in ours


def test_nothing_said_by_others_does_anything_to_a_terminal() -> None:
    odd = Answer(
        Kind.PROGRAM, Outcome("refused", Reason.NOT_FOUND), detail="\x1b[31mred\n\u202etxt"
    )
    text = as_text(explanation(odd))
    assert "\\u001b[31mred\\n\\u202etxt" in text
    assert all(char.isprintable() or char == "\n" for char in text)


def test_the_document_has_it_all() -> None:
    found = json.loads(json.dumps(as_document(FULL)))
    assert found["allowed"] is False
    assert found["passed_over"] == ["/x/*"]
    assert found["sign_in"]["groups"] == {"id_token": ["a"], "api": ["b"]}
    assert found["sign_in"]["role_source"] == "group 'a'"
    assert found["sign_in"]["identity"]["claims"] == {"siret": "77"}
    browser, program = found["answers"]
    assert browser["step_up"] == {"acr_values": ["g", "p"], "max_age": 300.0}
    assert browser["rules"][2] == {"depth": 1, "rule": "networks: x", "holds": None}
    assert (program["verdict"], program["upstream"]) == ("refused", None)
