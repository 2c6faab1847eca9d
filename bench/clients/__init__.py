"""Our own load: long bodies, event streams, WebSockets and idle connections, on the load's core.

Everything here trusts the answers' form, which it checks only as far as a wrong figure could
come of it. Begin at the scenario that uses a client.
"""
