"""An explanation as text for people, and as JSON for programs."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import fields
from typing import TYPE_CHECKING, Final

from proxy.config.types import show_duration
from proxy.model import Identity, Kind
from proxy.rules.judged import Line, StepUp
from proxy.rules.routes import Endpoint, Route

if TYPE_CHECKING:  # for whoever has loaded it already: it brings the web server
    from proxy.web.explain import Answer, Explanation, Sent, SignIn
    from proxy.web.outcome import Outcome

_WIDTH: Final = 11
_CLIENTS: Final = {Kind.NAVIGATION: "browser", Kind.PROGRAM: "program"}
_MARKS: Final = {True: "yes", False: "no", None: "?"}
_WORDS: Final = {
    "allowed": "allowed",
    "anonymous": "allowed, without anybody's identity",
    "ours": "answered by the proxy itself",
    "sign_in": "sent to sign in",
    "step_up": "sent to sign in again",
    "refused": "refused",
}


def as_text(found: Explanation) -> str:
    """Aligned lines; what cannot be seen stands as an escape."""
    return "\n".join(_plain(line).rstrip() for line in _lines(found))


def _lines(found: Explanation) -> Iterator[str]:
    first = found.answers[0]
    yield _row("request", f"{found.question.method} {found.question.url}")
    if found.question.client:
        yield _row("from", found.question.client)
    yield from _sign_in_lines(found.sign_in)
    yield ""
    yield _row("route", _place(first))
    for route in found.passed_over:
        yield _row("", f"not {route.path}, which is for {' '.join(sorted(route.methods))}")
    yield from _rule_lines(first.lines)
    verdicts = {answer.kind: _verdict(answer.outcome, answer.detail) for answer in found.answers}
    if len(set(verdicts.values())) == 1:
        yield _row("verdict", verdicts[first.kind])
    else:
        yield from (_row(_CLIENTS[kind], words) for kind, words in verdicts.items())
    if first.sent is not None:
        yield ""
        yield from _sent_lines(first.sent)
    if found.notes:
        yield ""
    for note in found.notes:
        yield _row("note", note)


def _sign_in_lines(sign_in: SignIn | None) -> Iterator[str]:
    if sign_in is None:
        yield _row("who", "nobody who is signed in")
        return
    yield _row(
        "sign-in", f"at {sign_in.provider.name}: {_verdict(sign_in.outcome, sign_in.detail)}"
    )
    person, who = sign_in.person, sign_in.identity
    if person is None or who is None:
        return
    for name, value in _facts(who):
        yield _row(f"  {name}", value)
    for source, groups in person.groups.items():
        yield _row("  groups", f"{', '.join(groups)} ({source})")
    yield _row("  role", f"{who.role or 'none'} ({person.role_source})")
    if len(who.roles) > 1:
        yield _row("  roles", ", ".join(who.roles))
    for note in person.notes:
        yield _row("  note", note)
    yield from _rule_lines(sign_in.lines)


def _facts(who: Identity) -> Iterator[tuple[str, str]]:
    verified = {True: "verified", False: "not verified", None: "nobody says whether verified"}
    yield "user", who.user
    if who.subject != who.user:
        yield "sub", who.subject
    yield "issuer", who.issuer
    if who.email:
        yield "email", f"{who.email} ({verified[who.email_verified]})"
    shown = ("name", "preferred_username", "acr")
    yield from ((name, getattr(who, name)) for name in shown if getattr(who, name))
    if who.amr:
        yield "amr", ", ".join(who.amr)
    yield from ((name, json.dumps(value, ensure_ascii=False)) for name, value in who.claims.items())


def _place(answer: Answer) -> str:
    match answer.place:
        case Endpoint() as endpoint:
            return f"our own endpoint {endpoint.value}"
        case Route() as route:
            return f"{route.path} ({route.access}) to {' '.join(route.upstream)}"
        case _:
            return "none"


def _rule_lines(lines: Iterable[Line]) -> Iterator[str]:
    for number, line in enumerate(lines):
        mark = f"{_MARKS[line.holds]:<4}{'  ' * line.depth}"
        yield _row("  rules" if number == 0 else "", mark + line.words)


def _verdict(outcome: Outcome, detail: str = "") -> str:
    words = _WORDS[outcome.word]
    if outcome.reason is not None and not (outcome.is_nobody and outcome.word == "sign_in"):
        words += f": {outcome.reason}"
    if outcome.rule:
        words += f", by {outcome.rule}"
    if outcome.step_up is not None:
        words += f"; {_wanted(outcome.step_up)} would be enough"
    if outcome.remedy:
        words += f"; they are told: {outcome.remedy}"
    return f"{words} ({detail})" if detail else words


def _wanted(step_up: StepUp) -> str:
    parts = []
    if step_up.acr_values:
        parts.append(f"with {' or '.join(step_up.acr_values)}")
    if step_up.max_age is not None:
        parts.append(f"at most {show_duration(step_up.max_age)} old")
    return f"a sign-in {' and '.join(parts)}"


def _sent_lines(sent: Sent) -> Iterator[str]:
    yield _row("upstream", sent.line)
    width = max(len(name) for name, _ in sent.headers) + 2
    yield from (_row("", f"{name + ':':<{width}}{value}") for name, value in sent.headers)
    if sent.claims is None:
        return
    yield ""
    width = max(map(len, sent.claims)) + 2
    for number, (name, value) in enumerate(sent.claims.items()):
        text = json.dumps(value, ensure_ascii=False)
        yield _row("JWT" if number == 0 else "", f"{name:<{width}}{text}")


def _row(name: str, value: str) -> str:
    return f"{name:<{_WIDTH}} {value}"


def _plain(text: str) -> str:
    """A line that does nothing to a terminal but stand there."""
    return "".join(char if char.isprintable() else json.dumps(char)[1:-1] for char in text)


def as_document(found: Explanation) -> dict[str, object]:
    """All of it, in names that stay."""
    asked = found.question
    return {
        "request": {"method": asked.method, "url": asked.url, "client": asked.client or None},
        "allowed": found.is_allowed,
        "sign_in": _sign_in_document(found.sign_in) if found.sign_in else None,
        "answers": [_answer_document(answer) for answer in found.answers],
        "passed_over": [route.path for route in found.passed_over],
        "notes": list(found.notes),
    }


def _sign_in_document(sign_in: SignIn) -> dict[str, object]:
    who, person = sign_in.identity, sign_in.person
    return {
        "provider": sign_in.provider.name,
        **sign_in.outcome.document(),
        "detail": sign_in.detail,
        "identity": {f.name: _json(getattr(who, f.name)) for f in fields(who)} if who else None,
        "groups": {name: list(g) for name, g in person.groups.items()} if person else {},
        "role_source": person.role_source if person else "",
        "rules": _rules_document(sign_in.lines),
        "notes": list(person.notes) if person else [],
    }


def _answer_document(answer: Answer) -> dict[str, object]:
    place, sent = answer.place, answer.sent
    return {
        "client": _CLIENTS[answer.kind],
        **answer.outcome.document(),
        "detail": answer.detail,
        "endpoint": place.value if isinstance(place, Endpoint) else None,
        "route": {"path": place.path, "access": str(place.access)}
        if isinstance(place, Route)
        else None,
        "rules": _rules_document(answer.lines),
        "upstream": {
            "urls": list(sent.upstream),
            "request": sent.line,
            "headers": [list(pair) for pair in sent.headers],
            "jwt": sent.claims,
        }
        if sent
        else None,
    }


def _rules_document(lines: Iterable[Line]) -> list[dict[str, object]]:
    return [{"depth": line.depth, "rule": line.words, "holds": line.holds} for line in lines]


def _json(value: object) -> object:
    if isinstance(value, tuple):
        return list(value)
    return dict(value) if isinstance(value, Mapping) else value
