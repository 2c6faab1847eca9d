"""What to ask the OpenID provider, and what to believe of its answers.

A sign-in in order: ``metadata.py`` (who is the provider?), ``attempt.py`` (send the browser
away; judge its return), ``tokens.py`` (exchange the code), ``idtoken.py`` (verify), then
``userinfo.py`` and ``access_token.py``; all of it is ``told.py``, of which ``person.py`` makes an
identity with a role. One day, ``logout.py``. Each step takes the value that the step before
returned. Nothing here opens a socket or knows the time: ``web/`` carries the requests and hands
in ``now``.
"""
