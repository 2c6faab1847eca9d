"""``auth-proxy login``: sign this terminal in, with a browser anywhere (RFC 8628)."""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from proxy.cli.arguments import Commands, Parser
from proxy.cli.origin import Failure, is_this_machine, origin_of, plain, prefix_of
from proxy.cli.remote import Refused, Remote, Unreachable
from proxy.cli.renewal import granted
from proxy.cli.stored import Drawer, Stored, drawer
from proxy.cli.terminal import add_address, choose, ending, has_person, open_browser, say

_GRANT = "urn:ietf:params:oauth:grant-type:device_code"
_SLOWER = 5.0
_SHORTEST = 0.1
_SLOWEST = 60.0
_LONGEST = 3600.0


def add(commands: Commands) -> None:
    """Declare the command."""
    text = "sign this terminal in at a proxy, with your browser"
    parser: Parser = commands.add_parser("login", help=text, description=text, allow_abbrev=False)
    add_address(parser)
    parser.add_argument(
        "--prefix", default="/oauth2", help="the proxy's server.prefix (%(default)s)"
    )
    parser.add_argument("--group", metavar="G", default="", help="the one of your groups to act in")
    parser.add_argument("--no-browser", action="store_true", help="only print the address")
    parser.set_defaults(run=ending("login", run))


def run(parsed: argparse.Namespace) -> int:
    """Sign in, and keep what is given. Raises Failure."""
    origin, prefix = origin_of(parsed.url), prefix_of(parsed.prefix)
    ca_file = os.path.abspath(parsed.ca_file) if parsed.ca_file else ""
    kept, remote = drawer(), Remote(origin, prefix, ca_file)
    kept.get(origin)  # what cannot be read is said before anybody signs in
    asked = remote.post("authorize", client_id="auth-proxy")
    waiting = Waiting(remote, asked, parsed.group, time.time, time.sleep)
    waiting.invite(opens=not parsed.no_browser and has_person())
    answer = waiting.answer()
    new = granted(answer, time.time(), Stored("", "", 0.0, prefix, ca_file))
    _keep(kept, remote, new)
    until = time.strftime("%Y-%m-%d %H:%M", time.localtime(new.expires_at))
    renewed = ", and is renewed when it is used" if new.refresh_token else ""
    say(f"Signed in at {origin}. The token is good until {until}{renewed}.")
    return 0


def _keep(kept: Drawer, remote: Remote, new: Stored) -> None:
    with kept.alone_with(remote.origin):
        old = kept.get(remote.origin)
        kept.put(remote.origin, new)
    if old is not None:
        remote.revoke(old.refresh_token, old.token)


@dataclass(slots=True)
class Waiting:
    """A sign-in that a person has yet to confirm; ``asked`` is what authorize answered."""

    remote: Remote
    asked: Mapping[str, Any]
    group: str
    clock: Callable[[], float]
    sleep: Callable[[float], None]

    def invite(self, *, opens: bool) -> None:
        """Say where to go and what to type there. Raises Failure."""
        address = _address(self._text("verification_uri"))
        code = plain(self._text("user_code"))
        say(f"Open   {address}\nand type   {code}")
        if opens and open_browser(address):  # without the code: only who reads it here has it
            say("(your browser should have opened it)")

    def answer(self) -> dict[str, Any]:
        """The tokens, once they have confirmed. Raises Failure."""
        pause = max(_seconds(self.asked.get("interval"), 5.0, _SLOWEST), _SHORTEST)
        end = self.clock() + _seconds(self.asked.get("expires_in"), 600.0, _LONGEST)
        while True:
            self.sleep(pause)
            if self.clock() >= end:
                raise _late(self.remote)
            try:
                return self._ask()
            except Refused as exc:
                pause = self._pause_after(exc, pause)
            except Unreachable as exc:
                pause = min(max(exc.wait, pause * 2), _SLOWEST)

    def _ask(self) -> dict[str, Any]:
        form = {"grant_type": _GRANT, "device_code": self._text("device_code")}
        if self.group:
            form["team_id"] = self.group
        return self.remote.post("token", **form)

    def _pause_after(self, refused: Refused, pause: float) -> float:
        error, origin = refused.error, self.remote.origin
        if error == "authorization_pending":
            return pause
        if error == "slow_down":
            told = _seconds(refused.more.get("interval"), 0.0, _SLOWEST)
            return min(max(pause + _SLOWER, told), _SLOWEST)
        if error == "team_selection_required":
            self.group = self._chosen(refused.more.get("teams"))
            return pause
        if error == "team_not_allowed":
            raise Failure(f"{plain(self.group)} is none of your groups at {origin}") from None
        if error == "access_denied":
            raise Failure(f"{origin}: the sign-in was denied in the browser") from None
        if error == "expired_token":
            raise _late(self.remote) from None
        raise refused

    def _chosen(self, groups: object) -> str:
        names = [one for one in groups if isinstance(one, str)] if isinstance(groups, list) else []
        if not names or self.group:
            raise Failure(f"{self.remote.origin} asked for a group, and named none to choose")
        if not has_person():
            shown = ", ".join(map(plain, names))
            raise Failure(f"you are in several groups: say --group with one of {shown}")
        say("You are in several groups:")
        return choose(names)

    def _text(self, name: str) -> str:
        found = self.asked.get(name)
        if not isinstance(found, str) or not found:
            raise Failure(f"{self.remote.origin} did not answer as RFC 8628 says: no {name}")
        return found


def _late(remote: Remote) -> Failure:
    return Failure(f"nobody confirmed it in time; run again: auth-proxy login {remote.origin}")


def _seconds(value: object, default: float, most: float) -> float:
    # A comparison, since JSON has numbers that are none, and some too large for a float.
    if not isinstance(value, int | float) or not value >= 0:
        return default
    return float(min(value, most))


def _address(url: str) -> str:
    """An address for a browser. Raises Failure for anything else."""
    try:
        parts = urlsplit(url)
        host = parts.hostname or ""
    except ValueError:
        host = ""
    is_plain = url.isascii() and " " not in url and plain(url) == url
    if host and is_plain and (parts.scheme == "https" or _is_of_this_machine(parts.scheme, host)):
        return url
    raise Failure("the proxy named an address that is none for a browser")


def _is_of_this_machine(scheme: str, host: str) -> bool:
    return scheme == "http" and is_this_machine(host)
