"""Which language a reader gets, and that every language says everything."""

from __future__ import annotations

import json
import string
from importlib.resources import files

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.errors import Reason
from proxy.web.pages.language import DEFAULT, choose_language, languages, read_language

LANGUAGES = tuple(languages())


@pytest.mark.parametrize(
    ("field", "expected"),
    [
        pytest.param("", "en", id="no wish"),
        pytest.param(" , ,", "en", id="only empty elements"),
        pytest.param("fr", "fr", id="one language"),
        pytest.param("FR", "fr", id="case does not matter"),
        pytest.param("fr-CA", "fr", id="a region finds its language"),
        pytest.param("fr-Latn-CA-x-a", "fr", id="a long tag finds its language"),
        pytest.param("fr,en", "fr", id="equal weights keep their order"),
        pytest.param("en,fr", "en", id="equal weights keep their order, reversed"),
        pytest.param("en;q=0.5, fr;q=0.9", "fr", id="the greater weight wins"),
        pytest.param("en;q=0.5, fr", "fr", id="no weight means one"),
        pytest.param("de, es;q=0.9, fr;q=0.1", "fr", id="unknown languages are passed over"),
        pytest.param("de", "en", id="nothing known means the default"),
        pytest.param("*", "en", id="anything means the default"),
        pytest.param("de, *;q=0.5", "en", id="anything else means the default"),
        pytest.param("en;q=0, *", "fr", id="anything but English"),
        pytest.param("en;q=0.2, *;q=0.8", "fr", id="the star is what is not named"),
        pytest.param("fr;q=0.1, *;q=0.8", "en", id="the star outweighs a named one"),
        pytest.param("fr;q=0", "en", id="a refused language is not given"),
        pytest.param("fr-CA, fr;q=0", "en", id="nor is it by way of a region"),
        pytest.param("en;q=0, fr;q=0", "en", id="all refused means the default"),
        pytest.param("fr ; q=0.8 ,\ten;q=0.3", "fr", id="white space around"),
        pytest.param("fr;Q=1.000", "fr", id="an upper-case Q"),
        pytest.param("fr,,en", "fr", id="an empty element is ignored"),
        pytest.param("fr;q=1.001", "en", id="a weight over one is malformed"),
        pytest.param("fr;q=0.1234", "en", id="four digits are malformed"),
        pytest.param("fr;q=", "en", id="an empty weight is malformed"),
        pytest.param("fr;level=1", "en", id="another parameter is malformed"),
        pytest.param("fr_FR", "en", id="an underscore is malformed"),
        pytest.param("fr, \u00e9", "en", id="one malformed element spoils the field"),
        pytest.param("fr\n", "en", id="a line break is malformed"),
        pytest.param("../fr", "en", id="a path is malformed"),
    ],
)
def test_the_reader_gets_the_language_they_prefer(field: str, expected: str) -> None:
    assert choose_language(field) == expected


@given(st.text())
def test_any_field_means_a_language_that_there_is(field: str) -> None:
    assert choose_language(field) in languages()


@given(st.dictionaries(st.sampled_from(LANGUAGES), st.integers(1, 1000), min_size=1))
def test_the_greatest_weight_wins(weights: dict[str, int]) -> None:
    field = ", ".join(f"{tag};q={weight / 1000:.3f}" for tag, weight in weights.items())
    assert weights[choose_language(field)] == max(weights.values())


@given(st.sampled_from(LANGUAGES), st.sampled_from([(0, 1), (1, 0)]))
def test_a_refused_language_is_never_given_while_another_is_left(
    tag: str, order: tuple[int, int]
) -> None:
    items = (f"{tag};q=0", "*")
    assert choose_language(",".join(items[i] for i in order)) != tag


def test_the_default_language_is_there_and_first() -> None:
    assert LANGUAGES[0] == DEFAULT


@pytest.mark.parametrize("tag", LANGUAGES)
def test_every_language_has_the_words_of_the_default(tag: str) -> None:
    mine, model = languages()[tag], languages()[DEFAULT]
    assert set(mine.labels) == set(model.labels)
    assert set(mine.pages) == set(model.pages)
    assert set(mine.reasons) == set(model.reasons)
    assert mine.direction in ("ltr", "rtl")
    for name, label in model.labels.items():
        assert _placeholders(mine.labels[name]) == _placeholders(label), name


@pytest.mark.parametrize("tag", LANGUAGES)
def test_every_reason_is_explained_and_no_other(tag: str) -> None:
    assert set(languages()[tag].reasons) == {str(reason) for reason in Reason}


@pytest.mark.parametrize("tag", LANGUAGES)
def test_no_words_are_empty_or_untrimmed(tag: str) -> None:
    spoken = languages()[tag]
    texts = [*spoken.labels.values()]
    for words in (*spoken.reasons.values(), *spoken.pages.values(), spoken.fallback):
        texts += [words.title, words.text, words.advice]
    assert all(text and text == text.strip() for text in texts)


@pytest.mark.parametrize("tag", [tag for tag in LANGUAGES if tag != DEFAULT])
def test_a_translation_is_translated(tag: str) -> None:
    mine, model = languages()[tag].reasons, languages()[DEFAULT].reasons
    assert [name for name in model if mine[name].text == model[name].text] == []


def test_a_reason_without_words_gets_general_ones() -> None:
    english = languages()[DEFAULT]
    assert english.words("never_heard_of") is english.fallback


def test_a_file_that_lacks_a_part_is_an_error() -> None:
    text = files("proxy.web.pages").joinpath("languages/en.json").read_text(encoding="utf-8")
    data = json.loads(text)
    del data["reasons"]["not_found"]["advice"]
    with pytest.raises(TypeError):
        read_language("en", json.dumps(data))
    del data["labels"]
    with pytest.raises(KeyError):
        read_language("en", json.dumps(data))


def _placeholders(text: str) -> set[str]:
    return {name for _, name, _, _ in string.Formatter().parse(text) if name}
