"""The processes of ``auth-proxy serve``: one supervisor, and the workers that serve.

Owns forking, signals, shared sockets, reloading, and what workers tell one another. Knows nothing
of requests: a worker runs one ``web.app.App``. The supervisor never runs an event loop, so that it
can fork. Begin with ``supervisor.py``.
"""
