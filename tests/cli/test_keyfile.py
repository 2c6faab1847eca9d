"""Files of keys: what is read from them, and every step from every state."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from proxy.cli.keyfile import KeyFile, Step, new_secret, read_keys
from proxy.config.types import decode_cookie_secret, split_secrets
from proxy.crypto.jwk import generate_signing_key, private_keys
from proxy.crypto.jwt import load_signer
from tests.config.configurations import SECRET

OTHER = "QqWwEeRrTtYyUuIiOoPpAaSsDdFfGgHhJjKkLlZzXxA="
THIRD = "aB3dE5fG7hJ9kL1mN3pQ5rS7tU9vW1xY3zA5bC7dE9f="
NOW, LATER = "2026-01-02T03:04:05+00:00", "2026-01-03T03:04:05+00:00"

Take = Callable[[KeyFile], KeyFile]


def pem(algorithm: str = "ES256", bits: int = 2048) -> str:
    return generate_signing_key(algorithm, bits).decode()


def again(file: KeyFile) -> KeyFile:
    """As whoever comes next reads it."""
    assert read_keys(file.written()) == file
    return read_keys(file.written())


STATES: dict[str, Callable[[], KeyFile]] = {
    "one": lambda: read_keys(SECRET),
    "added": lambda: again(read_keys(SECRET).added(NOW)),
    "used": lambda: again(again(read_keys(SECRET).added(NOW)).used(LATER)),
    "two": lambda: read_keys(f"{SECRET}\n{OTHER}"),
    "three": lambda: read_keys(f"{SECRET},{OTHER}\n{THIRD}"),
}
STEPS: dict[str, Take] = {
    "add": lambda file: file.added(NOW),
    "use": lambda file: file.used(LATER),
    "drop": lambda file: file.dropped(),
}


@pytest.mark.parametrize(
    ("state", "step", "expected"),
    [
        ("one", "add", Step.ADDED),
        ("one", "use", "one key only: a new one is added first"),
        ("one", "drop", "one key only: there is none to drop"),
        ("added", "add", "waits in second place already"),
        ("added", "use", Step.USED),
        ("added", "drop", "not in use yet"),
        ("used", "add", "the old key is dropped first"),
        ("used", "use", "in use already"),
        ("used", "drop", Step.NONE),
        ("two", "add", "holds several keys already"),
        ("two", "use", Step.USED),
        ("two", "drop", Step.NONE),
        ("three", "add", "holds several keys already"),
        ("three", "use", Step.USED),
        ("three", "drop", Step.NONE),
    ],
)
def test_each_step_from_each_state(state: str, step: str, expected: Step | str) -> None:
    file = STATES[state]()
    if isinstance(expected, Step):
        assert again(STEPS[step](file)).step is expected
    else:
        with pytest.raises(ValueError, match=expected):
            STEPS[step](file)


def test_a_key_comes_second_then_first_then_alone() -> None:
    old = read_keys(SECRET)
    added = again(old.added(NOW))
    assert [key.text for key in added.keys][:1] == [SECRET]
    used = again(added.used(LATER))
    assert used.keys == added.keys[::-1]
    assert (used.step, used.since) == (Step.USED, LATER)
    alone = again(used.dropped())
    assert alone.keys == added.keys[1:]
    assert alone.written() == f"{added.keys[1].text}\n"


def test_the_others_of_a_longer_list_keep_their_places() -> None:
    used = STATES["three"]().used(LATER)
    assert [key.text for key in used.keys] == [OTHER, SECRET, THIRD]


def test_the_proxy_reads_the_keys_that_are_written() -> None:
    file = STATES["used"]()
    assert split_secrets(file.written()) == [key.text for key in file.keys]


@pytest.mark.parametrize(
    ("algorithm", "bits"), [("ES256", 0), ("EdDSA", 0), ("RS256", 2048), ("RS256", 3072)]
)
def test_a_new_signing_key_is_one_like_the_first(algorithm: str, bits: int) -> None:
    file = read_keys(pem(algorithm, bits))
    added = again(file.added(NOW))
    assert added.algorithm == algorithm
    keys = private_keys(added.written().encode())
    signers = [load_signer(key, algorithm) for key in keys]
    assert [signer.kid for signer in signers] == [key.name for key in added.keys]
    assert signers[0].kid != signers[1].kid
    loaded = [load_pem_private_key(key, None) for key in keys]
    sizes = {key.key_size for key in loaded if isinstance(key, rsa.RSAPrivateKey)}
    assert sizes == ({bits} if bits else set())


def test_remarks_of_others_stay_and_ours_go() -> None:
    file = read_keys(f"# of the app\n{SECRET}\n# and more, of it\n")
    added = again(file.added(NOW))
    assert added.written().startswith(f"# auth-proxy keys rotate: added {NOW}\n# of the app\n# and")
    text = added.used(NOW).dropped().written()
    assert "rotate" not in text
    assert text.startswith("# of the app\n# and more, of it\n")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        pytest.param("", "holds no key", id="nothing"),
        pytest.param("# nothing yet\n", "holds no key", id="a remark only"),
        pytest.param(f"{SECRET}\n{SECRET}", "the same key twice", id="the same twice"),
        pytest.param(
            f"{SECRET}\n{decode_cookie_secret(SECRET).hex()}",
            "the same key twice",
            id="the same in another spelling",
        ),
        pytest.param(f"{SECRET}\nprovider: x", "key 2: ", id="a configuration"),
        pytest.param(f"{pem()}{pem('EdDSA')}", "key 2: ES256 needs an EC key", id="two kinds"),
        pytest.param(pem()[:-20], "cut off|not a private key", id="half a key"),
        pytest.param(pem() + pem()[:90], "cut off", id="half a second key"),
        pytest.param(
            pem() + "-----BEGIN CERTIFICATE-----\nAA==\n-----END CERTIFICATE-----\n",
            r"more than private keys \(certificate\)",
            id="a certificate too",
        ),
    ],
)
def test_what_is_no_file_of_keys(text: str, words: str) -> None:
    with pytest.raises(ValueError, match=words) as caught:
        read_keys(text)
    shown = str(caught.value)
    assert not any(line in shown for line in text.split("\n") if len(line) > 20)


def test_nothing_shows_a_key() -> None:
    for file in (STATES["used"](), read_keys(pem()).added(NOW)):
        texts = [line for key in file.keys for line in key.text.split("\n") if len(line) > 30]
        assert not any(line in f"{file!r} {file}" for line in texts)


def test_the_name_of_a_secret_is_that_of_its_bytes() -> None:
    spelled = read_keys(decode_cookie_secret(SECRET).hex())
    assert spelled.keys[0].name == read_keys(SECRET).keys[0].name
    assert len({key.name for key in STATES["three"]().keys}) == 3


def test_a_new_secret_is_one_that_the_configuration_accepts() -> None:
    assert len(decode_cookie_secret(new_secret())) == 32
    assert new_secret() != new_secret()
