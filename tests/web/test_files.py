"""The files that a configuration names."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from proxy.config.settings import Settings
from proxy.crypto.jwt import generate_signing_key
from proxy.web.files import file_problems
from tests.fakes.authority import Authority


def problems(**sections: object) -> list[str]:
    return file_problems(Settings.model_validate({"public_url": "http://localhost", **sections}))


def test_no_files_no_problems() -> None:
    assert problems() == []


def test_a_good_key_is_no_problem(tmp_path: Path) -> None:
    key = tmp_path / "key.pem"
    key.write_bytes(generate_signing_key("ES256"))
    assert problems(identity={"signing_key_files": [str(key)]}) == []
    (wrong,) = problems(identity={"signing_key_files": [str(key)], "algorithm": "RS256"})
    assert "identity.signing_key_files" in wrong


@pytest.mark.parametrize("there", [True, False], ids=["not PEM", "missing"])
def test_every_file_is_named_at_once(tmp_path: Path, there: bool) -> None:
    junk = tmp_path / "junk.pem"
    if there:
        junk.write_text("junk")
    found = problems(
        identity={"signing_key_files": [str(junk)]},
        provider={"ca_file": str(junk)},
        forwarding={"ca_file": str(junk), "client_certificate_file": str(junk)},
    )
    options = (
        "identity.signing_key_files",
        "provider.ca_file",
        "forwarding.ca_file",
        "forwarding.client_certificate_file",
    )
    assert all(line.startswith(option) for line, option in zip(found, options, strict=True))


def test_the_authorities_of_issuers_are_read() -> None:
    issuer = {"name": "ci", "issuer_url": "https://ci.example.org", "audiences": ["api"]}
    (problem,) = problems(bearer={"issuers": [issuer, {**issuer, "ca_file": "/nowhere/ca.pem"}]})
    assert problem.startswith("bearer.issuers.1.ca_file: /nowhere/ca.pem: No such file")


def test_a_certificate_that_cannot_be_shown_is_named(tmp_path: Path) -> None:
    server = {"tls_listen": ":443", "certificate_file": f"{tmp_path}/tls.pem"}
    (problem,) = problems(server=server)
    assert problem == f"server.certificate_file: {tmp_path}/tls.pem: No such file or directory"
    authority = Authority(tmp_path)
    certificate, key = authority.issue("app.example.org")
    server |= {"certificate_file": str(certificate), "key_file": str(key)}
    assert problems(server=server) == []


def test_the_files_for_redis_are_those_of_a_tls_client(tmp_path: Path) -> None:
    redis = {"url": "rediss://redis", "ca_file": f"{tmp_path}/ca.pem"}
    redis |= {"certificate_file": f"{tmp_path}/tls.pem", "key_file": f"{tmp_path}/tls.key"}
    missing = problems(redis=redis)
    assert [line.split(": ")[0] for line in missing] == ["redis.ca_file", "redis.certificate_file"]
    authority = Authority(tmp_path)
    certificate, key = authority.issue("auth-proxy")
    redis |= {"ca_file": str(authority.file), "certificate_file": str(certificate)}
    (wrong,) = problems(redis=redis)
    assert wrong == f"redis.key_file: {tmp_path}/tls.key: No such file or directory"
    assert problems(redis=redis | {"key_file": str(key)}) == []


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        pytest.param("sessions.db", "", id="a file to be made"),
        pytest.param("there.db", "", id="a file that is there"),
        pytest.param("none/sessions.db", "/none: No such file or directory", id="no directory"),
        pytest.param("there.db/sessions.db", "/there.db: Not a directory", id="below a file"),
        pytest.param("folder", "/folder: is not a regular file", id="a directory"),
        pytest.param("a\0b/sessions.db", "embedded null byte", id="no name of a file"),
    ],
)
def test_the_file_of_sessions_can_be_made(tmp_path: Path, name: str, expected: str) -> None:
    (tmp_path / "there.db").touch()
    (tmp_path / "folder").mkdir()
    found = problems(session={"store": "file", "file": f"{tmp_path}/{name}"})
    assert len(found) == bool(expected)
    assert all(line.startswith("session.file: ") and line.endswith(expected) for line in found)


@pytest.mark.parametrize("closed", ["directory", "file"])
def test_a_file_of_sessions_that_is_not_ours_to_write(
    tmp_path: Path, closed: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Root may write anything: what the system would say of others is stood in for."""
    path = tmp_path / "sessions.db"
    path.touch()
    refused = {"directory": tmp_path, "file": path}[closed]
    monkeypatch.setattr("os.access", lambda name, mode: Path(name) != refused)
    (problem,) = problems(session={"file": str(path)})
    assert problem.startswith(f"session.file: {refused}: ")


