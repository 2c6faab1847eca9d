"""The compose file's demo profile, outside containers: three processes, and one person signs in.

Here as there, the provider has two addresses: the issuer, which the browser sees, and another by
which the proxy makes its own calls.
"""

from __future__ import annotations

import secrets
import sys
from contextlib import ExitStack
from pathlib import Path
from urllib.parse import urljoin

from tests.providers.node import browser_session, read_form
from tests.test_shipping import ROOT, image_environment, running

AUTH_PROXY = str(Path(sys.executable).with_name("auth-proxy"))


def demo_config(folder: Path, idp_port: int) -> Path:
    """deploy/proxy.demo.cfg with the container's name for the provider made into an address."""
    text = (ROOT / "deploy/proxy.demo.cfg").read_text()
    assert text.count("http://idp:4455/") == 4
    path = folder / "proxy.cfg"
    path.write_text(text.replace("http://idp:4455/", f"http://127.0.0.1:{idp_port}/"))
    return path


async def test_the_demo_profile_signs_alice_in(tmp_path: Path, free_ports: list[int]) -> None:
    proxy_port, private_port, app_port, idp_port = free_ports
    public, issuer = f"http://localhost:{proxy_port}", f"http://localhost:{idp_port}"
    env = {
        **image_environment(),
        "AUTH_PROXY_CONFIG": str(demo_config(tmp_path, idp_port)),
        "AUTH_PROXY_SERVER_LISTEN": f"127.0.0.1:{proxy_port}",
        "AUTH_PROXY_SERVER_PRIVATE_LISTEN": f"127.0.0.1:{private_port}",
        "PUBLIC_URL": public,
        "UPSTREAM": f"http://127.0.0.1:{app_port}",
        "EMAIL_DOMAINS": "example.org",
        "COOKIE_SECRET": secrets.token_urlsafe(32),
        "DEMO_PROVIDER_PORT": str(idp_port),
        "DEMO_CLIENT_SECRET": secrets.token_urlsafe(32),
    }
    jwks = f"http://127.0.0.1:{private_port}/oauth2/.well-known/jwks.json"
    commands = {
        f"{issuer}/.well-known/openid-configuration": [
            "provider",
            f"--listen=127.0.0.1:{idp_port}",
            f"--issuer={issuer}",
            f"--public-url={public}",
        ],
        f"http://127.0.0.1:{app_port}/ping": [
            "playground",
            f"--listen=127.0.0.1:{app_port}",
            f"--jwks-url={jwks}",
            f"--issuer={public}",
        ],
    }
    with ExitStack() as stack:
        for ready, words in commands.items():
            stack.enter_context(running([AUTH_PROXY, "demo", *words], env, ready))
        stack.enter_context(running([AUTH_PROXY, "serve"], env, f"{public}/ping"))
        html = await sign_in(public)
    assert "alice@example.org" in html, html


async def sign_in(public: str) -> str:
    """The page behind the proxy after the provider's form; every hop is a real request."""
    headers = {"Accept": "text/html", "Sec-Fetch-Mode": "navigate"}
    async with browser_session() as http:
        async with http.get(f"{public}/", headers=headers) as response:
            form = read_form(await response.text())
            action = urljoin(str(response.url), form.action)
        answer = {**form.fields, "user": "alice"}
        async with http.post(action, data=answer, headers=headers) as response:
            assert str(response.url) == f"{public}/"
            assert response.status == 200
            return await response.text()
