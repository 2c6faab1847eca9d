"""auth-proxy demo: its arguments."""

from __future__ import annotations

import pytest

from proxy.cli import main


def test_a_port_is_a_number(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["demo", "--port", "x"]) == 2
    assert "invalid int value" in capsys.readouterr().err


@pytest.mark.parametrize("part", ["provider", "playground"])
def test_each_part_can_be_run_by_itself(part: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["demo", part, "--help"]) == 0
    assert f"auth-proxy demo {part}" in capsys.readouterr().out


def test_the_provider_alone_needs_a_secret(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("DEMO_CLIENT_SECRET", raising=False)
    assert main(["demo", "provider"]) == 2
    assert "DEMO_CLIENT_SECRET is needed" in capsys.readouterr().err
