"""The environment that systemd gives (sd_listen_fds(3))."""

from __future__ import annotations

import pytest

from proxy.web.activation import Activation, activation


@pytest.mark.parametrize(
    ("environ", "expected"),
    [
        pytest.param({}, Activation(), id="not started by systemd"),
        pytest.param({"LISTEN_PID": "7"}, Activation(), id="without sockets"),
        pytest.param(
            {"LISTEN_PID": "7", "LISTEN_FDS": "2", "LISTEN_FDNAMES": "http:metrics"},
            Activation((("http", 3), ("metrics", 4))),
            id="two with names",
        ),
        pytest.param(
            {"LISTEN_PID": "7", "LISTEN_FDS": "2"},
            Activation((("unknown", 3), ("unknown", 4))),
            id="without names",
        ),
        pytest.param(
            {"LISTEN_PID": "8", "LISTEN_FDS": "1"},
            Activation(trouble="LISTEN_PID='8' is not this process, 7"),
            id="meant for another process",
        ),
        pytest.param(
            {"LISTEN_FDS": "1"},
            Activation(trouble="LISTEN_PID='' is not this process, 7"),
            id="for nobody",
        ),
        pytest.param(
            {"LISTEN_PID": "7", "LISTEN_FDS": "-1"},
            Activation(trouble="LISTEN_FDS='-1' is not a number"),
            id="no number",
        ),
    ],
)
def test_what_was_passed(environ: dict[str, str], expected: Activation) -> None:
    assert activation(environ, 7) == expected
