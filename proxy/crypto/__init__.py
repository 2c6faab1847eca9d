"""Secrets are touched here only: sealed boxes and JWTs.

Begin with ``seal.py`` (what we keep in cookies) and ``jwt.py`` (what others can verify).
This room knows no session, provider or request; it is the one door to ``cryptography``,
``itsdangerous`` and PyJWT.
"""
