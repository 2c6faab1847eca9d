"""What goes on after the sign-in: streams, sockets and uploads through the proxy."""

from __future__ import annotations

import hashlib
import re

import pytest
from playwright.async_api import BrowserContext, Page, expect

from tests.browser.providers import EMBEDDED, NPM
from tests.browser.stage import WORD_DELAY, Stage
from tests.browser.watch import Watch

pytestmark = [
    pytest.mark.asyncio(loop_scope="package"),
    pytest.mark.parametrize("place", [EMBEDDED, NPM], indirect=True),
]

WATCH_ANSWER = """() => {
  window.seen = [];
  const talk = document.querySelector("#talk");
  new MutationObserver(() => {
    const text = talk.lastElementChild.textContent;
    if (text !== window.seen.at(-1)?.text) window.seen.push({text, at: performance.now()});
  }).observe(talk, {childList: true, subtree: true, characterData: true});
}"""

CLOSING = """() => new Promise((resolve, reject) => {
  const socket = new WebSocket(`ws://${location.host}/_event`);
  socket.onopen = () => { window.closing = new Promise((closed) => {
    socket.onclose = (event) => closed([event.code, event.reason, event.wasClean]); });
    resolve(); };
  socket.onerror = reject;
})"""

REFUSED = """(url) => new Promise((resolve) => {
  const socket = new WebSocket(url);
  socket.onopen = () => resolve("open");
  socket.onclose = (event) => resolve(event.code);
})"""


async def test_the_chat_arrives_word_by_word(place: Stage, page: Page) -> None:
    await place.sign_in(page, "alice")
    await page.evaluate(WATCH_ANSWER)
    await page.get_by_label("Message").fill("Does it stream?")
    await page.locator("#chat").get_by_role("button").click()
    answer = page.locator("#talk .them").last
    await expect(answer).to_have_text(re.compile(r"^Hello Alice! .*No password ever came to me\.$"))
    seen = [step for step in await page.evaluate("window.seen") if "Hello" in step["text"]]
    words = len((await answer.inner_text()).split())
    assert seen[0]["text"].split()[-1] != "me."
    assert len(seen) > words / 2
    assert seen[-1]["at"] - seen[0]["at"] > words * WORD_DELAY * 1000 / 2


async def test_the_socket_echoes_and_ends_with_the_session_in_another_tab(
    place: Stage, context: BrowserContext, page: Page
) -> None:
    await place.sign_in(page, "alice")
    state = page.locator("#socket-state")
    await expect(state).to_have_text("Connected")
    await page.get_by_label("Text to echo").fill("Grüße 🙂")
    await page.locator("#echo").get_by_role("button").click()
    await expect(page.locator("#echoed")).to_contain_text("“Grüße 🙂” came back in")
    await page.evaluate(CLOSING)

    other = await context.new_page()
    await other.goto(place.url)
    await expect(other.locator("#socket-state")).to_have_text("Connected")
    await place.sign_out(other)
    await expect(state).to_contain_text("Disconnected")
    assert await page.evaluate("window.closing") == [1008, "session ended", True]


async def test_a_socket_needs_a_session_and_our_own_origin(
    place: Stage, context: BrowserContext, page: Page, watch: Watch
) -> None:
    await page.goto(f"{place.url}/ping")
    socket = place.url.replace("http:", "ws:") + "/_event"
    watch.allow("WebSocket connection to")
    assert await page.evaluate(REFUSED, socket) == 1006
    await place.sign_in(page, "alice")
    foreign = await context.new_page()
    await foreign.goto(f"{place.provider.issuer}/jwks")
    # another port is another origin, but the same site: the cookie does go along
    assert await foreign.evaluate(REFUSED, socket) == 1006
    told = [line for line in place.logged("access") if line["path"] == "/_event"]
    refused = [(line["status"], line["reason"]) for line in told if line["status"] >= 400]
    assert refused == [(401, "no_session"), (403, "origin_refused")]


async def test_an_upload_arrives_as_it_was_sent(place: Stage, page: Page) -> None:
    body = bytes(range(256)) * 12_000
    await place.sign_in(page, "bob")
    await page.get_by_label("Choose a file").set_input_files(
        {"name": "some.bin", "mimeType": "application/octet-stream", "buffer": body}
    )
    digest = hashlib.sha256(body).hexdigest()
    await expect(page.locator("#uploaded")).to_have_text(
        f"{len(body):,} bytes arrived, SHA-256 {digest}"
    )


async def test_scripts_of_a_signed_out_person_learn_it_without_a_redirect(
    place: Stage, context: BrowserContext, page: Page, watch: Watch
) -> None:
    watch.expect(401)
    await place.sign_in(page, "alice")
    other = await context.new_page()
    await other.goto(place.url)
    await place.sign_out(other)
    status = await page.evaluate("fetch('/whoami').then((answer) => answer.status)")
    assert status == 401
    await page.get_by_label("Message").fill("Anybody there?")
    await page.locator("#chat").get_by_role("button").click()
    await expect(page.locator("#talk .them").last).to_contain_text("Your session may be over")
