"""The commands of ``auth-proxy``: one file each, and the only place that reads ``os.environ``.

Begin with ``commands.py``, which lists them. ``arguments.py`` turns the declaration of the
options into flags, ``sources.py`` turns file, environment and flags into settings.
"""

from proxy.cli.commands import main

__all__ = ["main"]
