"""The settings compiled: one immutable value that every request reads."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from math import isfinite
from pathlib import Path
from typing import Final
from urllib.parse import quote

from proxy.config.paths import EndpointPaths, callback_paths, endpoint_paths
from proxy.config.provider import Provider
from proxy.config.providers import installation, providers_of
from proxy.config.settings import Settings
from proxy.config.types import decode_cookie_secret
from proxy.crypto.jwt import (
    Signer,
    generate_signing_key,
    load_signer,
    private_keys,
    shared_secret_signer,
)
from proxy.crypto.seal import Sealer
from proxy.errors import ConfigError, LoginError, Reason
from proxy.model import Identity, Tokens
from proxy.oidc.issuer import is_issuer
from proxy.oidc.roles import RoleTable
from proxy.rules.access import Rules, claim_paths
from proxy.rules.assertion import Assertion
from proxy.rules.headers import HeaderPolicy
from proxy.rules.redirects import Redirects
from proxy.rules.routes import Endpoint, Routes, compile_routes
from proxy.rules.target import Trust, public_hosts
from proxy.rules.template import Template
from proxy.session.cookies import CookieNames, Jar
from proxy.web.lists import EmailFiles, paths_of

_REFRESHED_BEFORE: Final = 30.0
"""Seconds before its end at which an access token is replaced that others are got for."""


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Runtime:
    """Everything that is known before the first request."""

    settings: Settings
    paths: EndpointPaths
    trust: Trust
    routes: Routes
    access: Rules
    at_sign_in: Rules
    """The same without what only a request can tell: method, network, age of the sign-in."""
    kept_claims: frozenset[str]
    headers: HeaderPolicy
    assertion: Assertion
    signers: tuple[Signer, ...]
    redirects: Redirects
    jar: Jar
    attempts: Sealer
    returns: Sealer
    providers: tuple[Provider, ...]
    callbacks: Mapping[str, str]
    """The name of each provider by the path that its answers come to."""
    extra_claims: tuple[str, ...]
    """Claims that a provider's ``claims.extra`` keeps: for JWTs and the log."""
    roles: RoleTable
    lists: EmailFiles
    secrets: tuple[bytes, ...] = field(repr=False)

    @property
    def names(self) -> CookieNames:
        return self.jar.names

    def public(self, path: str) -> str:
        """The absolute URL of one of our paths."""
        return self.settings.public_url + path

    def redirect_uri(self, provider: str) -> str:
        """Where that provider sends browsers back to, as it is registered there."""
        return next(self.public(path) for path, name in self.callbacks.items() if name == provider)

    def start_path(self, return_to: str, provider: str = "") -> str:
        """Our own path that begins a sign-in and comes back to ``return_to``."""
        named = f"&provider={provider}" if provider and self.settings.providers else ""
        return f"{self.paths.start}?rd={quote(return_to, safe='/')}{named}"

    def vouched_for(self, person: Identity) -> bool:
        """Is the provider that vouched for the person still among several? A single one has its
        sessions sealed in its name."""
        if not self.settings.providers:
            return True
        found = next((one for one in self.providers if one.name == person.provider), None)
        if found is None:
            return False
        known = found.issuer_url or ""
        return not known or "/.well-known/" in known or is_issuer(known, person.issuer)

    @property
    def keeps_access_token(self) -> bool:
        """Does an upstream get it, or another in exchange?"""
        return self.settings.headers.access_token or self._exchanges

    @property
    def _exchanges(self) -> bool:
        return any(route.authorization == "exchange" for route in self.settings.routes)

    def refresh_at(self, tokens: Tokens, now: float) -> float:
        """When the provider is asked again: while the access token is good, if it is exchanged."""
        due = now + self.settings.session.refresh_every
        if tokens.expires_at is None or not self._exchanges:
            return due
        life = tokens.expires_at - now
        return min(due, now + max(life - _REFRESHED_BEFORE, life / 2))

    def session_end(self, person: Identity, begun: float) -> float:
        """The absolute end of a session: the provider may declare a sooner one (R103).

        Raises LoginError for a declaration that cannot be read, which is no permission.
        """
        end = begun + self.settings.session.lifetime
        name = self.settings.session.end_claim
        declared = person.claims.get(name) if name else None
        if declared is None:
            return end
        if isinstance(declared, bool) or not isinstance(declared, int | float):
            raise LoginError(Reason.IDENTITY_INCOMPLETE, f"the claim {name} is no time")
        return min(end, float(declared)) if isfinite(declared) else end


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Made:
    """What all processes of a proxy have in common, whenever they start: secrets, and a shelf.

    ``signing_keys`` are stand-ins for what is not configured, PEM texts by algorithm.
    ``read_keys`` is what the configured key files held; None: each process reads them itself.
    ``shelf`` is a file for what sessions share where nothing else is configured; empty for none.
    """

    cookie_secret: bytes = field(repr=False)
    signing_keys: Mapping[str, bytes] = field(repr=False)
    read_keys: tuple[bytes, ...] | None = field(default=None, repr=False)
    shelf: str = ""

    @classmethod
    def for_settings(
        cls, settings: Settings, random: Callable[[int], bytes], before: Made | None = None
    ) -> Made:
        """All that ``settings`` lack; what was made ``before`` stays."""
        keys = dict(before.signing_keys) if before else {}
        algorithm = settings.identity.algorithm
        if algorithm not in keys and _lacks_key(settings):
            keys[algorithm] = generate_signing_key(algorithm)
        if before is not None:
            return replace(before, signing_keys=keys, read_keys=None)
        return cls(random(32), keys)

    def with_keys(self, settings: Settings) -> Made:
        """With what the key files hold now. Raises ConfigError naming those that are unusable."""
        used = settings.identity.algorithm != "HS256"
        return replace(self, read_keys=_read_keys(settings) if used else ())


