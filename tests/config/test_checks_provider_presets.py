"""What each preset needs, and that nothing else is asked for."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from proxy.config.declaration import options
from proxy.config.presets import PRESETS
from proxy.config.provider import Provider
from tests.config.configurations import SECRET, problems_of

TENANT = "8eaef023-2b34-4da1-9baa-8bc8c9d6a490"
BARE = f"""\
public_url: https://app.example.org
upstream: http://app:8501
cookie:
  secret: {SECRET}
"""


def preset(name: str, **more: str) -> dict[str, str]:
    """Flags of a provider with a preset, a client id and a secret, and nothing else."""
    named = {f"provider.{key.replace('__', '.')}": value for key, value in more.items()}
    given = {"provider.client_id": "app", "provider.client_secret": "tiger-in-the-tank"}
    return {"provider.preset": name, **given, **named}


@pytest.mark.parametrize(
    ("flags", "expected"),
    [
        pytest.param(preset("google"), "", id="google"),
        pytest.param(preset("google", hosted_domains="example.org"), "", id="google, one domain"),
        pytest.param(preset("proconnect"), "", id="proconnect"),
        pytest.param(preset("gitlab"), "", id="gitlab"),
        pytest.param(preset("github"), "", id="github"),
        pytest.param(preset("github", scope="read:user"), "", id="github without openid"),
        pytest.param(
            preset("github", client_secret=""), "not set: provider.client_secret (", id="github's"
        ),
        *(
            pytest.param(preset(name), "not set: provider.issuer_url (", id=name)
            for name in ("keycloak", "okta", "auth0")
        ),
        *(
            pytest.param(
                preset(name, issuer_url="https://idp.example.org/"), "", id=f"{name} whole"
            )
            for name in ("keycloak", "okta", "auth0")
        ),
        pytest.param(preset("entra"), "not set: provider.entra.tenant (", id="entra"),
        pytest.param(preset("entra", entra__tenant=TENANT), "", id="entra, a tenant"),
        pytest.param(preset("entra", entra__tenant="consumers"), "", id="entra, people at home"),
        pytest.param(
            preset("entra", issuer_url=f"https://login.microsoftonline.com/{TENANT}/v2.0"),
            "",
            id="entra, an issuer",
        ),
        pytest.param(
            preset(
                "entra",
                issuer_url="https://login.microsoftonline.com/{tenantid}/v2.0",
                entra__allowed_tenants=TENANT,
            ),
            "not set: provider.entra.tenant (",
            id="entra, a template that nothing can be discovered from",
        ),
        *(
            pytest.param(
                preset("entra", entra__tenant=tenant),
                "provider.entra.allowed_tenants: is needed: people of any tenant",
                id=f"entra, {tenant}",
            )
            for tenant in ("common", "organizations")
        ),
        pytest.param(
            preset("entra", entra__tenant="common", entra__allowed_tenants=TENANT),
            "",
            id="entra, many tenants",
        ),
        pytest.param(
            preset("entra", entra__tenant="common", entra__allowed_tenants=TENANT.upper()),
            f"provider.entra.allowed_tenants: '{TENANT.upper()}' is not the id of a tenant",
            id="entra, a tenant in capitals",
        ),
        pytest.param(
            preset("entra", entra__tenant="contoso.onmicrosoft.com"),
            "provider.entra.tenant: 'contoso.onmicrosoft.com' is not allowed",
            id="entra, a domain for a tenant",
        ),
        pytest.param(
            preset("github", github__url="http://github.example.org"),
            "provider.github.url: must be https",
            id="GitHub on http",
        ),
        pytest.param(
            preset("entra", entra__tenant=TENANT, entra__graph_url="http://graph.example.org"),
            "provider.entra.graph_url: must be https",
            id="Graph on http",
        ),
        pytest.param(preset("gogle"), "provider.preset: 'gogle' is not one of", id="none"),
    ],
)
def test_what_a_preset_needs(flags: Mapping[str, str], expected: str) -> None:
    found = "\n".join(problems_of(BARE, flags=flags))
    assert expected in found
    assert len(found.splitlines()) == bool(expected)


def test_every_preset_is_among_them() -> None:
    [hint] = [o.choices for o in options(Provider) if o.key == "preset"]
    assert set(hint) == {"", *PRESETS}
