"""What the chat says."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from proxy.demo.chat import words_of_answer

CLAIMS = {"sub": "s", "given_name": "Alice", "email": "alice@example.org"}


def test_the_answer_greets_and_repeats() -> None:
    text = " ".join(words_of_answer("how are  you?", CLAIMS))
    assert text.startswith("Hello Alice! You said: “how are you?”.")
    assert "alice@example.org" in text


def test_the_same_words_get_the_same_answer() -> None:
    assert list(words_of_answer("x", CLAIMS)) == list(words_of_answer("x", CLAIMS))


def test_an_empty_prompt_is_asked_again() -> None:
    assert "Write me something" in " ".join(words_of_answer("  ", CLAIMS))


@given(st.text())
def test_no_word_can_break_an_event(prompt: str) -> None:
    for word in words_of_answer(prompt, CLAIMS):
        assert word
        assert not any(c.isspace() for c in word)
