"""Nobody becomes somebody by naming himself (RFC 9700 section 4.13)."""

from __future__ import annotations

import pytest

from tests.hazards.stage import LANES, Lane, Stage, asking, fields

NAMES = [
    b"X-Forwarded-User", b"X-Forwarded-Email", b"X-Forwarded-Groups", b"X-Forwarded-Identity",
    b"X-Forwarded-Preferred-Username", b"X-Forwarded-Access-Token", b"X-Forwarded-For",
    b"X-Forwarded-Proto", b"X-Forwarded-Host", b"X-Forwarded-Port", b"X-Forwarded-Prefix",
    b"X-Forwarded-Uri", b"X-Forwarded-Method", b"X-Forwarded-Client-Cert", b"X-Forwarded",
    b"Forwarded", b"X-Auth-Request-User", b"X-Auth-Request-Email", b"X-Auth-Request-Groups",
    b"X-Auth-Request-Access-Token", b"X-Real-IP", b"X-Client-IP", b"True-Client-IP",
    b"X-Cluster-Client-IP", b"X-Original-URL", b"X-Original-URI", b"X-Original-Host",
    b"X-Rewrite-URL", b"X-HTTP-Method-Override", b"X-HTTP-Method", b"X-Method-Override",
    b"X-Request-Id", b"Remote-User", b"X-Remote-User", b"Proxy", b"GAP-Auth", b"GAP-Signature",
    b"X-Siret",
]  # fmt: skip
SPOOF = b"root-spoof"


def spellings(name: bytes) -> dict[str, bytes]:
    """What some reader or other takes for ``name``."""
    return {
        "as it is": name,
        "small": name.lower(),
        "large": name.upper(),
        "underscores": name.replace(b"-", b"_"),
        "one underscore": name.replace(b"-", b"_", 1),
        "dots": name.replace(b"-", b"."),
        "large with underscores": name.upper().replace(b"-", b"_"),
    }


@LANES
@pytest.mark.parametrize("who", ["nobody", "somebody"])
@pytest.mark.parametrize("underscores", [False, True], ids=["strict", "underscores allowed"])
async def test_our_names_come_from_us_alone(
    lane: Lane, who: str, underscores: bool, subtests: pytest.Subtests
) -> None:
    settings = {"extra": {"X-Siret": "siret"}, "allow_underscores": underscores}
    async with Stage(lane, headers=settings) as stage:
        cookie = await stage.sign_in() if who == "somebody" else b""
        target = b"/app" if cookie else b"/open/x"
        await stage.warm(asking(target, cookie))
        for name in NAMES:
            with subtests.test(name.decode()):
                wrong = b"".join(
                    b"%b: %b\r\n" % (one, SPOOF)
                    for one in spellings(name).values()
                    if one.lower() != b"proxy" or name == b"Proxy"
                )
                seen = await stage.check_passes(asking(target, cookie + wrong + b"X-Good: v\r\n"))
                assert SPOOF not in seen
                assert (b"X-Good", b"v") in fields(seen)


@LANES
async def test_a_person_is_named_once_whatever_was_sent(lane: Lane) -> None:
    async with Stage(lane) as stage:
        cookie = await stage.sign_in()
        await stage.warm(asking(b"/app", cookie))
        wrong = b"X-Forwarded-User: root\r\nx-forwarded-user: root\r\n" * 3
        seen = await stage.check_passes(asking(b"/app", wrong + cookie + wrong))
        users = [v for n, v in fields(seen) if n.lower() == b"x-forwarded-user"]
        assert users == [b"alice-5f0c3b1e"]


@LANES
async def test_our_cookies_go_no_further_and_others_do(lane: Lane) -> None:
    async with Stage(lane) as stage:
        cookie = (await stage.sign_in()).removesuffix(b"\r\n")
        rows = {
            cookie: None,
            cookie + b"; a=b": b"a=b",
            cookie.replace(b": ", b": a=b; ") + b";c=d": b"a=b; c=d",
            b"Cookie: a=b; =__Host-auth_proxy=x; __Host-auth_proxy_login_x=y; c=d": b"a=b; c=d",
        }
        for line, left in rows.items():
            lines = line + b"\r\n"
            target = b"/app" if cookie.partition(b"=")[2] in line else b"/open/x"
            seen = await stage.check_passes(asking(target, lines))
            found = [v for n, v in fields(seen) if n.lower() == b"cookie"]
            assert (
                found == ([] if left is None else [left]) or found[0].replace(b";c", b"; c") == left
            )
