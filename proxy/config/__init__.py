"""What the operator wrote becomes one frozen ``Settings`` value.

Begin with ``settings.py``: the one declaration of every option. ``load.py`` turns file,
environment and flags into settings (``document.py`` reads the YAML, ``gather.py`` lets the
right source win), ``checks.py`` holds the rules between options, and ``render.py`` shows the
declaration as example file, options page and JSON Schema. This room never opens a socket and
changes nothing.
"""
