"""What is counted, and that no label says who or where."""

from __future__ import annotations

import re

from proxy.errors import Reason
from proxy.web.metrics import Metrics
from tests.web.place import Place


def value(text: str, name: str) -> float:
    """The sample of that name and labels; 0 when there is none."""
    found = re.search(rf"^{re.escape(name)} (\S+)$", text, re.MULTILINE)
    return float(found[1]) if found else 0.0


def test_answers_are_counted_by_status() -> None:
    metrics = Metrics()
    for status in (200, 200, 418):
        metrics.answered(status, 0.02)
    text = metrics.render().decode()
    assert value(text, 'auth_proxy_requests_total{status="200"}') == 2
    assert value(text, 'auth_proxy_requests_total{status="418"}') == 1
    assert value(text, "auth_proxy_request_seconds_count") == 3


def test_two_proxies_in_a_process_count_for_themselves() -> None:
    one, two = Metrics(), Metrics()
    one.logged_in()
    assert value(two.render().decode(), "auth_proxy_logins_total") == 0


def test_what_is_unforeseen_is_counted_as_other() -> None:
    metrics = Metrics()
    metrics.called("token", "299", 0.1)
    metrics.called("new", "200", 0.1)
    metrics.answered(0, 0.1)
    metrics.answered(999, 0.1)
    text = metrics.render().decode()
    name = "auth_proxy_provider_seconds_count"
    assert value(text, name + '{call="token",outcome="other"}') == 1
    assert value(text, name + '{call="other",outcome="200"}') == 1
    assert value(text, "auth_proxy_request_seconds_count") == 2


def test_gauges_are_asked_when_they_are_shown() -> None:
    metrics, running = Metrics(), [1, 2]
    metrics.watch(lambda: len(running), lambda: 5)
    assert value(metrics.render().decode(), "auth_proxy_requests_running") == 2
    running.clear()
    assert value(metrics.render().decode(), "auth_proxy_requests_running") == 0
    assert value(metrics.render().decode(), "auth_proxy_websockets_open") == 5


async def test_a_day_in_numbers() -> None:
    async with Place(access={"email_domains": ["example.org"]}) as place:
        browser = place.browser()
        await browser.sign_in("/secret-path?x=secret-query")
        await place.browser().sign_in("/", "mallory")
        await place.browser().get("/oauth2/callback?code=secret-code&state=secret-state")
        await browser.post("/oauth2/sign_out")
        text = place.app.parts.metrics.render().decode()
        assert value(text, "auth_proxy_logins_total") == 1
        assert value(text, "auth_proxy_logouts_total") == 1
        for reason in (Reason.EMAIL_NOT_ALLOWED, Reason.ATTEMPT_MISSING):
            assert value(text, f'auth_proxy_refused_total{{reason="{reason}"}}') == 1
        assert value(text, "auth_proxy_requests_running") == 0
        assert value(text, 'auth_proxy_requests_total{status="303"}') == 2
        for word in ("alice", "mallory", "secret", "example.org", "127.0.0.1"):
            assert word not in text
        assert set(re.findall(r"(\w+)=\"", text)) <= {
            *("status", "reason", "call", "outcome", "le"),
            *("implementation", "major", "minor", "patchlevel", "version"),
        }
