"""What concerns programs is wired as the settings say."""

from __future__ import annotations

from typing import Any

import pytest

from tests.web.place import Place


@pytest.mark.parametrize(
    ("settings", "takes_any"),
    [
        pytest.param({}, False, id="nothing"),
        pytest.param({"bearer": {"audiences": ["api"]}}, True, id="tokens of the provider"),
    ],
)
async def test_issuers_are_there_only_where_somebody_is_trusted(
    settings: dict[str, Any], takes_any: bool
) -> None:
    async with Place(**settings) as place:
        assert place.app.parts.programs.bearers.takes_any is takes_any


async def test_a_place_for_tokens_is_enough_for_service_tokens(tmp_path: Any) -> None:
    async with Place(session={"file": str(tmp_path / "kept.db")}) as place:
        assert place.app.parts.programs.bearers.takes_any
