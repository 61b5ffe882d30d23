"""What is refused of the settings of personalisation."""

from __future__ import annotations

import re
from typing import Any

import pytest

from tff_affect.errors import InputError
from tff_affect.learning.personalization_config import BASELINES, LEGEND, WAYS, PersonalizationConfig


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"ways": ()}, "ways: expected at least one"),
        ({"ways": ("shift", "shift")}, "none twice"),
        ({"ways": ("luck",)}, "found 'luck'"),
        ({"method": "centralised"}, "found 'centralised'"),
        ({"share": 0.0}, "share: expected a share between 0 and 1, found 0"),
        ({"share": 1.0}, "found 1"),
        ({"share": float("nan")}, "found nan"),
        ({"gap": -1.0}, "gap: expected at least 0"),
        ({"learning_rates": ()}, "learning_rates: expected at least one"),
        ({"learning_rates": (0.1, 0.0)}, "above 0"),
        ({"passes": (3, 1)}, "rising"),
        ({"passes": (-1, 1)}, "at least 0"),
        ({"clusters": 0}, "clusters: expected at least 1"),
        ({"reconstruction_passes": 0}, "reconstruction_passes"),
    ],
)
def test_refuses(settings: dict[str, Any], said: str) -> None:
    with pytest.raises(InputError, match=re.escape(said)):
        PersonalizationConfig(**settings)


def test_every_way_is_explained() -> None:
    assert set(LEGEND) == set(WAYS) >= set(BASELINES)
