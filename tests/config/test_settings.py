"""The declaration itself."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from proxy.config.settings import Settings


def test_settings_cannot_be_changed() -> None:
    settings = Settings(public_url="https://app.example.org")
    with pytest.raises(ValidationError):
        settings.public_url = "https://evil.example"


def test_settings_do_not_show_secrets() -> None:
    settings = Settings.model_validate(
        {"public_url": "https://a.example.org", "provider": {"client_secret": "tiger"}}
    )
    assert "tiger" not in f"{settings} {settings!r} {settings.model_dump()}"
    assert "tiger" not in settings.model_dump_json()
