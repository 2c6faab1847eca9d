"""Measures auth-proxy beside nginx and other proxies, in one run on one machine: ``make bench``.

It owns what it starts: the process under test on one core, load, provider and upstreams on
another, all on loopback. It knows auth-proxy only as an operator does, by its command and its
configuration file. Begin at ``__main__``; ``scenarios/`` says what is measured, ``bars`` what is
promised.
"""
