"""What every group of options is."""

# No "from __future__ import annotations": pydantic would compile each hint again at every start.

from typing import Any

from pydantic import BaseModel, ConfigDict, Field


class Section(BaseModel):
    """A frozen group of options; an unknown key is an error.

    Built with the whole when that is first read, so its default is ``{}``: quicker to load.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", validate_default=True, defer_build=True)


ALONE = ConfigDict(defer_build=False)
"""For what is also made alone, while requests are served: it is built at once."""


def option(default: Any, description: str, **extra: Any) -> Any:
    """A field with its help text; ``...`` as the default makes it required."""
    return Field(default, description=description, **extra)
