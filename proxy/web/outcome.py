"""A verdict in words that need no code beside them: for ``explain`` and for debug sign-ins."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final, Literal

from proxy.errors import ProxyError, Reason
from proxy.model import Identity, Kind, Session, Target, Tokens
from proxy.rules.gate import Forward, Login, Refuse, StrengthenLogin, Verdict, decide
from proxy.rules.judged import Asked, Denial, Line, StepUp
from proxy.rules.routes import Route

_PROVIDERS_OWN: Final = "<the provider's access token>"
Word = Literal["allowed", "anonymous", "ours", "sign_in", "step_up", "refused"]


@dataclass(frozen=True, slots=True)
class Outcome:
    """What happens to a request. ``anonymous`` is allowed without anybody's identity, and ``ours``
    is answered by an endpoint of our own.

    ``rule`` and ``remedy`` are those of the rule that stands in the way, ``step_up`` is what a
    stronger sign-in must prove.
    """

    word: Word
    reason: Reason | None = None
    rule: str = ""
    remedy: str = ""
    step_up: StepUp | None = None

    @classmethod
    def of(cls, verdict: Verdict) -> Outcome:
        """Raises ProxyError for a verdict that is none yet: a refresh, then another."""
        match verdict:
            case Forward(session=None):
                return cls("anonymous")
            case Forward():
                return cls("allowed")
            case Login():
                return cls("sign_in", Reason.NO_SESSION)
            case StrengthenLogin(denial=denial):
                return cls._denied("step_up", denial)
            case Refuse(reason=reason, denial=None):
                return cls("refused", reason)
            case Refuse(denial=Denial() as denial):
                return cls._denied("refused", denial)
        raise ProxyError(Reason.INTERNAL, "a verdict that decides nothing")

    @classmethod
    def denied(cls, denial: Denial | None) -> Outcome:
        """What the rules alone said."""
        return cls._denied("refused", denial) if denial is not None else cls("allowed")

    @classmethod
    def _denied(cls, word: Word, denial: Denial) -> Outcome:
        return cls(word, denial.reason, denial.rule, denial.remedy, denial.step_up)

    @property
    def is_allowed(self) -> bool:
        return self.word in ("allowed", "anonymous", "ours")

    @property
    def is_nobody(self) -> bool:
        """Is a session all that is missing, as far as can be said?"""
        return self.reason is Reason.NO_SESSION

    def document(self) -> dict[str, object]:
        """As JSON, without what there is not."""
        stronger = self.step_up
        return {
            "verdict": self.word,
            **({"reason": str(self.reason)} if self.reason else {}),
            **({"rule": self.rule} if self.rule else {}),
            **({"remedy": self.remedy} if self.remedy else {}),
            **({"step_up": _wanted(stronger)} if stronger else {}),
        }


def lines_document(lines: Iterable[Line]) -> list[dict[str, object]]:
    """What each rule said; ``holds`` is null where it cannot be known."""
    return [{"depth": line.depth, "rule": line.words, "holds": line.holds} for line in lines]


def page_of(route: Route, identity: Identity, asked: Asked) -> Outcome:
    """What a browser gets on ``route`` that is signed in as ``identity``: THE table is asked."""
    method = "GET" if not route.methods or "GET" in route.methods else min(route.methods)
    target = Target(
        method=method, scheme="https", host="", path=route.base, raw_path=route.base, query="",
        kind=Kind.NAVIGATION if method == "GET" else Kind.PROGRAM, client=asked.client,
    )  # fmt: skip
    return Outcome.of(decide(route, signed_in(identity, asked.now), target, asked.now))


def signed_in(identity: Identity, now: float, lasts: float = 3600.0) -> Session:
    """A session that is kept nowhere and opens nothing, begun ``now``."""
    tokens = Tokens(id_token="", access_token=_PROVIDERS_OWN)
    return Session(
        id="", identity=identity, tokens=tokens, created_at=now, expires_at=now + lasts, seen_at=now
    )


def _wanted(step_up: StepUp) -> dict[str, object]:
    return {
        **({"acr_values": list(step_up.acr_values)} if step_up.acr_values else {}),
        **({"max_age": step_up.max_age} if step_up.max_age is not None else {}),
    }
