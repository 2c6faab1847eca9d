"""auth-proxy: an authenticating reverse proxy.

It signs people in with OpenID Connect, decides who may pass, and forwards every request to
the upstream with identity headers and a signed JWT. The rooms, from the top down: ``cli``
(commands), ``demo`` (an embedded provider and playground), ``web`` (aiohttp: our endpoints,
the provider), ``wire`` (bytes to upstreams), ``rules``, ``oidc`` and ``session`` (pure
decisions), ``crypto``, ``config``, ``model`` and ``errors``. docs/architecture.md draws them.
"""

__version__ = "0.1.0"
