"""Every way in which an operator's file becomes another one is noticed."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from proxy.web.stamp import stamp


def _replaced(link: Path) -> None:
    """As Kubernetes does it: a link that points elsewhere, in one step."""
    other = link.with_name("other")
    other.write_bytes(b"one")
    os.utime(other, (1000, 1000))
    swap = link.with_name("swap")
    swap.symlink_to(other)
    swap.replace(link)


@pytest.mark.parametrize(
    ("change", "differs"),
    [
        pytest.param(lambda link: None, False, id="nothing"),
        pytest.param(lambda link: link.write_bytes(b"longer"), True, id="another size"),
        pytest.param(lambda link: os.utime(link, (2000, 2000)), True, id="written again"),
        pytest.param(_replaced, True, id="another file, as old and as large"),
        pytest.param(lambda link: link.unlink(), True, id="gone"),
    ],
)
def test_a_change_is_seen(change: Callable[[Path], None], differs: bool, tmp_path: Path) -> None:
    file, link = tmp_path / "file", tmp_path / "link"
    file.write_bytes(b"one")
    os.utime(file, (1000, 1000))
    link.symlink_to(file)
    before = stamp(str(link))
    assert before is not None
    change(link)
    assert (stamp(str(link)) != before) is differs
