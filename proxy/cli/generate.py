"""``auth-proxy generate``: write the files that are made from the declaration (for developers)."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from proxy.cli.arguments import Commands, Parser
from proxy.config.render import example, json_schema, options_page


def generated() -> dict[str, str]:
    """The generated files: path below the repository's root → text."""
    return {
        "proxy.cfg.example": example(),
        "docs/options.md": options_page(),
        "docs/proxy.schema.json": json_schema(),
    }


def add(commands: Commands) -> None:
    """Declare the command; without help it is not listed, as operators do not need it."""
    parser: Parser = commands.add_parser("generate", description=__doc__, allow_abbrev=False)
    parser.add_argument("--check", action="store_true", help="write nothing, exit 1 if one differs")
    parser.add_argument("--root", type=Path, default=Path(), help="the repository (%(default)s)")
    parser.set_defaults(run=run)


def run(parsed: argparse.Namespace) -> int:
    """Write the files, or say which of them are not up to date."""
    stale = 0
    for name, text in generated().items():
        path: Path = parsed.root / name
        if path.is_file() and path.read_text(encoding="utf-8") == text:
            continue
        if parsed.check:
            print(f"{name}: not up to date; run: auth-proxy generate", file=sys.stderr)
            stale = 1
        else:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
            print(f"wrote {name}")
    return stale
