"""auth-proxy urls."""

from __future__ import annotations

import pytest

from proxy.cli import main


def test_urls_need_only_the_public_url(capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["--paths-callback", "/v1/auth/auth", "--paths-start", "/v1/auth/login"]
    assert main(["urls", "--public-url", "https://app.example.org/", *arguments]) == 0
    assert capsys.readouterr().out.splitlines() == [
        "redirect URI              https://app.example.org/v1/auth/auth",
        "post-logout redirect URI  https://app.example.org/oauth2/signed_out",
        "back-channel logout URI   https://app.example.org/oauth2/backchannel_logout",
        "front-channel logout URI  https://app.example.org/oauth2/frontchannel_logout",
        "web origin                https://app.example.org",
        "sign-in URL               https://app.example.org/v1/auth/login",
        "own sessions              https://app.example.org/oauth2/sessions",
    ]


@pytest.mark.parametrize(
    "arguments",
    [
        pytest.param([], id="no public_url"),
        pytest.param(["--public-url", "app.example.org"], id="a bad one"),
        pytest.param(
            ["--public-url", "https://a.org", "--paths-callback", "nope"], id="a bad path"
        ),
    ],
)
def test_without_what_they_are_made_of_there_are_no_urls(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["urls", *arguments]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert "the configuration has" in captured.err
