"""HTTP/1.1 to upstreams, as bytes: connections, one exchange, a WebSocket after its 101.

This room owns framing (Content-Length, chunks, Connection) on both sides of an exchange, and the
connections to upstreams. It must not know of identities, rules, routes or aiohttp: heads arrive
as an upstream should see them, and leave as the caller's ``render`` returns them.

Begin with ``message`` (the nouns), then ``forward`` (one exchange, end to end); below it lie
``pool``, ``connection`` and ``reader``. ``tunnel`` and ``frames`` are for WebSockets.
"""
