"""Groups of Microsoft Entra, where the ID token has no room for them: what Graph is asked, and
what is believed of its answers.

learn.microsoft.com/graph/api/user-list-transitivememberof and
learn.microsoft.com/graph/api/serviceprincipal-list-approleassignedto.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit

from proxy.config.presets import GRAPH
from proxy.config.provider import Entra
from proxy.crypto.strict_json import read_object

LARGEST_PAGE: Final = 2**20
_ID: Final = re.compile(r"[A-Za-z0-9-]{1,64}")
_PERSONAL: Final = "9188040d-6c67-4c5b-b112-36a304b66dad"


@dataclass(frozen=True, slots=True)
class GraphGroups:
    """Object ids of all groups that count; ``note`` is for the log, empty if there is none;
    ``is_partial``: there may be more of them.

    They stand for the ID token's own ``groups``, which count no more.
    """

    groups: tuple[str, ...]
    note: str = ""
    is_partial: bool = False


@dataclass(frozen=True, slots=True)
class Page:
    """Ids of groups, and where the next page is; empty at the last."""

    ids: tuple[str, ...]
    next: str


class GraphRefused(Exception):
    """An answer that cannot be used; the message is for the log."""


def asked(entra: Entra, id_claims: Mapping[str, object]) -> bool:
    """Must Graph be asked for this person's groups?"""
    if entra.graph_groups == "never":
        return False
    # Who restricts groups to an application restricts those of the ID token, too.
    return entra.graph_groups == "always" or bool(entra.service_principal_id) or overage(id_claims)


def overage(id_claims: Mapping[str, object]) -> bool:
    """Did the ID token have no room for the groups?

    The address in ``_claim_sources`` is not followed: it is that of a retired API.
    """
    names = id_claims.get("_claim_names")
    return (isinstance(names, dict) and "groups" in names) or bool(id_claims.get("hasgroups"))


def personal(id_claims: Mapping[str, object]) -> bool:
    """A Microsoft account of no organisation's: it is in no group, and Graph says so by errors."""
    return id_claims.get("tid") == _PERSONAL


def memberships_url(entra: Entra) -> str:
    """All that the person is in, directly or through another group.

    Not cast to groups on the way: for that, Graph reads an index which lags behind removals.
    """
    return f"{_base(entra)}/v1.0/me/transitiveMemberOf?$select=id&$top=999"


def assignments_url(entra: Entra) -> str:
    """All that is assigned to our enterprise application."""
    name = entra.service_principal_id
    return f"{_base(entra)}/v1.0/servicePrincipals/{name}/appRoleAssignedTo?$top=999"


def read_memberships(status: int, body: bytes, url: str) -> Page:
    """A page of memberships: of groups alone, not of roles or units. Raises GraphRefused."""
    return _page(status, body, url, "id", "@odata.type", "#microsoft.graph.group")


def read_assignments(status: int, body: bytes, url: str) -> Page:
    """A page of what is assigned to the application: groups alone. Raises GraphRefused."""
    return _page(status, body, url, "principalId", "principalType", "Group")


def _base(entra: Entra) -> str:
    return (entra.graph_url or GRAPH[entra.cloud]).rstrip("/")


def _page(status: int, body: bytes, url: str, id_name: str, kind_name: str, kind: str) -> Page:
    try:
        answer = read_object(body, LARGEST_PAGE)
    except ValueError as exc:
        raise GraphRefused(f"status {status}, {exc}") from None
    if status != 200:
        raise GraphRefused(f"status {status}, {_code(answer)}")
    if "value" not in answer:
        raise GraphRefused("the answer has no value")
    found = answer["value"]
    if found is None:
        found = []
    if not isinstance(found, list) or not all(isinstance(entry, dict) for entry in found):
        raise GraphRefused("value is not a list of objects")
    ids = (entry.get(id_name) for entry in found if entry.get(kind_name) == kind)
    return Page(
        tuple(one for one in ids if isinstance(one, str) and _ID.fullmatch(one)),
        _next(answer.get("@odata.nextLink"), url),
    )


def _next(link: object, url: str) -> str:
    """The token is shown to nobody but Graph. Raises GraphRefused for another origin."""
    if link is None:
        return ""
    if not isinstance(link, str) or not all(" " < char < "\x7f" for char in link):
        raise GraphRefused("@odata.nextLink is not a URL")
    try:
        there, here = urlsplit(link), urlsplit(url)
    except ValueError:
        raise GraphRefused("@odata.nextLink is not a URL") from None
    if (there.scheme, there.netloc.lower()) != (here.scheme, here.netloc.lower()):
        raise GraphRefused("@odata.nextLink leads to another origin")
    return link


def _code(answer: Mapping[str, object]) -> str:
    error = answer.get("error")
    code = error.get("code") if isinstance(error, dict) else None
    return f"code={ascii(code)[:80]}"
