"""What is left of the machine's memory."""

from __future__ import annotations

import psutil
import pytest

from tff_affect.memory import LEAST_SHARE, available_memory, share_of_memory


def test_it_is_never_negative_nor_more_than_there_is() -> None:
    free = available_memory()
    assert free is not None
    assert 0 < free <= psutil.virtual_memory().total
    assert share_of_memory(0.5) == pytest.approx(free / 2, rel=0.2)
    assert share_of_memory(1e-9) == LEAST_SHARE