def compile_runtime(
    settings: Settings, random: Callable[[int], bytes], made: Made | None = None
) -> Runtime:
    """Compile settings that have passed their checks. Raises ConfigError for unusable key files.

    ``random``: n → n random bytes, for the nonces of sealed boxes. ``made`` was made for these
    settings; without it this process makes its own.
    """
    made = made or Made.for_settings(settings, random)
    paths, callbacks = endpoint_paths(settings), callback_paths(settings)
    secrets = [decode_cookie_secret(secret.reveal()) for secret in settings.cookie.secret]
    if not secrets:  # only auth.disabled comes this far without one: nothing lasting is sealed
        secrets = [made.cookie_secret]
    secure = _secure(settings)
    names = CookieNames(_cookie_base(settings, secure))
    providers = providers_of(settings)
    whose = installation(settings)
    lists = EmailFiles(paths_of(settings))
    further = tuple(name for provider in providers for name in provider.claims.extra)

    def sealer(purpose: str) -> Sealer:
        return Sealer(secrets, f"{purpose} {whose}", random)

    return Runtime(
        settings=settings,
        paths=paths,
        trust=_trust(settings),
        routes=compile_routes(
            settings, _endpoints(paths, callbacks, takes_bearers(settings)), paths.static, lists
        ),
        access=Rules.compile(settings.access, lists=lists),
        at_sign_in=Rules.compile(settings.access, lists=lists, of_requests=False),
        kept_claims=_kept_claims(settings),
        headers=HeaderPolicy.compile(settings.headers, settings.identity.header, names.ours),
        assertion=_assertion(settings, further),
        signers=load_signers(settings, made),
        redirects=_redirects(settings, paths, callbacks),
        jar=Jar(names, secure, settings.cookie.domain, settings.cookie.same_site),
        attempts=sealer("login-attempt"),
        returns=sealer("sign-out-return"),
        providers=providers,
        callbacks=callbacks,
        extra_claims=further,
        roles=RoleTable.compile(settings.roles, settings.default_role),
        lists=lists,
        secrets=tuple(secrets),
    )


def _trust(settings: Settings) -> Trust:
    return Trust(
        scheme=settings.public_url.partition(":")[0],
        hosts=public_hosts(settings.public_url, settings.server.hosts),
        proxies=settings.server.trusted_proxies,
        unix=settings.server.trust_unix,
    )


def _kept_claims(settings: Settings) -> frozenset[str]:
    """The claims that rules, headers and the end of sessions look at."""
    paths = claim_paths(settings.access, tuple(route.rule for route in settings.routes))
    end = {settings.session.end_claim} - {""}
    filled = {route.authorization_template for route in settings.routes} - {""}
    templates = (Template.compile(text).claims for text in filled)
    return paths.union(settings.headers.extra.values(), end, *templates)


def _redirects(settings: Settings, paths: EndpointPaths, callbacks: Mapping[str, str]) -> Redirects:
    return Redirects(
        settings.public_url,
        settings.login.redirect_hosts,
        settings.server.prefix,
        frozenset({paths.start, paths.callback, paths.sign_in, paths.sign_out, *callbacks}),
        pages=frozenset({paths.sessions, paths.debug, paths.tokens, paths.device}),
    )


