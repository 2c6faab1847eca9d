"""auth-proxy serve, as far as it goes without listening."""

from __future__ import annotations

from pathlib import Path

import pytest

from proxy.cli import main


@pytest.mark.parametrize("arguments", [["--config-test"], ["serve", "--config-test"]])
def test_config_test_only_checks(
    arguments: list[str], config: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*arguments, "--config", str(config)]) == 0
    assert capsys.readouterr().out.startswith("configuration is valid")


def test_config_test_exits_2_on_problems(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--config-test"]) == 2


def test_a_bad_configuration_is_never_served(
    config: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["--auth-disabled", "--server-listen", "0.0.0.0:4180"]) == 2
    assert "would let anyone in" in capsys.readouterr().err