@pytest.mark.parametrize("through", ["its path", "a link"])
@pytest.mark.parametrize(
    ("mode", "expected"),
    [
        pytest.param(0o600, "", id="ours alone"),
        pytest.param(0o644, "", id="for all to read"),
        pytest.param(0o660, "", id="our group's to write"),
        pytest.param(0o666, "others may write to it", id="everybody's to write"),
    ],
)
def test_a_file_of_sessions_that_others_may_write(
    tmp_path: Path, through: str, mode: int, expected: str
) -> None:
    """Somebody made it first, with triggers that brought ended sessions back, and we served."""
    made = path = tmp_path / "sessions.db"
    if through == "a link":
        made = tmp_path / "elsewhere.db"
        path.symlink_to(made)
    made.touch()
    made.chmod(mode)
    found = problems(session={"file": str(path)})
    assert found == ([f"session.file: {path}: {expected}"] if expected else [])


def test_a_file_of_sessions_that_is_somebody_elses(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "sessions.db"
    path.touch()
    if os.geteuid() == 0:
        os.chown(path, 1001, -1)
    else:
        monkeypatch.setattr("os.geteuid", lambda: 1001)
    (problem,) = problems(session={"file": str(path)})
    assert problem == f"session.file: {path}: it belongs to somebody else"


@pytest.mark.parametrize(
    ("text", "looked_at", "imported"),
    [
        pytest.param("async def handler(identity, claims): ...", 0, 0, id="good"),
        pytest.param("def handler(identity, claims): ...", 1, 1, id="not async"),
        pytest.param("import nothing_of_that_name", 0, 1, id="does not import"),
    ],
)
def test_a_hook_that_cannot_be_used_is_named(
    tmp_path: Path, text: str, looked_at: int, imported: int
) -> None:
    (tmp_path / "a.py").write_text(text)
    settings = Settings.model_validate(
        {
            "public_url": "http://localhost",
            "hooks": {"post_login": "a:handler", "folder": str(tmp_path)},
        }
    )
    assert len(file_problems(settings)) == looked_at
    found = file_problems(settings, importing=True)
    assert len(found) == imported
    assert all(line.startswith(f"hooks.post_login: {tmp_path}/a.py: ") for line in found)


def test_every_provider_s_files_are_read(tmp_path: Path) -> None:
    key = tmp_path / "key.pem"
    key.write_bytes(generate_signing_key("ES256"))
    entries = [
        {"name": "one", "client_key_file": str(key)},
        {"name": "two", "client_key_file": "/nowhere/key.pem", "ca_file": "/nowhere/ca.pem"},
        {"name": "three", "client_assertion_file": str(key), "tls_certificate_file": str(key)},
    ]
    found = problems(providers=entries)
    options = (
        "providers.1.ca_file: /nowhere/ca.pem: No such file",
        "providers.1.client_key_file: /nowhere/key.pem: No such file",
        f"providers.2.tls_certificate_file: {key}: ",
        f"providers.2.client_assertion_file: {key}: it holds no signed JWT",
    )
    assert all(line.startswith(option) for line, option in zip(found, options, strict=True)), found
    assert problems(providers=entries, auth={"disabled": True}) == []
