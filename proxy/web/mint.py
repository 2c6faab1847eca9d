"""Identity headers and the identity JWT: made once for a session and audience, then reused."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from proxy.errors import ProxyError, Reason
from proxy.model import Session
from proxy.session.cards import session_tag
from proxy.web.runtime import Runtime
from proxy.web.sessions import Minted, Opened
from proxy.wire.http1 import header_block


class Mint:
    """Signs for upstreams. ``token``: () → a random text, for ``jti``."""

    def __init__(self, runtime: Runtime, token: Callable[[], str]) -> None:
        self._runtime = runtime
        self._token = token

    def identity(self, opened: Opened, audience: tuple[str, ...], now: float) -> Minted:
        """What says who this is, reused until half of the JWT's life is over.

        Raises ProxyError(NO_SESSION) when the session ends within this second: nothing is
        ever signed that is not valid (requirements C4).
        """
        minted = opened.minted.get(audience)
        if minted is None or now >= minted.renew_at:
            minted = opened.minted[audience] = self._sign(opened, audience, now)
        return minted

    def _sign(self, opened: Opened, audience: tuple[str, ...], now: float) -> Minted:
        runtime, session = self._runtime, opened.session
        claims = self._claims(session, audience, opened.sid, now)
        jwt = runtime.signers[0].sign(claims)
        expires_at: int = claims["exp"]
        headers = runtime.headers.identity(session.identity, jwt, session.tokens.access_token)
        bearer = (b"Authorization", b"Bearer " + jwt.encode())
        return Minted(
            block=header_block(headers),
            with_bearer=header_block([*headers, bearer]),
            jwt=jwt,
            expires_at=expires_at,
            renew_at=now + (expires_at - now) / 2,
        )

    def alone(self, session: Session, audience: tuple[str, ...], now: float, seconds: float) -> str:
        """A JWT for one call of our own about ``session``, good for so many seconds at most.

        Raises ProxyError(NO_SESSION) as ``identity`` does.
        """
        claims = self._claims(session, audience, session_tag(session.id), now)
        claims["exp"] = min(claims["exp"], int(now + seconds))
        return self._runtime.signers[0].sign(claims)

    def _claims(
        self, session: Session, audience: tuple[str, ...], sid: str, now: float
    ) -> dict[str, Any]:
        assertion = self._runtime.assertion
        claims = assertion.claims_for(session, audience, self._token(), sid, now)
        if claims is None:
            raise ProxyError(Reason.NO_SESSION, "the session is ending", status=401)
        return claims
