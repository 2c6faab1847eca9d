"""Providers whose ways are known, as data: options of ``provider`` that nobody needs to write.

``{client_id}`` and its like are filled in by ``config/providers.py``. A key here is an option of
``provider``; what the operator writes always wins. tests/config/test_presets.py reads them all.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final

PRESETS: Final[Mapping[str, Mapping[str, Any]]] = MappingProxyType(
    {
        # developers.google.com/identity/openid-connect: groups are not told; hd is the domain;
        # there is no end-session endpoint
        "google": {
            "label": "Google",
            "issuer_url": "https://accounts.google.com",
            "id_token_algorithms": ("RS256",),
        },
        # learn.microsoft.com/entra/identity-platform (ID token claims, certificate credentials):
        # oid is the person, sub the person for one app. User.Read is for the groups in Graph
        "entra": {
            "label": "Microsoft",
            "scope": "openid email profile User.Read",
            "issuer_url": "{entra_login}/{issuing_tenant}/v2.0",
            "server_metadata_url": (
                "{entra_login}/{entra_tenant}/v2.0/.well-known/openid-configuration"
            ),
            "id_token_algorithms": ("RS256",),
            "client_assertion_audience": "token_endpoint",
            "claims": {"user": "oid", "roles": ("roles", "app_roles")},
        },
        # partenaires.proconnect.gouv.fr/docs (implementation_technique, valeur_ac_domain,
        # scope-claims): one parameter too many is an error; no Basic; no max_age
        "proconnect": {
            "label": "ProConnect",
            "issuer_url": "https://auth.agentconnect.gouv.fr/api/v2",
            "scope": "openid given_name usual_name email uid siret idp_id roles organization_label",
            "token_auth_method": "client_secret_post",
            "acr_request": "claims",
            "fresh_sign_in": "prompt",
            "claims": {
                "name": ("given_name", "usual_name"),
                "last_name": "usual_name",
                "roles": ("roles",),
            },
        },
        # keycloak.org/docs: realm and client roles are in the access token alone
        "keycloak": {
            "label": "Keycloak",
            "claims": {
                "roles": ("realm_access.roles", "resource_access.{client_id}.roles"),
                "from_access_token": True,
            },
        },
        # developer.okta.com/docs (customize-tokens-groups-claim): the groups claim needs its
        # scope, which the org authorization server has and a custom one may not
        "okta": {"label": "Okta", "scope": "openid email profile groups"},
        # auth0.com/docs: the issuer ends with a slash; claims of one's own are named by URLs
        "auth0": {"label": "Auth0"},
        # docs.gitlab.com/integration/openid_connect_provider: groups_direct is in the ID token,
        # groups in userinfo; there is no end-session endpoint
        "gitlab": {
            "label": "GitLab",
            "issuer_url": "https://gitlab.com",
            "claims": {"preferred_username": "nickname", "groups": ("groups", "groups_direct")},
        },
        # docs.github.com/apps/oauth-apps: OAuth 2.0 without OpenID Connect, with PKCE since July
        # 2025; the issuer is what its callback names (RFC 9207)
        "github": {
            "label": "GitHub",
            "issuer_url": "{github_url}/login/oauth",
            "scope": "read:user user:email read:org",
            "token_auth_method": "client_secret_post",
        },
    }
)

ENTRA_LOGIN: Final[Mapping[str, str]] = MappingProxyType(
    {
        "global": "https://login.microsoftonline.com",
        "us_government": "https://login.microsoftonline.us",
        "china": "https://login.partner.microsoftonline.cn",
    }
)
"""Where each cloud signs in (learn.microsoft.com/entra, authentication-national-cloud)."""

GRAPH: Final[Mapping[str, str]] = MappingProxyType(
    {
        "global": "https://graph.microsoft.com",
        "us_government": "https://graph.microsoft.us",
        "china": "https://microsoftgraph.chinacloudapi.cn",
    }
)
"""Where each cloud's Microsoft Graph is (learn.microsoft.com/graph/deployments)."""
