"""What the playground's chat says: a tiny text, always the same for the same person and words."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from proxy.model import Json

LONGEST_PROMPT = 2000


def words_of_answer(prompt: str, claims: Mapping[str, Json]) -> Iterator[str]:
    """The answer to ``prompt``, word by word; no word holds white space."""
    said = " ".join(prompt[:LONGEST_PROMPT].split())
    yield from _text(said, claims).split()


def _text(said: str, claims: Mapping[str, Json]) -> str:
    name = str(claims.get("given_name") or claims.get("name") or claims["sub"]).split()[:1]
    hello = f"Hello {' '.join(name)}!"
    if not said:
        return f"{hello} Write me something and I will say it back."
    return (
        f"{hello} You said: “{said}”. "
        "I am only a small program, but each of my words reaches you through the proxy the "
        "moment I say it. I know you because the proxy signed who you are and I verified it"
        f"{_mail(claims)}. No password ever came to me."
    )


def _mail(claims: Mapping[str, Json]) -> str:
    email = claims.get("email")
    return f": you are {email}" if isinstance(email, str) else ""
