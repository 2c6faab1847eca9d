"""One person and one session, as other rooms' tests need them too."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from proxy.model import Identity, Session, Tokens

NOW = 1_800_000_000.0
HOUR = 3600.0
ISSUER = "https://idp.example.org"


def person(**facts: Any) -> Identity:
    """Jean, unless ``facts`` say otherwise."""
    known: dict[str, Any] = {
        "issuer": ISSUER,
        "subject": "704e",
        "user": "704e",
        "email": "jean@interieur.gouv.fr",
        "email_verified": True,
        "name": "Jean DUPONT",
        "groups": ("staff", "beta"),
    }
    return Identity(**(known | facts))


def session(**facts: Any) -> Session:
    """Jean's session: a minute old at ``NOW``, with an hour to live."""
    known: dict[str, Any] = {
        "id": "s" * 43,
        "identity": person(),
        "tokens": Tokens("the id token"),
        "created_at": NOW - 60,
        "expires_at": NOW + HOUR,
        "seen_at": NOW - 60,
        "provider_sid": "op-session",
    }
    return Session(**(known | facts))


_TEXT = st.text(max_size=20)
_TIME = st.floats(min_value=0, max_value=4e9, allow_nan=False)
_JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**60), 2**60) | _TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_TEXT, inner, max_size=3),
    max_leaves=8,
)

IDENTITIES = st.builds(
    Identity,
    issuer=_TEXT,
    subject=_TEXT,
    user=_TEXT,
    email=_TEXT,
    email_verified=st.none() | st.booleans(),
    name=_TEXT,
    preferred_username=_TEXT,
    groups=st.lists(_TEXT, max_size=4).map(tuple),
    acr=_TEXT,
    amr=st.lists(_TEXT, max_size=3).map(tuple),
    auth_time=st.none() | st.integers(0, 2**53),
    claims=st.dictionaries(_TEXT, _JSON, max_size=3),
)
"""Any identity that the types allow, sane or not."""

SESSIONS = st.builds(
    Session,
    id=_TEXT,
    identity=IDENTITIES,
    tokens=st.builds(Tokens, _TEXT, _TEXT, _TEXT, st.none() | _TIME),
    created_at=_TIME,
    expires_at=_TIME,
    seen_at=_TIME,
    provider_sid=_TEXT,
    refresh_at=st.none() | _TIME,
)
