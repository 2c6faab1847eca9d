"""Other people's servers: started, and gone again; what they need from their packages."""

from __future__ import annotations

import sys
import urllib.request
from pathlib import Path

import pytest

from tests.providers.glewlwyd import default_parameters
from tests.providers.program import Program, free_port


def test_a_server_runs_from_start_to_stop(tmp_path: Path) -> None:
    port = free_port()
    command = [sys.executable, "-u", "-m", "http.server", "--bind", "127.0.0.1", str(port)]
    program = Program(command, port, tmp_path / "log")
    for _ in range(2):  # and again, at the same address
        program.start()
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/") as answer:
            assert answer.status == 200
        program.stop()
        with pytest.raises(OSError, match="refused"):
            urllib.request.urlopen(f"http://127.0.0.1:{port}/")
    program.stop()
    assert "Serving HTTP" in program.told()


def test_a_server_that_does_not_start_says_why(tmp_path: Path) -> None:
    command = [sys.executable, "-c", "raise SystemExit('no such configuration')"]
    with pytest.raises(RuntimeError, match="no such configuration"):
        Program(command, free_port(), tmp_path / "log").start()


def test_an_object_literal_is_found_in_a_minified_script() -> None:
    script = 'x={a:!1};var Un={"oauth-as-iss-id":!1,key:"!0 a:{","n":5,o:{p:[],q:!0}},y={z:1}'
    assert default_parameters(script) == {
        "oauth-as-iss-id": False,
        "key": "!0 a:{",
        "n": 5,
        "o": {"p": [], "q": True},
    }
