import numpy as np
import pandas as pd
import pytest
from scipy import stats

from tff_affect.evaluation.crossed import crossed_mean, crossed_means


def table(seed: int, seeds: int, clients: int, deviations: tuple[float, float, float]) -> np.ndarray:
    """``[seeds, clients]`` of mean 0.5 with known components."""
    rng = np.random.default_rng([3, seed])
    of_seed, of_client, of_rest = deviations
    return (
        0.5 + of_seed * rng.normal(size=(seeds, 1)) + of_client * rng.normal(size=(1, clients))
        + of_rest * rng.normal(size=(seeds, clients))
    )  # fmt: skip


def test_seeds_that_agree_leave_students_interval_over_clients() -> None:
    clients = np.random.default_rng(0).normal(0.5, 0.1, 12)
    found = crossed_mean(np.tile(clients, (4, 1)))
    expected = stats.t.interval(0.95, 11, clients.mean(), clients.std(ddof=1) / np.sqrt(12))
    assert (found.low, found.high) == pytest.approx(expected)
    assert (found.sd_seeds, found.sd_clients, found.sd_rest) == pytest.approx((0, clients.std(ddof=1), 0), abs=1e-9)


def test_clients_that_agree_leave_students_interval_over_seeds() -> None:
    seeds = np.array([0.4, 0.5, 0.7])
    found = crossed_mean(np.tile(seeds[:, None], (1, 9)))
    expected = stats.t.interval(0.95, 2, seeds.mean(), seeds.std(ddof=1) / np.sqrt(3))
    assert (found.low, found.high) == pytest.approx(expected)


def test_components_are_those_of_the_simulation_on_average() -> None:
    truth = (0.05, 0.15, 0.08)
    found = [crossed_mean(table(i, 6, 20, truth)) for i in range(400)]
    squares = np.mean([(f.sd_seeds**2, f.sd_clients**2, f.sd_rest**2) for f in found], axis=0)
    assert squares == pytest.approx(np.square(truth), rel=0.1)


@pytest.mark.parametrize("deviations", [(0.02, 0.15, 0.05), (0.06, 0.1, 0.05), (0.0, 0.1, 0.1)])
def test_intervals_cover_the_mean_over_other_seeds_and_clients(deviations: tuple[float, float, float]) -> None:
    found = [crossed_mean(table(i, 5, 27, deviations)) for i in range(1000)]
    assert 0.92 <= np.mean([f.low <= 0.5 <= f.high for f in found]) <= 0.99


def test_an_interval_over_clients_alone_covers_too_seldom_where_seeds_matter() -> None:
    """Else the crossed one would not be needed."""
    tables = [table(i, 5, 27, (0.06, 0.1, 0.05)).mean(axis=0) for i in range(400)]
    ends = [stats.t.interval(0.95, 26, c.mean(), stats.sem(c)) for c in tables]
    assert np.mean([low <= 0.5 <= high for low, high in ends]) < 0.85


def test_what_there_is_no_interval_of() -> None:
    for shape in ((1, 9), (3, 1)):
        found = crossed_mean(np.full(shape, 0.3))
        assert found.mean == pytest.approx(0.3)
        assert np.isnan([found.low, found.high, found.sd_rest]).all()
    same = crossed_mean(np.full((3, 4), 0.25))
    assert (same.low, same.mean, same.high) == (0.25, 0.25, 0.25)
    for wrong in ([[0.1, np.nan]], [0.1, 0.2], [[]]):
        with pytest.raises(ValueError, match="seeds, clients"):
            crossed_mean(wrong)
    with pytest.raises(ValueError, match="confidence"):
        crossed_mean([[0.1, 0.2]], confidence=95)


def test_a_study_has_a_row_for_each_method_without_ceilings() -> None:
    rows = [
        {"method": method, "kind": kind, "model": "", "client": f"P{c}", "dimension": "arousal", "seed": s, "fold": 0}
        | {"n": 10.0, "ccc": 0.1 * c + 0.01 * s * c, "pcc": 0.0, "rmse": 0.0, "constant": False}
        for method, kind in (("federated", "measured"), ("federated", "attainable"), ("centralised", "measured"))
        for s in range(3)
        for c in range(5)
        if (s, c) != (2, 4)
    ]
    found = crossed_means(pd.DataFrame(rows)).set_index(["method", "kind"])
    assert list(found.index) == [("centralised", "measured"), ("federated", "measured")]
    shown = found.loc[("federated", "measured")]
    expected = crossed_mean(np.array([[0.1 * c + 0.01 * s * c for c in range(4)] for s in range(3)]))
    assert (shown["ccc_mean"], shown["ccc_low"], shown["ccc_high"]) == pytest.approx(
        (expected.mean, expected.low, expected.high)
    )
    assert shown["clients"] == 4
