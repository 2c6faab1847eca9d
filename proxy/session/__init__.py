"""Where a login is kept, and who is told when it ends.

Begin with ``shelf.py``, the promise of what replicas share (Redis, or SQLite), and ``store.py``,
that of every session store; ``tests/session/shelf_contract.py`` and ``contract.py`` check them.
Everything else is written once on top: ``register.py`` is whom the other rooms ask, and
``keeping.py`` opens it all. ``cookies.py`` is the one Set-Cookie grammar. This room knows neither
rules nor providers nor HTTP requests.
"""
