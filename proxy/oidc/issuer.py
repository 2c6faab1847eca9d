"""Whether a token comes from the provider: an exact issuer, or Entra's template of many.

learn.microsoft.com/entra/identity-platform/access-tokens (validate the issuer): the metadata of
``common`` and ``organizations`` names ``https://…/{tenantid}/v2.0``, and each token its tenant.
"""

from __future__ import annotations

import re

from proxy.config.provider import Entra
from proxy.config.providers import TEMPLATE as TEMPLATE
from proxy.oidc.facts import ClaimRefused, Claims, shown

# as Microsoft writes it: another spelling would be another issuer, hence another person
_GUID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")


class TenantRefused(ClaimRefused):
    """A token of a tenant whose people may not come."""


def accepts(metadata_issuer: str, claims: Claims) -> str:
    """The token's own issuer: ``metadata_issuer`` exactly, or its template with the token's tid.

    Raises ClaimRefused.
    """
    given, tenant = claims.get("iss"), claims.get("tid")
    wanted = metadata_issuer
    if TEMPLATE in metadata_issuer:
        if not isinstance(tenant, str) or not _GUID.fullmatch(tenant):
            raise ClaimRefused(f"tid is {shown(tenant)}")
        wanted = metadata_issuer.replace(TEMPLATE, tenant)
    if not wanted or not isinstance(given, str) or given != wanted:
        raise ClaimRefused(f"iss is {shown(given)}")
    return given


def is_issuer(known: str, issuer: str) -> bool:
    """Is ``issuer``, of which nothing else is known yet, the known one or of its template?"""
    head, template, tail = known.partition(TEMPLATE)
    tenant = issuer[len(head) : len(issuer) - len(tail)] if template else ""
    try:
        return accepts(known, {"iss": issuer, "tid": tenant}) == issuer
    except ClaimRefused:
        return False


def check_tenant(metadata_issuer: str, claims: Claims, entra: Entra) -> None:
    """The token's tenant is an allowed one; with a template of many, some must be allowed.

    Without the list, whoever opens a tenant of their own could make up people (nOAuth).
    Raises TenantRefused.
    """
    if not entra.allowed_tenants and TEMPLATE not in metadata_issuer:
        return
    tenant = claims.get("tid")
    allowed = {tenant.lower() for tenant in entra.allowed_tenants}
    if not isinstance(tenant, str) or tenant.lower() not in allowed:
        raise TenantRefused(f"tid is {shown(tenant)}")
