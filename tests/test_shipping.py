"""What is shipped: image, compose file and wheel, checked without a container engine.

The files are read as strictly as their own specifications, and the container's very commands
run here: as they stand in the Dockerfile, with its environment, and no tool but the package's.
"""

from __future__ import annotations

import json
import re
import secrets
import shutil
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import yaml
from compose_spec import PyCompose

ROOT = Path(__file__).resolve().parent.parent
BIN = Path(sys.executable).parent
CONFIG_PATH = "/etc/auth-proxy/proxy.cfg"
CONFIGS = sorted((ROOT / "deploy").glob("*.cfg"))
OURS = ("proxy", "proxy-demo", "proxy-proconnect", "app", "idp")
PROXIES = ("proxy", "proxy-demo", "proxy-proconnect")
VARIABLE = re.compile(r"(?<!\$)\$\{([A-Z_]+)(?::?([-?])([^}]*))?\}")

Json = Any


def compose() -> dict[str, Json]:
    parsed = yaml.safe_load((ROOT / "compose.yml").read_text())
    assert isinstance(parsed, dict)
    return parsed


def service(name: str) -> dict[str, Json]:
    found: dict[str, Json] = compose()["services"][name]
    return found


def instructions() -> list[tuple[str, str]]:
    """The Dockerfile's instructions in order, continuation lines joined, comments left out."""
    text = (ROOT / "Dockerfile").read_text()
    lines = [line for line in text.splitlines() if line.strip() and not line.startswith("#")]
    joined = "\n".join(lines).replace("\\\n", " ")
    return [(line.split()[0], line.partition(" ")[2].strip()) for line in joined.splitlines()]


def last(instruction: str) -> str:
    return [value for name, value in instructions() if name == instruction][-1]


def image_environment() -> dict[str, str]:
    return dict(pair.split("=", 1) for pair in last("ENV").split())


def image_command() -> list[str]:
    entrypoint: list[str] = json.loads(last("ENTRYPOINT"))
    command: list[str] = json.loads(last("CMD"))
    return entrypoint + command


def health_command() -> list[str]:
    command: list[str] = json.loads(last("HEALTHCHECK").partition("CMD")[2])
    return command


# --- the Dockerfile ---------------------------------------------------------------------------


def test_the_dockerfile_passes_its_linter() -> None:
    result = subprocess.run(
        [BIN / "hadolint", ROOT / "Dockerfile"], capture_output=True, text=True, check=False
    )
    assert result.returncode == 0, result.stdout


def test_the_image_runs_as_nobody_in_particular() -> None:
    uid, _, gid = last("USER").partition(":")
    assert int(uid) >= 1000
    assert int(gid) >= 1000
    assert service("proxy")["user"] == f"{uid}:{gid}"


def test_the_image_starts_and_is_asked_without_a_shell() -> None:
    assert image_command() == ["auth-proxy", "serve", "--config", CONFIG_PATH]
    assert health_command() == ["auth-proxy", "healthcheck"]
    assert last("STOPSIGNAL") == "SIGTERM"
    after_build = instructions()[[name for name, _ in instructions()].index("FROM", 2) :]
    assert "RUN" not in [name for name, _ in after_build], "the shipped stage runs nothing"


def test_only_what_the_image_needs_is_sent_to_the_builder() -> None:
    lines = (ROOT / ".dockerignore").read_text().splitlines()
    patterns = [line for line in lines if line and not line.startswith("#")]
    assert patterns[0] == "*"
    allowed = {line[1:] for line in patterns if line.startswith("!")}
    copied = {
        word.removeprefix("./")
        for name, value in instructions()
        if name == "COPY" and "--from" not in value
        for word in value.split()[:-1]
    }
    assert copied == allowed


# --- compose.yml ------------------------------------------------------------------------------


def test_compose_is_what_the_specification_allows() -> None:
    text = VARIABLE.sub(lambda match: match[3], json.dumps(compose()))
    services = PyCompose.from_json(text).to_dict()["services"]
    assert set(services) == {*OURS, "redis"}


def test_the_specification_would_notice_a_typing_error() -> None:
    with pytest.raises(ValueError, match="portz"):
        PyCompose.from_json('{"services": {"a": {"image": "x", "portz": ["1:1"]}}}')


def test_only_the_proxy_publishes_a_port_and_the_demo_provider_to_this_machine() -> None:
    published = {name: s["ports"] for name, s in compose()["services"].items() if "ports" in s}
    assert set(published) == {*PROXIES, "idp"}
    assert all(published[name] == ["${PROXY_PORT:-4180}:4180"] for name in PROXIES)
    assert all(port.startswith("127.0.0.1:") for port in published["idp"])


def test_each_profile_holds_one_proxy_and_none_starts_by_itself() -> None:
    profiles = [profile for name in PROXIES for profile in service(name)["profiles"]]
    assert sorted(profiles) == ["demo", "oidc", "proconnect"]