def _assertion(settings: Settings, further: Sequence[str]) -> Assertion:
    identity = settings.identity
    return Assertion(
        issuer=identity.issuer or settings.public_url,
        scope=" ".join(identity.scope.split()),
        ttl=identity.ttl,
        claims=tuple(dict.fromkeys((*identity.claims, *further))),
        max_groups=identity.max_groups,
    )


def _secure(settings: Settings) -> bool:
    """The Secure attribute: as set, else as ``public_url`` has it."""
    if settings.cookie.secure is not None:
        return settings.cookie.secure
    return settings.public_url.startswith("https:")


def _cookie_base(settings: Settings, secure: bool) -> str:
    """``__Host-`` needs Secure, Path=/ and no Domain (RFC 6265bis section 4.1.3.2)."""
    if settings.cookie.name:
        return settings.cookie.name
    return "__Host-auth_proxy" if secure and not settings.cookie.domain else "auth_proxy"


def takes_bearers(settings: Settings) -> bool:
    """Can a program sign in with a token at all?"""
    bearer, tokens = settings.bearer, settings.tokens
    others = bearer.audiences or bearer.issuers or bearer.introspect
    return bool(others or tokens.personal or tokens.terminal or has_tokens(settings))


def has_tokens(settings: Settings) -> bool:
    """Is there a place that keeps tokens of ours? Service tokens need no more."""
    return bool(settings.redis.url or settings.session.file)


def _endpoints(
    paths: EndpointPaths, callbacks: Mapping[str, str], takes_bearers: bool
) -> dict[str, Endpoint]:
    return {
        **dict.fromkeys(callbacks, Endpoint.CALLBACK),
        paths.ping: Endpoint.PING,
        paths.ready: Endpoint.READY,
        paths.start: Endpoint.START,
        paths.sign_in: Endpoint.SIGN_IN,
        paths.sign_out: Endpoint.SIGN_OUT,
        paths.signed_out: Endpoint.SIGNED_OUT,
        paths.backchannel_logout: Endpoint.BACKCHANNEL_LOGOUT,
        paths.frontchannel_logout: Endpoint.FRONTCHANNEL_LOGOUT,
        paths.sessions: Endpoint.SESSIONS,
        paths.auth: Endpoint.AUTH,
        paths.userinfo: Endpoint.USERINFO,
        paths.identity: Endpoint.IDENTITY,
        paths.settings: Endpoint.SETTINGS,
        paths.debug: Endpoint.DEBUG,
        paths.tokens: Endpoint.TOKENS,
        paths.device: Endpoint.DEVICE,
        paths.device_authorize: Endpoint.DEVICE_AUTHORIZE,
        paths.device_token: Endpoint.DEVICE_TOKEN,
        paths.device_revoke: Endpoint.DEVICE_REVOKE,
        paths.cli_start: Endpoint.CLI_START,
        paths.jwks: Endpoint.JWKS,
        **({paths.resource: Endpoint.RESOURCE} if takes_bearers else {}),
    }


def _lacks_key(settings: Settings) -> bool:
    return settings.identity.algorithm != "HS256" and not settings.identity.signing_key_files


def load_signers(settings: Settings, made: Made) -> tuple[Signer, ...]:
    """The signing keys: the first signs, all are published.

    Without a key file it is the one in ``made``. Raises ConfigError for unusable key files.
    """
    identity = settings.identity
    if identity.algorithm == "HS256":
        return (shared_secret_signer(identity.shared_secret.reveal().encode()),)
    if _lacks_key(settings):
        return (load_signer(made.signing_keys[identity.algorithm], identity.algorithm),)
    if made.read_keys is None:
        return configured_signers(settings)
    return tuple(load_signer(pem, identity.algorithm) for pem in made.read_keys)


def configured_signers(settings: Settings) -> tuple[Signer, ...]:
    """The keys in ``identity.signing_key_files``. Raises ConfigError naming unusable ones."""
    algorithm = settings.identity.algorithm
    return tuple(load_signer(pem, algorithm) for pem in _read_keys(settings))


def _read_keys(settings: Settings) -> tuple[bytes, ...]:
    """The keys in ``identity.signing_key_files``, each usable, as PEM. Raises ConfigError."""
    identity = settings.identity
    texts, problems = [], []
    for index, name in enumerate(identity.signing_key_files):
        try:
            for pem in private_keys(Path(name).read_bytes()):
                load_signer(pem, identity.algorithm)
                texts.append(pem)
        except (OSError, ValueError) as exc:
            problems.append(f"identity.signing_key_files[{index}]: {name}: {exc}")
    if problems:
        raise ConfigError(problems)
    return tuple(texts)
