"""What every group of options promises."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from proxy.config.section import ALONE, Section, option


class Lamp(Section):
    model_config = ALONE

    watts: int = option(40, "how bright", ge=1)
    colour: str = option(..., "what it looks like", examples=["red"])


def test_an_option_has_a_default_its_words_and_its_bounds() -> None:
    field = Lamp.model_fields["watts"]
    assert (field.default, field.description) == (40, "how bright")
    with pytest.raises(ValidationError, match="greater than or equal to 1"):
        Lamp(watts=0, colour="red")


def test_an_option_without_a_default_is_required() -> None:
    assert Lamp.model_fields["colour"].is_required()
    assert Lamp.model_fields["colour"].examples == ["red"]


def test_a_section_is_frozen_and_knows_no_other_key() -> None:
    lamp = Lamp(colour="red")
    with pytest.raises(ValidationError, match="frozen"):
        lamp.watts = 60
    with pytest.raises(ValidationError, match="Extra inputs"):
        Lamp.model_validate({"colour": "red", "color": "red"})


def test_a_default_is_checked_like_any_value() -> None:
    class Broken(Section):
        model_config = ALONE

        watts: int = option("many", "how bright")

    with pytest.raises(ValidationError, match="valid integer"):
        Broken()
