"""Carries out commands of Canaille, one after another, in one process: each start takes seconds.

Runs in Canaille's own environment. Standard input is JSON: a list of argument lists.
"""

import json
import sys

from canaille.commands import cli, create_cli_app  # type: ignore[import-not-found]
from flask.cli import ScriptInfo  # type: ignore[import-not-found]

application = ScriptInfo(create_app=create_cli_app)
for arguments in json.load(sys.stdin):
    cli.main(arguments, standalone_mode=False, obj=application)
