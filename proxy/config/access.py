"""Who may come in: conditions, and how they are combined."""

# No "from __future__ import annotations": pydantic would compile each hint again at every start.
from enum import StrEnum
from typing import Annotated, Any, Self

from pydantic import BeforeValidator, ConfigDict, Field, model_validator

from proxy.config.section import ALONE, Section, option
from proxy.config.types import Duration, HttpUrl, Networks, Strings


class Access(StrEnum):
    """Who may use a route."""

    REQUIRED = "required"
    OPTIONAL = "optional"
    PUBLIC = "public"


class EmailVerified(StrEnum):
    REQUIRE = "require"
    IF_PRESENT = "if_present"
    IGNORE = "ignore"


class Groups(Section):
    model_config = ALONE

    any: Strings = option((), "one of these groups is needed")
    all: Strings = option((), "every one of these groups is needed")


def _several(value: Any) -> Any:
    return [value] if isinstance(value, dict) else value


def _one_or_several(schema: dict[str, Any]) -> None:
    """The JSON Schema of what ``_several`` reads."""
    items = schema.pop("items")
    schema["anyOf"] = [items, {"type": schema.pop("type"), "items": items}]


_BOTH_NAMES = ConfigDict(defer_build=False, populate_by_name=True)
"""``in`` and ``not`` are words of Python's: their fields end with an underscore."""


class ClaimRule(Section):
    """A condition on one claim; all of its parts must hold."""

    model_config = _BOTH_NAMES

    claim: str = option(..., "name or path of the claim", min_length=1, examples=["roles"])
    any_of: Strings = option(
        (), "the claim (or one of its values) is one of these", examples=[["member"]]
    )
    in_: Strings = Field(
        default=(), validation_alias="in", description="the claim is one text, and one of these"
    )
    all_of: Strings = option((), "the claim holds all of these")
    equals: str | None = option(None, "the claim is exactly this")
    matches: str | None = option(
        None, "the whole claim (or one of its values) matches this regular expression"
    )
    present: bool | None = option(None, "the claim is there, or it is not")

    @model_validator(mode="after")
    def _says_something(self) -> Self:
        said = (self.any_of, self.in_, self.all_of)
        if not any(said) and (self.equals, self.matches, self.present) == (None, None, None):
            raise ValueError("a claim rule needs any_of, in, all_of, equals, matches or present")
        return self


class Rule(Section):
    """Conditions; each kind that is given must hold, and so must the rules below it."""

    model_config = _BOTH_NAMES

    name: str = option("", "what the rule is called in the log and by explain")
    remedy: str = option("", "what people are told whom this rule refuses")
    email_domains: Strings = option(
        (), "domains: example.org exactly, .example.org for its subdomains, * for any"
    )
    emails: Strings = option((), "addresses let in besides those of email_domains")
    emails_file: str = option(
        "", "file of further addresses, one a line, '#' begins a remark; read again when changed"
    )
    groups: Groups = option({}, "groups that are needed")
    roles: Strings = option((), "one of these roles is needed")
    claims: tuple[ClaimRule, ...] = option((), "conditions on other claims")
    providers: Strings = option((), "names of providers, one of which signed the person in")
    acr_values: Strings = option((), "authentication context classes that are strong enough")
    amr: Strings = option((), "authentication methods, every one of which was used")
    max_age: Duration = option(0, "how long ago the person may have signed in; 0 sets no limit")
    methods: Strings = option((), "methods of requests")
    networks: Networks = option((), "networks, one of which the client is in")
    any: tuple["Rule", ...] = option((), "rules, one of which must hold")
    all: tuple["Rule", ...] = option((), "rules that must all hold")
    not_: Annotated[tuple["Rule", ...], BeforeValidator(_several)] = Field(
        default=(),
        validation_alias="not",
        description="rules that must all be known not to hold; a single one needs no list",
        json_schema_extra=_one_or_several,
    )


class AccessRules(Rule):
    model_config = ConfigDict(defer_build=True)

    email_verified: EmailVerified = option(
        EmailVerified.IF_PRESENT,
        "require: only verified addresses; if_present: refuse when the provider says "
        "unverified; ignore",
    )
    help_url: HttpUrl | None = option(None, "shown to people who are denied")
    support_email: str = option("", "shown to people who are denied")
