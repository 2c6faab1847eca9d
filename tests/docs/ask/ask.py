"""Runs the Python snippet: ``ask.py SNIPPET`` reads rounds on stdin, writes verdicts as JSON."""

from __future__ import annotations

import json
import runpy
import sys
import time

identity = runpy.run_path(sys.argv[1])["identity"]
real, ahead = time.monotonic, 0
time.monotonic = lambda: real() + ahead
verdicts: list[str | None] = []
for lapse, values in json.load(sys.stdin):
    ahead = lapse
    try:
        verdicts.append(identity(values)["sub"])
    except Exception:
        verdicts.append(None)
print(json.dumps(verdicts))