@pytest.mark.parametrize("name", [*OURS, "redis"])
def test_every_service_is_hardened_and_asked_for_its_health(name: str) -> None:
    found = service(name)
    assert found["read_only"] is True
    assert found["cap_drop"] == ["ALL"]
    assert found["security_opt"] == ["no-new-privileges:true"]
    assert found["user"].split(":")[0] != "0"
    assert found["tmpfs"]
    assert found["healthcheck"]["test"][0] in ("CMD", "CMD-SHELL")
    assert found["restart"] == "unless-stopped"


@pytest.mark.parametrize("name", PROXIES)
def test_the_proxy_waits_for_health_and_stops_without_haste(name: str) -> None:
    found = service(name)
    assert found["healthcheck"]["test"] == ["CMD", *health_command()]
    assert found["depends_on"]["app"]["condition"] == "service_healthy"
    assert found["depends_on"]["redis"] == {"condition": "service_healthy", "required": False}
    assert int(found["stop_grace_period"].removesuffix("s")) > 30, "longer than the drain"
    (volume,) = found["volumes"]
    source, target, mode = volume.split(":")
    assert (ROOT / source).is_file()
    assert (target, mode) == (CONFIG_PATH, "ro")


def test_the_app_is_out_of_reach_but_through_the_proxy() -> None:
    assert compose()["networks"]["back"] == {"internal": True}
    assert service("app")["networks"] == ["back"]
    assert service("redis")["networks"] == ["back"]
    assert all(set(service(name)["networks"]) == {"front", "back"} for name in PROXIES)


def documented() -> dict[str, str]:
    lines = (ROOT / ".env.example").read_text().splitlines()
    pairs = [line.split("=", 1) for line in lines if line and not line.startswith("#")]
    return dict(pairs)


def test_every_variable_is_in_the_example_and_every_example_is_used() -> None:
    used = {match[1] for match in VARIABLE.finditer((ROOT / "compose.yml").read_text())}
    assert used == set(documented())


def test_defaults_are_those_of_the_example_and_secrets_have_none() -> None:
    for match in VARIABLE.finditer((ROOT / "compose.yml").read_text()):
        name, kind, default = match[1], match[2], match[3]
        if "PASSWORD" in name or name == "COOKIE_SECRET":
            assert (kind, documented()[name]) == ("?", ""), match[0]
        else:
            assert (kind, default) == ("-", documented()[name]), match[0]


def test_new_env_fills_in_fresh_secrets_and_never_overwrites(tmp_path: Path) -> None:
    (tmp_path / "scripts").mkdir()
    shutil.copy(ROOT / "scripts/new-env", tmp_path / "scripts/new-env")
    shutil.copy(ROOT / ".env.example", tmp_path)
    subprocess.run([tmp_path / "scripts/new-env"], check=True, capture_output=True)
    written = (tmp_path / ".env").read_text()
    for name in ("COOKIE_SECRET", "DEMO_CLIENT_SECRET", "REDIS_PASSWORD"):
        assert re.search(rf"^{name}=[\w-]{{43}}$", written, re.MULTILINE), name
    assert (tmp_path / ".env").stat().st_mode & 0o077 == 0
    subprocess.run([tmp_path / "scripts/new-env"], check=True, capture_output=True)
    assert (tmp_path / ".env").read_text() == written


# --- the container's commands, outside a container --------------------------------------------


def container_environment(name: str, changes: Mapping[str, str]) -> dict[str, str]:
    """What the service's process would see: the image's environment, then the service's."""
    values = {**documented(), "COOKIE_SECRET": secrets.token_urlsafe(32), **changes}
    asked = {
        key: VARIABLE.sub(lambda match: values[match[1]], value)
        for key, value in service(name)["environment"].items()
    }
    return {**image_environment(), **asked, "PATH": str(BIN)}


