"""E-mail addresses from claims, in the one form that rules and headers compare."""

from __future__ import annotations

import re

# the characters of an RFC 5322 atom and the dot, or anything non-ASCII (RFC 6531): no spaces,
# quotes, brackets or commas, which let one address look like another, or like two; a text, which
# ``re`` compiles at the first sign-in: half as long as all other patterns that are ours together
_LOCAL = r"[a-z0-9.!#$%&'*+/=?^_`{|}~\-\u00a1-\ud7ff\uf900-\ufffd\U00010000-\U000effff]+"
_LABEL = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?")
_INVISIBLE = re.compile(r"[\u200b-\u200f\u2028-\u202f\u205f-\u206f\u3000\ufeff]")
_LONGEST = 254
_LOWER = {upper: upper + 32 for upper in range(ord("A"), ord("Z") + 1)}


def normalise_email(value: object) -> str:
    """``value`` as a lower-case address with an A-label domain, or ``""`` when it is none.

    Exactly one ``@``. In the local part only ASCII letters change case: Unicode's rules turn
    further letters into ASCII ones (the Kelvin sign into ``k``), hence strangers into friends.
    """
    if not isinstance(value, str) or len(value) > _LONGEST or value.count("@") != 1:
        return ""
    local, _, domain = value.strip(" ").partition("@")
    local = local.translate(_LOWER)
    if not re.fullmatch(_LOCAL, local) or _INVISIBLE.search(local):
        return ""
    ascii_domain = normalise_domain(domain)
    address = f"{local}@{ascii_domain}"
    return address if ascii_domain and len(address) <= _LONGEST else ""


def normalise_domain(domain: str) -> str:
    """``domain`` in lower case and as A-labels (``xn--``), or ``""`` when it is not one.

    A domain that IDNA 2003 would replace by another (``straße`` by ``strasse``, full-width
    letters by plain ones) is refused: IDNA 2008 may give that name to someone else.
    """
    lowered = domain.lower()
    try:
        encoded = lowered.encode("idna")
        same = lowered.isascii() or encoded.decode("idna") == lowered
        labels = encoded.decode("ascii").split(".")
    except UnicodeError:
        return ""
    return ".".join(labels) if same and all(map(_LABEL.fullmatch, labels)) else ""
