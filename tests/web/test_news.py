"""News between workers: written, read, and kept for as long as they matter."""

from __future__ import annotations

import json

import pytest

from proxy.web.news import Archive, News, Topic


@pytest.mark.parametrize("topic", list(Topic))
def test_news_come_through_as_they_were(topic: Topic) -> None:
    news = News(topic, "a key", 1234.5)
    assert News.read(json.loads(json.dumps(news.message()))) == news


@pytest.mark.parametrize(
    "message",
    [
        {},
        {"news": "ended", "key": 1, "until": 1},
        {"news": "ended", "key": "a"},
        {"news": "something", "key": "a", "until": 1},
    ],
)
def test_nonsense_is_an_error(message: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=r"news|something"):
        News.read(message)


def ended(number: int, until: float) -> News:
    return News(Topic.ENDED, str(number), until)


def test_what_is_over_is_forgotten() -> None:
    archive = Archive()
    for number in range(10):
        archive.keep(ended(number, 100 + number), now=50)
    assert [news.key for news in archive.live(105)] == ["5", "6", "7", "8", "9"]
    archive.keep(ended(10, 200), now=150)
    assert archive.live(0) == (ended(10, 200),)


def test_the_oldest_make_room() -> None:
    archive = Archive(size=3)
    for number in range(5):
        archive.keep(ended(number, 100), now=0)
    assert [news.key for news in archive.live(0)] == ["2", "3", "4"]


def test_topics_do_not_mix() -> None:
    archive = Archive()
    for topic in Topic:
        archive.keep(News(topic, "same", 100), now=0)
    assert len(archive.live(0)) == len(Topic)
