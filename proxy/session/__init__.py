"""Where a login is kept.

Begin with ``store.py``: the promise that every store keeps, and that ``tests/session/
contract.py`` checks. ``codec.py`` turns a Session into bytes, ``cookies.py`` is the one
Set-Cookie grammar, ``cookie.py`` keeps the session itself in the browser. This room knows
neither rules nor providers nor HTTP requests.
"""
