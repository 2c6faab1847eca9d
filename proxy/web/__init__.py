"""aiohttp lives here: our endpoints and pages, the client's connection, the provider.

Begin with ``entry.py``: every request, read → decide → act. ``app.py`` wires and stops the
whole; ``runtime.py`` is the settings compiled. This room judges nothing itself: it asks
``rules``, ``oidc`` and ``session``, and moves bytes through ``wire``.
"""