@pytest.mark.parametrize("config", CONFIGS, ids=lambda path: path.name)
def test_each_configuration_is_valid_with_its_variables(config: Path) -> None:
    name = next(n for n in PROXIES if config.name in service(n)["volumes"][0])
    changes = {"ISSUER_URL": "https://id.example.org"}
    changes |= {
        key: f"{secrets.token_hex(8)}" for key in documented() if key.endswith(("_ID", "_SECRET"))
    }
    changes["COOKIE_SECRET"] = secrets.token_urlsafe(32)
    result = subprocess.run(
        [BIN / "auth-proxy", "check", "--config", config],
        env=container_environment(name, changes),
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 0, result.stderr


def test_one_line_keeps_the_sessions_in_the_redis_beside_it() -> None:
    text = (ROOT / "compose.yml").read_text()
    pairs = re.findall(r"\b(AUTH_PROXY_[A-Z_]+)=(\S+)", text)
    assert dict(pairs) == {
        "AUTH_PROXY_SESSION_STORE": "redis",
        "AUTH_PROXY_REDIS_URL": "redis://redis:6379/0",
    }
    password = secrets.token_urlsafe(32)
    name = "proxy-demo"
    changes = {**dict(pairs), "REDIS_PASSWORD": password, "DEMO_CLIENT_SECRET": password[::-1]}
    assert service("redis")["expose"] == ["6379"]
    environment = container_environment(name, changes)
    assert environment["AUTH_PROXY_REDIS_PASSWORD"] == password
    command: list[str | Path] = [BIN / "auth-proxy", "check"]
    command += ["--config", ROOT / "deploy/proxy.demo.cfg"]
    result = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
    without = {k: v for k, v in environment.items() if k != "AUTH_PROXY_REDIS_URL"}
    result = subprocess.run(command, env=without, capture_output=True, text=True, check=False)
    assert "session.store: redis needs redis.url" in result.stderr


def test_an_empty_variable_is_named_and_nothing_starts() -> None:
    result = subprocess.run(
        [BIN / "auth-proxy", "serve", "--config", ROOT / "deploy/proxy.oidc.cfg"],
        env=container_environment("proxy", {}),
        capture_output=True,
        text=True,
        check=False,
        timeout=20,
    )
    assert result.returncode != 0
    assert {"ISSUER_URL", "CLIENT_ID"} <= set(re.findall(r"\w+", result.stderr))


def status_of(url: str) -> int:
    """The status, or 0 while nobody answers."""
    try:
        with urllib.request.urlopen(url, timeout=2) as response:  # noqa: S310
            return int(response.status)
    except urllib.error.HTTPError as error:
        error.close()
        return error.code
    except OSError:
        return 0


@contextmanager
def running(
    command: list[str], env: Mapping[str, str], ready: str
) -> Iterator[subprocess.Popen[bytes]]:
    """``command`` in an empty read-only place, until ``ready`` answers; killed at the end."""
    process = subprocess.Popen(
        command, env=env, cwd="/", stdin=subprocess.DEVNULL, stderr=subprocess.PIPE
    )
    try:
        deadline = time.monotonic() + 20
        while status_of(ready) == 0 and process.poll() is None and time.monotonic() < deadline:
            time.sleep(0.05)
        yield process
    finally:
        process.kill()
        process.communicate()


CONFIG = """
public_url: http://localhost:{port}
upstream: http://127.0.0.1:1
provider:
  issuer_url: http://127.0.0.1:1
  client_id: app
  client_secret: {secret}
cookie:
  secret: {secret}
server:
  private_listen: ""
"""


def test_the_containers_commands_serve_answer_and_stop(tmp_path: Path, free_port: int) -> None:
    config = tmp_path / "proxy.cfg"
    config.write_text(CONFIG.format(port=free_port, secret=secrets.token_urlsafe(32)))
    env = {
        **image_environment(),
        "PATH": str(BIN),
        "AUTH_PROXY_CONFIG": str(config),
        "AUTH_PROXY_SERVER_LISTEN": f"127.0.0.1:{free_port}",
    }
    command = [str(config) if word == CONFIG_PATH else word for word in image_command()]
    command[0] = str(BIN / command[0])
    health = [str(BIN / health_command()[0]), *health_command()[1:]]

    unwell = subprocess.run(health, env=env, capture_output=True, check=False, timeout=20)
    assert unwell.returncode == 1, "nobody listens yet"
    with running(command, env, f"http://localhost:{free_port}/ping") as process:
        well = subprocess.run(health, env=env, capture_output=True, check=False, timeout=20)
        assert well.returncode == 0, well.stderr
        assert status_of(f"http://localhost:{free_port}/ping") == 200
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=10) == 0


@pytest.mark.parametrize("name", ["app", "idp"])
def test_the_demos_own_commands_serve_and_are_healthy(name: str, free_port: int) -> None:
    port = service(name)["expose"][0] if name == "app" else "4455"
    values = documented()

    def local(words: list[str]) -> list[str]:
        filled = [VARIABLE.sub(lambda match: values[match[1]], word) for word in words]
        return [
            word.replace(f"0.0.0.0:{port}", f"127.0.0.1:{free_port}").replace(
                f"127.0.0.1:{port}", f"127.0.0.1:{free_port}"
            )
            for word in filled
        ]

    env = {**image_environment(), "PATH": str(BIN), "DEMO_CLIENT_SECRET": secrets.token_hex(16)}
    command = [str(BIN / "auth-proxy"), *local(service(name)["command"])]
    health = local(service(name)["healthcheck"]["test"])[1:]
    health[0] = str(BIN / health[0])
    with running(command, env, health[-1]) as process:
        well = subprocess.run(health, env=env, capture_output=True, check=False, timeout=20)
        assert well.returncode == 0, well.stderr
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=10) == 0


# --- the wheel --------------------------------------------------------------------------------


def test_the_wheel_holds_every_file_of_the_package(tmp_path: Path) -> None:
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)],
        cwd=ROOT,
        check=True,
        capture_output=True,
    )
    (wheel,) = tmp_path.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        packed = {name for name in archive.namelist() if name.startswith("proxy/")}
    sources = {
        path.relative_to(ROOT).as_posix()
        for path in (ROOT / "proxy").rglob("*")
        if path.is_file() and path.suffix != ".pyc"
    }
    assert packed == sources
    assert any(name.endswith(".css") for name in packed)
