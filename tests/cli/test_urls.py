"""auth-proxy urls."""

from __future__ import annotations

from pathlib import Path

import pytest

from proxy.cli import main
from tests.config.configurations import SEVERAL


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


def test_each_provider_has_a_redirect_uri(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = SEVERAL.replace("name: partners", "name: our-partners-abroad")
    (folder / "proxy.cfg").write_text(text.replace("playground", "${NOT_KNOWN_YET}"))
    assert main(["urls"]) == 0
    shown = capsys.readouterr().out.splitlines()
    assert shown[:3] == [
        "redirect URI of google              https://app.example.org/oauth2/callback/google",
        "redirect URI of our-partners-abroad https://app.example.org/oauth2/callback/"
        "our-partners-abroad",
        "post-logout redirect URI            https://app.example.org/oauth2/signed_out",
    ]


@pytest.mark.parametrize(
    ("old", "new"),
    [
        pytest.param("name: partners", "label: Partners", id="no name"),
        pytest.param("name: partners", "name: google", id="one name"),
        pytest.param("name: partners", "name: Our partners", id="a bad name"),
        pytest.param("  - name: partners", "  - partners\n  - name: partners", id="no entry"),
    ],
)
def test_names_of_providers_are_a_part_of_urls(
    old: str, new: str, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text = SEVERAL.replace("    label: Partners\n", "").replace(old, new)
    (folder / "proxy.cfg").write_text(text)
    assert main(["urls"]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert "providers.1" in captured.err


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
