"""A User-Agent → what a person would call their browser."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

# In this order: most say that they are Safari too, and many that they are Chrome.
_BROWSERS: Final = (
    (r"\bEdg(?:e|A|iOS)?/", "Edge"),
    (r"\bOPR/|\bOPT/|\bOpera\b", "Opera"),
    (r"\bVivaldi/", "Vivaldi"),
    (r"\bSamsungBrowser/", "Samsung Internet"),
    (r"\b(?:Ddg|DuckDuckGo)/", "DuckDuckGo"),
    (r"\b(?:Firefox|FxiOS)/", "Firefox"),
    (r"\bChromium/", "Chromium"),
    (r"\b(?:Headless)?Chrome/|\bCriOS/", "Chrome"),
    (r"\bTrident/|\bMSIE ", "Internet Explorer"),
    (r"\bVersion/[\d.]+ .*\bSafari/", "Safari"),
)
_SYSTEMS: Final = (
    (r"\biPhone\b", "iPhone"),
    (r"\biPad\b", "iPad"),
    (r"\bAndroid\b", "Android"),
    (r"\bCrOS\b", "ChromeOS"),
    (r"\bWindows\b", "Windows"),
    (r"\bMac OS X\b|\bMacintosh\b", "macOS"),
    (r"\bLinux\b|\bX11\b", "Linux"),
)
_PROGRAM: Final = r"(?!Mozilla\b)([A-Za-z][A-Za-z0-9._-]{0,29})(?=[/ ]|$)"
_LONGEST: Final = 500


@dataclass(frozen=True, slots=True)
class Browser:
    """The names of a browser and of the system it runs on; empty where they are not known."""

    name: str
    system: str

    def __str__(self) -> str:
        return f"{self.name} on {self.system}" if self.name and self.system else self.name


def read_browser(user_agent: str) -> Browser:
    """Names that we know, or the first product of a program's: nothing else that it says."""
    text = user_agent[:_LONGEST]
    name = next((name for known, name in _BROWSERS if re.search(known, text)), "")
    system = next((name for known, name in _SYSTEMS if re.search(known, text)), "")
    program = None if name else re.match(_PROGRAM, text)
    return Browser(program[1] if program else name, system)
