"""CCC against epsilon, and the ledger beside it."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from sample_study import DIMENSIONS, guarantee

from tff_affect.report.privacy_curve import curve_data, curve_figures, ledger_table
from tff_affect.report.study import Study, open_study


@pytest.fixture
def private(make_private_study: Callable[..., Path]) -> Study:
    return open_study(make_private_study(guarantee(8.0), guarantee(2.0)))


def test_points_are_the_weakest_guarantee_and_the_mean_over_clients(private: Study) -> None:
    data = curve_data([("", private)]).set_index(["dimension", "method"])
    rows = private.results.query("kind == 'measured'")
    for dimension in DIMENSIONS:
        for method, epsilon in (("federated + DP", 8.0), ("federated", math.nan), ("centralised", math.nan)):
            own = rows[(rows["method"] == method) & (rows["dimension"] == dimension)]
            found = data.loc[(dimension, method)]
            assert found["ccc_mean"] == pytest.approx(own.groupby("client")["ccc"].mean().mean())
            assert found["epsilon"] == pytest.approx(epsilon, nan_ok=True)
            assert found["ccc_low"] < found["ccc_mean"] < found["ccc_high"]
    assert len(data) == 3 * len(DIMENSIONS)


def test_the_figure_says_epsilon_and_lines_without(private: Study) -> None:
    figures = curve_figures(curve_data([("", private)]), synthetic=True)
    assert [figure.name for figure in figures] == ["privacy-utility-arousal", "privacy-utility-valence"]
    assert "federated + DP at epsilon 8: CCC" in figures[0].svg
    assert ">federated, without privacy</text>" in figures[0].svg
    assert "SYNTHETIC" in figures[0].svg
    assert set(figures[0].frame["dimension"]) == {"arousal"}


def test_an_infinite_epsilon_stands_at_the_edge(make_private_study: Callable[..., Path]) -> None:
    study = open_study(make_private_study(guarantee(math.inf), alone=True))
    (figure, _) = curve_figures(curve_data([("", study)]), synthetic=False)
    assert ">inf</text>" in figure.svg
    assert "SYNTHETIC" not in figure.svg


def test_an_unknown_epsilon_is_no_point(make_private_study: Callable[..., Path]) -> None:
    folder = make_private_study()
    (folder / "seed-0" / "privacy.json").unlink()
    assert curve_data([("", open_study(folder))]).empty
    assert curve_figures(curve_data([("", open_study(folder))]), synthetic=True) == ()
    assert ledger_table([("", open_study(folder))]) is None


def test_the_ledger_has_every_run(private: Study) -> None:
    table = ledger_table([("one", private), ("two", private)])
    assert table is not None
    assert table.frame["epsilon"].tolist() == [8.0, 2.0] * 2
    assert [head for head, _ in table.groups] == ["one", "two"]
    assert np.allclose(table.frame["delta"], 0.0125)
