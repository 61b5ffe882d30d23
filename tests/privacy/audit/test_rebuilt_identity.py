"""Reconstructions are named as well as they show their owners."""

from __future__ import annotations

import numpy as np
import pytest
from sample_people import people

from tff_affect.privacy.audit.rebuilt_identity import name_rebuilt
from tff_affect.privacy.audit.samples import Samples


@pytest.mark.parametrize(("noise", "least", "most"), [(0.0, 1.0, 1.0), (100.0, 0.0, 0.4)])
def test_a_reconstruction_is_named_as_far_as_it_is_the_window(noise: float, least: float, most: float) -> None:
    exposed, rng = people(12, 6.0), np.random.default_rng(1)
    known = dict(zip(exposed.people, exposed.enrolment, strict=True))
    victims = exposed.people[3:9]
    truth = {v: exposed.probe[exposed.people.index(v)].part(slice(0, 1)) for v in victims}
    rebuilt = {v: Samples(t.vectors + noise * rng.normal(size=t.vectors.shape)) for v, t in truth.items()}
    found = name_rebuilt(known, truth, rebuilt, 0)
    assert (found.truth, found.people, found.victims) == (1.0, 12, 6)
    assert least <= found.rebuilt <= most
