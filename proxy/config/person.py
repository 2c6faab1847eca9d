"""Claims → a person: which claim is what, and which role follows from it."""

# No "from __future__ import annotations": pydantic would compile each hint again at every start.
from typing import Literal

from proxy.config.section import ALONE, Section, option
from proxy.config.types import Strings


class Claims(Section):
    """Which claim becomes what: an exact name first, else a path such as realm_access.roles."""

    model_config = ALONE

    user: str = option("sub", "the person's stable id")
    user_fallback: Literal["", "email"] = option(
        "", "the id of people without that claim: their verified address, or none"
    )
    email: str = option("email", "the e-mail address")
    name: Strings = option(("name",), "display name; several claims are joined by a space")
    first_name: str = option("given_name", "the given name")
    last_name: str = option("family_name", "the family name")
    picture: str = option("picture", "the URL of a picture")
    preferred_username: str = option("preferred_username", "the name people type")
    groups: Strings = option(("groups",), "claims whose values are groups; all are united")
    groups_separator: str = option(",", "splits a group claim that is one text", min_length=1)
    group_object_key: str = option("", "the member that names a group, where groups are objects")
    roles: Strings = option(("role",), "claims whose values are roles; all are united")
    from_access_token: bool = option(
        False, "read groups and roles from the access token too, once its signature is proven"
    )
    extra: Strings = option((), "further claims to keep for headers, rules and the identity JWT")


class Role(Section):
    """A role and who has it; any one of its parts is enough."""

    name: str = option(..., "the role", min_length=1, examples=["admin"])
    groups: Strings = option((), "whoever is in one of these groups has it", examples=[["admins"]])
    emails: Strings = option((), "whoever has one of these verified addresses has it")
    subjects: Strings = option((), "whoever is one of these (sub, or issuer#sub) has it")
    providers: Strings = option((), "only of people whom one of these signed in; empty: of all")
