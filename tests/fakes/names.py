"""A name server that says what it is told to."""

from __future__ import annotations

from collections.abc import Mapping, Sequence


class Names:
    """``answers`` by name: addresses, or what to raise; ``asked`` is every question so far."""

    def __init__(self, answers: Mapping[str, Sequence[str] | Exception]) -> None:
        self.answers = dict(answers)
        self.asked: list[str] = []

    async def __call__(self, host: str, port: int) -> Sequence[str]:
        self.asked.append(host)
        answer = self.answers[host]
        if isinstance(answer, Exception):
            raise answer
        return answer
