"""What a browser complains about, and what a page owes to people who cannot see it."""

from __future__ import annotations

from playwright.async_api import ConsoleMessage, Page

_ACCESSIBLE = """() => {
  const problems = [];
  const all = (css) => [...document.querySelectorAll(css)];
  const words = (id) => document.getElementById(id)?.textContent.trim();
  const name = (node) =>
    (node.getAttribute("aria-labelledby") || "").split(" ").map(words).join(" ").trim()
    || (node.getAttribute("aria-label") || "").trim()
    || [...(node.labels || [])].map((label) => label.textContent.trim()).join(" ")
    || (node.textContent || "").trim();
  const say = (what, nodes) => nodes.forEach((node) => problems.push(`${what}: ${node.outerHTML}`));
  if (!document.documentElement.lang) problems.push("no lang");
  if (!document.title.trim()) problems.push("no title");
  if (all("h1").length !== 1) problems.push(`${all("h1").length} h1`);
  if (all("main").length !== 1) problems.push(`${all("main").length} main`);
  if (!document.querySelector("meta[name=viewport]")) problems.push("no viewport");
  say("no name", all("button, a[href], input:not([type=hidden]), select, textarea, [role=region]")
    .filter((node) => !name(node)));
  say("no alt", all("img:not([alt])"));
  say("positive tabindex", all("[tabindex]").filter((node) => node.tabIndex > 0));
  const ids = all("[id]").map((node) => node.id);
  say("id twice", all("[id]").filter((node, i) => ids.indexOf(node.id) !== i));
  const levels = all("h1, h2, h3, h4").map((node) => Number(node.tagName[1]));
  levels.forEach((level, i) => {
    if (level > (i ? levels[i - 1] + 1 : 1)) problems.push(`heading ${level} skips a level`);
  });
  const box = document.scrollingElement;
  if (box.scrollWidth > box.clientWidth) problems.push(`${box.scrollWidth} px wide`);
  return problems;
}"""


async def accessibility_problems(page: Page) -> list[str]:
    """Faults of the shown page: names, landmarks, headings, and scrolling sideways."""
    found: list[str] = await page.evaluate(_ACCESSIBLE)
    return found


class Watch:
    """Collects what the console says about pages below ``origin``.

    Chromium logs every answer of 400 and above as an error, so a test says which it ``expect``s.
    It asks for /favicon.ico below documents that cannot name an icon: the playground has none.
    """

    def __init__(self, origin: str) -> None:
        self._origins: tuple[str, ...] = (origin,)
        self._expected: tuple[str, ...] = ()
        self.complaints: list[str] = []

    def expect(self, *statuses: int) -> None:
        """These answers are provoked on purpose."""
        self.allow(*(f"responded with a status of {status} " for status in statuses))

    def allow(self, *words: str) -> None:
        """A complaint with one of these words in it is provoked on purpose."""
        self._expected += words

    def also(self, origin: str) -> None:
        """Pages below this origin are ours as well."""
        self._origins += (origin,)

    def over(self, page: Page) -> None:
        """Begin to watch a tab."""
        page.on("console", self._said)
        page.on("pageerror", lambda error: self._note(page.url, f"uncaught: {error}"))

    def _said(self, message: ConsoleMessage) -> None:
        if message.type in ("error", "warning"):
            where = str(message.location.get("url", ""))
            self._note(where or (message.page.url if message.page else ""), message.text)

    def _note(self, where: str, text: str) -> None:
        ours = where.startswith(self._origins) and not where.endswith("/favicon.ico")
        if ours and not any(words in text for words in self._expected):
            self.complaints.append(f"{where}: {text}")
