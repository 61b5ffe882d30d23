"""What is seen of updates, beside numpy."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tff_affect.errors import InputError
from tff_affect.privacy.audit.observed_update import Protection, observe


def updates(people: int, scale: float, seed: int) -> list[np.ndarray]:
    rng = np.random.default_rng(seed)
    return [rng.normal(scale=scale, size=(people, *shape)) for shape in ((30, 20), (20,))]


def norms(parts: list[np.ndarray]) -> np.ndarray:
    return np.sqrt(sum(np.square(part).reshape(len(part), -1).sum(axis=1) for part in parts))


def flat(parts: list[np.ndarray]) -> np.ndarray:
    return np.concatenate([part.reshape(len(part), -1) for part in parts], axis=1)


def test_without_protection_updates_are_seen_as_they_are() -> None:
    sent = updates(3, 1.0, 0)
    for seen, part in zip(observe(sent, Protection(), 0), sent, strict=True):
        np.testing.assert_array_equal(seen, part)


def test_each_update_is_clipped_as_a_whole() -> None:
    sent = updates(3, 1.0, 0)
    sent = [part * np.array([1, 1, 1e-3]).reshape(-1, *[1] * (part.ndim - 1)) for part in sent]
    seen = observe(sent, Protection(0.5), 0)
    np.testing.assert_allclose(norms(seen), [0.5, 0.5, norms(sent)[2]], rtol=1e-5)
    np.testing.assert_allclose(flat(seen)[0], flat(sent)[0] * 0.5 / norms(sent)[0], rtol=1e-5)


@pytest.mark.parametrize("clients", [1, 4])
def test_noise_is_of_the_sum_and_divided_with_it(clients: int) -> None:
    protection = Protection(0.5, 3.0, clients)
    sent, others = updates(40, 1.0, 0), updates(6, 1.0, 1)
    seen = flat(observe(sent, protection, 7, others))
    shrunk = [flat(part) * (0.5 / norms(part))[:, np.newaxis] for part in (sent, others)]
    expected = (shrunk[0] + shrunk[1][: clients - 1].sum(axis=0)) / clients
    noise = seen - expected
    assert protection.deviation == pytest.approx(1.5 / clients)
    assert noise.std() == pytest.approx(1.5 / clients, rel=0.02)
    assert abs(np.corrcoef(noise[0], noise[1])[0, 1]) < 0.15
    np.testing.assert_array_equal(seen, flat(observe(sent, protection, 7, others)))
    assert not np.allclose(seen, flat(observe(sent, protection, 8, others)))


def test_a_mean_is_of_exactly_its_clients() -> None:
    sent, others = updates(2, 1.0, 0), updates(6, 1.0, 1)
    seen = flat(observe(sent, Protection(0.5, 0.0, 4), 0, others))
    shrunk = [flat(part) * (0.5 / norms(part))[:, np.newaxis] for part in (sent, others)]
    np.testing.assert_allclose(seen, (shrunk[0] + shrunk[1][:3].sum(axis=0)) / 4, atol=1e-6)


def test_too_few_others_are_refused() -> None:
    with pytest.raises(InputError, match="updates of 2 other clients, found 0"):
        observe(updates(1, 1.0, 0), Protection(1.0, 0.0, 3), 0)


@pytest.mark.parametrize(
    "wrong", [{"clipping_norm": 0}, {"noise_multiplier": -1}, {"clients": 0}, {"noise_multiplier": 1.0}]
)
def test_impossible_protections_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(InputError, match="protection: expected"):
        Protection(**wrong)
