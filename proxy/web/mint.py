"""Identity headers and the identity JWT: made once for a session and audience, then reused."""

from __future__ import annotations

from collections.abc import Callable

from proxy.errors import ProxyError, Reason
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
        claims = runtime.assertion.claims_for(session, audience, self._token(), opened.sid, now)
        if claims is None:
            raise ProxyError(Reason.NO_SESSION, "the session is ending", status=401)
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
