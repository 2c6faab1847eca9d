"""Settings compiled: names, keys and purposes that follow from them."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from proxy.config.settings import Settings
from proxy.crypto.jwt import generate_signing_key, load_signer, public_jwks
from proxy.errors import ConfigError
from proxy.web.runtime import Made, Runtime, compile_runtime, configured_signers, load_signers
from tests.web.place import PUBLIC, SECRET


def settings(**sections: Any) -> Settings:
    given: dict[str, Any] = {
        "public_url": PUBLIC,
        "upstream": "http://127.0.0.1:1",
        "cookie": {"secret": SECRET},
        "provider": {"issuer_url": "https://id.example.org", "client_id": "proxy"},
    }
    for name, value in sections.items():
        merge = isinstance(value, dict)
        given[name] = {**given.get(name, {}), **value} if merge else value
    return Settings.model_validate(given)


def compiled(**sections: Any) -> Runtime:
    return compile_runtime(settings(**sections), os.urandom)


@pytest.mark.parametrize(
    ("sections", "name", "secure"),
    [
        pytest.param({}, "__Host-auth_proxy", True, id="https"),
        pytest.param({"public_url": "http://localhost:4180"}, "auth_proxy", False, id="http"),
        pytest.param(
            {"cookie": {"domain": "example.gouv.fr"}}, "auth_proxy", True, id="with a domain"
        ),
        pytest.param({"cookie": {"secure": False}}, "auth_proxy", False, id="not secure"),
        pytest.param({"cookie": {"name": "mine"}}, "mine", True, id="own name"),
    ],
)
def test_the_cookie_name_follows_what_browsers_demand(
    sections: dict[str, Any], name: str, secure: bool
) -> None:
    runtime = compiled(**sections)
    cookie = runtime.jar.make(runtime.names.base, "v", 1)
    assert (cookie.name, cookie.secure) == (name, secure)
    assert cookie.domain == sections.get("cookie", {}).get("domain", "")


def test_boxes_of_one_purpose_do_not_open_as_another() -> None:
    runtime = compiled()
    for sealed in (runtime.attempts.seal(b"x", 1000), runtime.returns.seal(b"x", 1000)):
        openers = (runtime.attempts, runtime.returns)
        assert sum(opener.open(sealed, 1000, 60) is not None for opener in openers) == 1


def test_without_a_secret_each_run_has_its_own() -> None:
    first, second = (
        compiled(auth={"disabled": True}, cookie={"secret": ()}, provider={}) for _ in range(2)
    )
    assert second.attempts.open(first.attempts.seal(b"x", 1000), 1000, 60) is None


def test_without_key_files_a_key_is_made_for_the_run() -> None:
    (first,), (second,) = (compiled().signers for _ in range(2))
    assert first.algorithm == "ES256"
    assert first.kid != second.kid


def test_what_was_made_serves_all_processes_and_stays() -> None:
    bare: dict[str, Any] = {"auth": {"disabled": True}, "cookie": {"secret": ()}, "provider": {}}
    made = Made.for_settings(settings(**bare), os.urandom)
    one, two = (compile_runtime(settings(**bare), os.urandom, made) for _ in range(2))
    assert one.signers[0].kid == two.signers[0].kid
    assert two.attempts.open(one.attempts.seal(b"x", 1000), 1000, 60) == b"x"
    later = Made.for_settings(settings(identity={"algorithm": "EdDSA"}), os.urandom, made)
    assert later.cookie_secret == made.cookie_secret
    assert later.signing_keys["ES256"] == made.signing_keys["ES256"]
    (signer,) = load_signers(settings(identity={"algorithm": "EdDSA"}), later)
    assert signer.algorithm == "EdDSA"


def test_nothing_is_made_where_keys_are_configured(tmp_path: Path) -> None:
    name = tmp_path / "key.pem"
    name.write_bytes(generate_signing_key("ES256"))
    given = settings(identity={"signing_key_files": [str(name)]})
    made = Made.for_settings(given, os.urandom)
    assert made.signing_keys == {}
    assert str(made.cookie_secret) not in repr(made)


def test_the_first_key_signs_and_all_are_published(tmp_path: Path) -> None:
    names = []
    for number in range(2):
        name = tmp_path / f"{number}.pem"
        name.write_bytes(generate_signing_key("ES256"))
        names.append(str(name))
    signers = configured_signers(settings(identity={"signing_key_files": names}))
    published = [key["kid"] for key in public_jwks(signers)["keys"]]
    assert published == [signer.kid for signer in signers]
    reverse = configured_signers(settings(identity={"signing_key_files": names[::-1]}))
    assert reverse[0].kid == signers[1].kid


def test_one_file_may_hold_several_keys(tmp_path: Path) -> None:
    pems = [generate_signing_key("EdDSA") for _ in range(3)]
    both, third = tmp_path / "both.pem", tmp_path / "third.pem"
    both.write_bytes(b"# newest first\n" + pems[0] + pems[1])
    third.write_bytes(pems[2])
    given = settings(
        identity={"algorithm": "EdDSA", "signing_key_files": [str(both), str(third)]},
    )
    expected = [load_signer(pem, "EdDSA").kid for pem in pems]
    assert [signer.kid for signer in configured_signers(given)] == expected
    made = Made.for_settings(given, os.urandom).with_keys(given)
    both.unlink()
    assert [signer.kid for signer in load_signers(given, made)] == expected


def test_every_unusable_key_file_is_named(tmp_path: Path) -> None:
    missing, garbage, wrong = (tmp_path / name for name in ("missing", "garbage", "rsa"))
    garbage.write_bytes(b"not a key")
    wrong.write_bytes(generate_signing_key("EdDSA"))
    files = [str(missing), str(garbage), str(wrong)]
    with pytest.raises(ConfigError) as refused:
        configured_signers(settings(identity={"signing_key_files": files}))
    assert len(refused.value.problems) == 3
    for index, (problem, name) in enumerate(zip(refused.value.problems, files, strict=True)):
        assert problem.startswith(f"identity.signing_key_files[{index}]: {name}: ")


def test_a_shared_secret_is_not_published() -> None:
    shared = {"algorithm": "HS256", "shared_secret": "s" * 16 + "t" * 16}
    signers = compiled(identity=shared).signers
    assert public_jwks(signers) == {"keys": []}


def test_our_endpoints_are_where_the_settings_say() -> None:
    runtime = compiled(server={"prefix": "/_auth"}, paths={"callback": "/v1/auth/auth"})
    assert runtime.public(runtime.paths.callback) == f"{PUBLIC}/v1/auth/auth"
    assert runtime.paths.start == "/_auth/start"
    assert runtime.routes.endpoint("/v1/auth/auth") is not None
    assert runtime.routes.endpoint("/oauth2/callback") is None


def test_claims_that_rules_and_headers_read_are_kept() -> None:
    rule = {"claims": [{"claim": "roles", "any_of": ["a"]}]}
    route = {"path": "/x", "rule": {"claims": [{"claim": "siret", "equals": "1"}]}}
    runtime = compiled(access=rule, routes=[route], headers={"extra": {"X-Org": "org.name"}})
    assert runtime.kept_claims == {"roles", "siret", "org.name"}
