"""Every configuration in the documentation is one that the proxy accepts."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

from proxy.config.load import Sources, load
from proxy.config.settings import Settings
from tests.docs.pages import HAND_WRITTEN, ROOT, blocks

WHOLE, PART = "# proxy.cfg\n", "# in proxy.cfg\n"
OURS = [
    pytest.param(text, id=f"{page.name}-{number}")
    for page in HAND_WRITTEN
    for number, (_, text) in enumerate(blocks(page, "yaml"), start=1)
    if text.startswith((WHOLE, PART))
]
NGINX = [text for page in HAND_WRITTEN for mark, text in blocks(page, "nginx") if mark == "nginx"]
ENVIRONMENT = {
    "OIDC_CLIENT_ID": "client",
    "OIDC_CLIENT_SECRET": "0dcb2d1e58a84d3b",
    "PROCONNECT_DOMAIN": "id.example.org",
    "PROCONNECT_CLIENT_ID": "client",
    "PROCONNECT_CLIENT_SECRET": "0dcb2d1e58a84d3b",
    "COOKIE_SECRET": "ERSXpVkkpYWY3mgcqHvqyL4o0yNRmBD9xzAfZm2sJ1Y",
}


def no_files(path: str) -> str:
    raise OSError(f"{path}: no documentation needs a file to be read")


def read(text: str) -> Settings:
    return load(Sources("proxy.cfg", text, ENVIRONMENT, {}), no_files)


def completed(part: str) -> str:
    """A part of a configuration laid over the minimal one of the README."""
    [minimal] = [t for _, t in blocks(ROOT / "README.md", "yaml") if t.startswith(WHOLE)]
    tree = yaml.safe_load(minimal)
    for section, options in yaml.safe_load(part).items():
        if isinstance(options, dict):
            tree[section] = {**tree.get(section, {}), **options}
        else:
            tree[section] = options
    return yaml.safe_dump(tree)


@pytest.mark.parametrize("text", OURS)
def test_a_configuration_of_the_documentation_is_accepted(text: str) -> None:
    read(text if text.startswith(WHOLE) else completed(text))


def test_every_yaml_block_says_whose_it_is() -> None:
    others = [
        text.splitlines()[0]
        for page in HAND_WRITTEN
        for _, text in blocks(page, "yaml")
        if not text.startswith((WHOLE, PART))
    ]
    assert others == ["general_settings:"], "begin it with '# proxy.cfg' or '# in proxy.cfg'"


def test_the_minimal_configuration_is_minimal() -> None:
    [minimal] = [t for _, t in blocks(ROOT / "README.md", "yaml") if t.startswith(WHOLE)]
    settings = read(minimal)
    given = {f"{s}.{o}" if isinstance(v, dict) else s
             for s, v in yaml.safe_load(minimal).items()
             for o in (v if isinstance(v, dict) else [""])}  # fmt: skip
    assert given == {
        *("public_url", "upstream", "provider.issuer_url", "provider.client_id"),
        *("provider.client_secret", "cookie.secret", "access.email_domains"),
    }
    assert settings.access.email_domains == ("example.org",)


def test_the_urls_of_the_lamini_page_are_those_that_we_print() -> None:
    from proxy.config.paths import endpoint_paths

    [text] = [t for _, t in blocks(ROOT / "docs" / "integrations.md", "yaml") if "lamini-" in t]
    settings = read(text)
    paths = endpoint_paths(settings)
    page = (ROOT / "docs" / "integrations.md").read_text(encoding="utf-8")
    assert f"`{settings.public_url}{paths.callback}`" in page
    assert f"`{settings.public_url}{paths.signed_out}`" in page


@pytest.mark.parametrize("text", [pytest.param(t, id=str(n)) for n, t in enumerate(NGINX)])
def test_nginx_accepts_its_configuration(text: str, tmp_path: Path) -> None:
    nginx = shutil.which("nginx", path="/usr/sbin:/usr/bin:/sbin:/bin:/usr/local/sbin")
    openssl = shutil.which("openssl")
    if nginx is None or openssl is None:
        pytest.skip("nginx or openssl is not installed: nginx did not read its configuration")
    key, certificate = tmp_path / "key", tmp_path / "pem"
    subprocess.run(
        [openssl, "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
         "-subj", "/CN=app.example.org", "-keyout", str(key), "-out", str(certificate)],
        check=True, capture_output=True,
    )  # fmt: skip
    text = text.replace("/etc/ssl/app.example.org.pem", str(certificate))
    text = text.replace("/etc/ssl/app.example.org.key", str(key))
    whole = tmp_path / "nginx.conf"
    whole.write_text(f"pid {tmp_path}/pid; error_log stderr; events {{}} http {{ {text} }}")
    done = subprocess.run([nginx, "-t", "-c", str(whole)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
