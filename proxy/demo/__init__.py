"""A place to try the proxy without an account anywhere.

Owns a small OpenID provider (``provider``) and a playground app (``playground``), both aiohttp
applications; ``run`` starts them next to the proxy. The provider asks for no password: it is for
a laptop and for tests, never for real people. Neither knows the proxy's other rooms, except
``crypto.jwt``. Begin in ``provider`` or in ``playground``.
"""
