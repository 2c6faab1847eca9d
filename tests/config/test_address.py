"""An address has one form, and nothing that merely looks like one gets through."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.config.address import DomainList, normalise_domain, normalise_email


@pytest.mark.parametrize(
    ("given_", "expected"),
    [
        pytest.param("Jean.DUPONT@Interieur.gouv.fr", "jean.dupont@interieur.gouv.fr", id="case"),
        pytest.param("  a@b.fr ", "a@b.fr", id="spaces around"),
        pytest.param("a+b_c%d'e@b.fr", "a+b_c%d'e@b.fr", id="allowed punctuation"),
        pytest.param("a@localhost", "a@localhost", id="one label"),
        pytest.param("a@École.fr", "a@xn--cole-9oa.fr", id="domain becomes A-labels"),
        pytest.param("a@XN--COLE-9OA.fr", "a@xn--cole-9oa.fr", id="domain in A-labels"),
        pytest.param("zoé@b.fr", "zoé@b.fr", id="local part not ASCII"),
        pytest.param("jac\u212a@b.fr", "jac\u212a@b.fr", id="Kelvin sign does not become k"),
    ],
)
def test_normalises(given_: str, expected: str) -> None:
    assert normalise_email(given_) == expected


@pytest.mark.parametrize(
    "value",
    [
        pytest.param(None, id="null"),
        pytest.param(7, id="number"),
        pytest.param(["a@b.fr"], id="list"),
        pytest.param("", id="empty"),
        pytest.param("a", id="no @"),
        pytest.param("a@allowed.fr@evil.com", id="two @ (GHSA-c5c4-8r6x-56w3)"),
        pytest.param("@b.fr", id="no local part"),
        pytest.param("a@", id="no domain"),
        pytest.param("a@.fr", id="empty label first"),
        pytest.param("a@b..fr", id="empty label inside"),
        pytest.param("a@b.fr.", id="trailing dot"),
        pytest.param("a@b.fr\r\nX-Admin: 1", id="CRLF"),
        pytest.param("a@b.fr\n", id="newline at its end"),
        pytest.param("a\0@b.fr", id="NUL"),
        pytest.param("a\t@b.fr", id="tab"),
        pytest.param("a b@c.fr", id="space in the local part"),
        pytest.param("a@b .fr", id="space in the domain"),
        pytest.param("a\u00a0@b.fr", id="no-break space"),
        pytest.param("a\u200b@b.fr", id="zero width space"),
        pytest.param("a\u202e@b.fr", id="right-to-left override"),
        pytest.param("a\ud800@b.fr", id="lone surrogate"),
        pytest.param('"a"@b.fr', id="quotes"),
        pytest.param("Jean <a@b.fr>", id="display name"),
        pytest.param("a,b@c.fr", id="comma"),
        pytest.param("a;b@c.fr", id="semicolon"),
        pytest.param("a@[127.0.0.1]", id="address literal"),
        pytest.param("a@b_c.fr", id="underscore in the domain"),
        pytest.param("a@-b.fr", id="hyphen first"),
        pytest.param("a@b-.fr", id="hyphen last"),
        pytest.param("a@b.fr/x", id="slash in the domain"),
        pytest.param("a@stra\u00dfe.de", id="sharp s means two domains"),
        pytest.param("a@\uff45vil.fr", id="full-width letter"),
        pytest.param("a@evil\u3002fr", id="ideographic full stop"),
        pytest.param("a@b\u200d.fr", id="zero width joiner"),
        pytest.param("a@" + "b" * 64 + ".fr", id="label of 64 characters"),
        pytest.param("a" * 250 + "@b.fr", id="too long"),
        pytest.param("a@" + "é." * 100 + "fr", id="too long as A-labels"),
    ],
)
def test_refuses(value: object) -> None:
    assert normalise_email(value) == ""


@given(st.text(max_size=40) | st.from_regex(r".{1,9}@.{1,9}\..{2,4}", fullmatch=True))
def test_the_form_is_stable_and_harmless(text: str) -> None:
    once = normalise_email(text)
    assert normalise_email(once) == once
    assert once.count("@") <= 1
    assert not any(c.isspace() or ord(c) < 0x21 or c in '<>",;' for c in once)


@given(st.text(max_size=30))
def test_a_domain_is_ascii_or_nothing(text: str) -> None:
    assert normalise_domain(text).isascii()


@pytest.mark.parametrize(
    ("entry", "address", "expected"),
    [
        pytest.param("example.org", "x@example.org", True, id="exact"),
        pytest.param("example.org", "x@a.example.org", False, id="below an exact one"),
        pytest.param(".example.org", "x@a.example.org", True, id="below"),
        pytest.param("*.example.org", "x@a.b.example.org", True, id="star form"),
        pytest.param(".example.org", "x@example.org", False, id="the parent itself"),
        pytest.param(".example.org", "x@notexample.org", False, id="a longer name"),
        pytest.param("Bücher.example ", "x@xn--bcher-kva.example", True, id="IDNA"),
        pytest.param("*", "x@any.example", True, id="any"),
        pytest.param("*", "", False, id="any needs an address"),
        pytest.param("*", "a@b@c.example", False, id="any needs a good one"),
        pytest.param("*", "@c.example", False, id="any needs a local part"),
        pytest.param("", "x@example.org", False, id="an empty entry"),
        pytest.param(".", "x@example.org", False, id="a dot"),
    ],
)
def test_a_list_of_domains(entry: str, address: str, expected: bool) -> None:
    assert DomainList.compile(["other.example", entry]).holds(address) is expected


def test_a_list_without_domains_holds_nobody() -> None:
    assert not DomainList.compile([]).holds("x@example.org")
