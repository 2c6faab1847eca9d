"""What should happen to this request? Pure functions over frozen values.

Begin with ``gate.py``: the one decision table. ``target.py`` reads the request once,
``routes.py`` matches it, ``access.py`` judges the person, ``headers.py`` rewrites,
``assertion.py`` fills the identity JWT, ``redirects.py`` judges return addresses. This room
never awaits, opens no socket and knows neither cookies' contents nor providers.
"""
