"""Takes README's picture: the playground in a real browser, signed in as alice.

Start ``make demo`` first, then run this with the environment of ``make test``:
``.venv/bin/python scripts/picture.py [URL]``. It overwrites docs/images/playground.png.
"""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

from playwright.sync_api import Page, expect, sync_playwright

PICTURE = Path(__file__).resolve().parent.parent / "docs" / "images" / "playground.png"
LARGEST = 200_000
FLAGS = ("--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--font-render-hinting=none")


def main(url: str) -> int:
    """Sign in, chat, photograph; 1 without Chromium or when the file grows too large."""
    chromium = shutil.which("chromium") or shutil.which("chromium-browser")
    if not chromium:
        sys.stderr.write("chromium is missing\n")
        return 1
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=list(FLAGS))
        page = browser.new_page(
            viewport={"width": 1200, "height": 752}, locale="en-US", color_scheme="light"
        )
        page.goto(url)
        sign_in(page)
        talk(page)
        PICTURE.parent.mkdir(exist_ok=True)
        page.screenshot(path=PICTURE, animations="disabled")
        browser.close()
    size = PICTURE.stat().st_size
    sys.stdout.write(f"{PICTURE.name}: {size} bytes\n")
    return 0 if size < LARGEST else 1


def sign_in(page: Page) -> None:
    """One click at the embedded provider; then the playground is there and connected."""
    page.get_by_role("button", name="Alice Martin").click()
    expect(page.get_by_role("heading", name="Alice Martin")).to_be_visible()
    expect(page.locator("#socket-state")).to_have_text("Connected")


def talk(page: Page) -> None:
    """One question each to chat and echo, answered in full."""
    page.locator("#prompt").fill("Who am I to you?")
    page.locator("#chat button").click()
    expect(page.locator("#talk[data-done=yes]")).to_be_visible(timeout=30_000)
    for text in ("Is anybody there?", "Hello"):
        page.locator("#echo-text").fill(text)
        page.locator("#echo button").click()
        expect(page.locator("#echoed")).to_contain_text(f"“{text}” came back")
    page.locator("#echo-text").blur()
    page.evaluate("scrollTo(0, 0)")


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1] if len(sys.argv) > 1 else "http://localhost:4180/"))
