"""Errors: a reason for everyone, a detail for the log, a status for the client."""

from __future__ import annotations

import re

import pytest

from proxy.errors import (
    BadRequest,
    ConfigError,
    LoginError,
    ProviderError,
    ProxyError,
    Reason,
    StoreError,
    UpstreamError,
)


@pytest.mark.parametrize(
    ("kind", "status"),
    [
        (ProxyError, 500),
        (BadRequest, 400),
        (LoginError, 403),
        (ProviderError, 502),
        (UpstreamError, 502),
        (StoreError, 503),
    ],
)
def test_each_family_has_its_status(kind: type[ProxyError], status: int) -> None:
    error = kind(Reason.INTERNAL, "only for the log")
    assert (error.status, error.reason, error.detail) == (
        status,
        Reason.INTERNAL,
        "only for the log",
    )


def test_one_error_may_have_a_status_of_its_own() -> None:
    assert BadRequest(Reason.METHOD_NOT_ALLOWED, status=405).status == 405
    assert BadRequest(Reason.BAD_TARGET).status == 400


def test_an_error_reads_as_reason_and_detail() -> None:
    assert str(ProxyError(Reason.BAD_HOST)) == "bad_host"
    assert str(ProxyError(Reason.BAD_HOST, "x")) == "bad_host: x"


def test_a_store_that_cannot_answer_is_not_a_missing_session() -> None:
    assert not issubclass(StoreError, LoginError)
    assert StoreError(Reason.STORE_UNAVAILABLE).status == 503


def test_reasons_are_words_fit_for_a_metrics_label() -> None:
    words = [reason.value for reason in Reason]
    assert len(set(words)) == len(words)
    assert all(re.fullmatch(r"[a-z]+(_[a-z]+)*", word) for word in words)


def test_a_configuration_error_keeps_every_problem() -> None:
    error = ConfigError(["one", "two"])
    assert error.problems == ("one", "two")
    assert str(error) == "one\ntwo"
