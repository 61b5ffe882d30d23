"""The figures of a trade-off study: described, the same each time, and SYNTHETIC in every title."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pandas as pd
import pytest
from sample_tradeoff import sample_clients, sample_runs

from tff_affect.errors import InputError
from tff_affect.evaluation.tradeoff import clip_scores, fairness, summary
from tff_affect.report import tradeoff_plot
from tff_affect.report.tradeoff import TradeoffText
from tff_affect.report.tradeoff_plot import (
    Drawing,
    clip_figure,
    fairness_figure,
    scaling_figure,
    tradeoff_figure,
    write_drawing,
)

TEXT = TradeoffText("cohort_7", True, "add-remove", "Poisson", "trusted server")
REAL = TradeoffText("corpus", False, "add-remove", "Poisson", "trusted server")
ROWS = summary(sample_runs())
FALLS = fairness(sample_clients())
ONE = FALLS[FALLS["point"] == "27-z4-c0.1"]
FIGURES: dict[str, Callable[[TradeoffText], Drawing]] = {
    "tradeoff": lambda text: tradeoff_figure(ROWS, text),
    "clipping": lambda text: clip_figure(clip_scores(sample_runs()), text),
    "fairness": lambda text: fairness_figure(ONE, text, "language"),
    "scaling": lambda text: scaling_figure(ROWS, 4.0, text),
}


def description(svg: str, name: str) -> str:
    root = ElementTree.fromstring(svg)
    return str(next(element.text for element in root.iter() if element.get("id") == f"{name}-description"))


def texts(svg: str) -> list[str]:
    return [str(element.text) for element in ElementTree.fromstring(svg).iter() if element.tag.endswith("text")]


@pytest.mark.parametrize("name", FIGURES)
def test_figures_are_the_same_each_time_and_say_synthetic_only_where_it_is(name: str, tmp_path: Path) -> None:
    drawing = FIGURES[name](TEXT)
    write_drawing(tmp_path, name, drawing)
    assert FIGURES[name](TEXT) == drawing
    assert (tmp_path / f"{name}.svg").read_text(encoding="utf-8") == drawing[0] + "\n"
    assert (tmp_path / f"{name}.png").read_bytes().startswith(b"\x89PNG")
    # The title as seen and as read out, and a watermark on each of two panels.
    assert "SYNTHETIC data" in texts(drawing[0])
    assert drawing[0].count("SYNTHETIC") >= 4
    assert "cohort_7" in texts(drawing[0])
    assert "SYNTHETIC" not in FIGURES[name](REAL)[0]
    assert "$" not in drawing[0]


def test_the_tradeoff_is_read_out_with_infinite_epsilon_at_the_edge() -> None:
    svg, _ = tradeoff_figure(ROWS, TEXT)
    said = description(svg, "tradeoff")
    assert "27 subjects, arousal, epsilon 3.6: CCC 0.021, 3 % of 0.700 without privacy" in said
    assert "1,000 subjects, valence, epsilon inf: CCC 0.490, 98 % of 0.500 without privacy" in said
    assert {"inf", "10", "27 subjects", "1,000 subjects", "Arousal", "Valence"} <= set(texts(svg))


@pytest.fixture
def figures(monkeypatch: pytest.MonkeyPatch) -> None:
    """Drawing gives the figure itself, to be measured."""
    monkeypatch.setattr(tradeoff_plot, "_both", lambda figure, *_: figure)


def line(axes: Any, label: str) -> Any:
    return next(found for found in axes.lines if found.get_label() == label)


def heights(patch: Any) -> list[float]:
    vertical = patch.get_path().vertices[:, 1] if hasattr(patch, "get_path") else patch.get_paths()[0].vertices[:, 1]
    return [float(vertical.min()), float(vertical.max())]


@pytest.mark.usefixtures("figures")
def test_the_tradeoff_shows_the_numbers() -> None:
    figure: Any = tradeoff_figure(ROWS, TEXT)
    axes = figure.axes[1]
    assert axes.get_xscale() == "log"
    for label, ends in (("27 subjects", [0.015, 0.3]), ("1,000 subjects", [0.465, 0.48])):
        assert line(axes, label).get_xdata() == pytest.approx([3.6, 23])
        assert line(axes, label).get_ydata() == pytest.approx(ends)
    assert [heights(patch) for patch in axes.collections if patch.get_alpha()] == [
        pytest.approx([0.005, 0.31]), pytest.approx([0.455, 0.49]),
    ]  # fmt: skip
    dashed = [found for found in axes.lines if found.get_linestyle() == "--"]
    assert [found.get_ydata()[0] for found in dashed] == pytest.approx([0.5, 0.5])
    without = [patch.get_y() for patch in axes.patches], [patch.get_y() + patch.get_height() for patch in axes.patches]
    assert without[0] == pytest.approx([0.49] * 2)
    assert without[1] == pytest.approx([0.51] * 2)
    marks = [bars.lines for bars in axes.containers]
    assert [mark[0].get_ydata()[0] for mark in marks] == pytest.approx([0.45, 0.49])
    assert all(mark[0].get_xdata()[0] > 23 for mark in marks)
    whiskers = [mark[2][0].get_segments()[0][:, 1] for mark in marks]
    assert [list(ends) for ends in whiskers] == [pytest.approx([0.44, 0.46]), pytest.approx([0.48, 0.5])]


@pytest.mark.usefixtures("figures")
@pytest.mark.parametrize(("noises", "infinite"), [("> 0", False), ("== 0", True), (">= 0", True)])
def test_the_axis_has_an_end_for_infinite_epsilon_where_there_is_one(noises: str, infinite: bool) -> None:
    rows = summary(sample_runs((27,)).query(f"not private or noise_multiplier {noises}"))
    figure: Any = tradeoff_figure(rows, TEXT)
    labels = [label.get_text() for label in figure.axes[-1].get_xticklabels()]
    assert ("inf" in labels) == infinite
    assert ("10" in labels) == (noises != "== 0")


@pytest.mark.usefixtures("figures")
def test_scaling_and_clients_show_the_numbers() -> None:
    scaling: Any = scaling_figure(ROWS, 4.0, TEXT)
    axes = scaling.axes[0]
    assert list(line(axes, "epsilon 3.6").get_xdata()) == [27, 1000]
    assert line(axes, "epsilon 3.6").get_ydata() == pytest.approx([0.021, 0.651])
    assert line(axes, "without privacy").get_ydata() == pytest.approx([0.7, 0.7])
    bands = [heights(patch) for patch in axes.collections]
    assert bands == [pytest.approx([0.69, 0.71]), pytest.approx([0.011, 0.661])]
    clients: Any = fairness_figure(ONE, TEXT, "language")
    axes = clients.axes[0]
    french, german = (patch.get_offsets() for patch in axes.collections)
    assert np.asarray(french) == pytest.approx(np.array([[0.74, 0.34], [0.76, 0.36], [0.78, 0.38]]))
    assert len(german) == 6
    assert axes.get_xlim() == axes.get_ylim()
    assert line(axes, "no fall").get_slope() == 1


@pytest.mark.usefixtures("figures")
def test_many_sizes_are_told_apart() -> None:
    parts = [ROWS[ROWS["subjects"] == 27].assign(subjects=27 * 2**i) for i in range(8)]
    figure: Any = tradeoff_figure(pd.concat(parts), TEXT)
    lines = [line(figure.axes[0], f"{27 * 2**i:,} subjects") for i in range(8)]
    assert len({(found.get_color(), found.get_marker()) for found in lines}) == 8


def test_a_single_seed_is_drawn() -> None:
    assert "SYNTHETIC" in tradeoff_figure(summary(sample_runs((27,), [0])), TEXT)[0]


def test_the_best_clip_is_framed_and_read_out() -> None:
    scores = clip_scores(sample_runs())
    svg, _ = clip_figure(scores, TEXT)
    said = description(svg, "clipping")
    assert said.count("0.1 with CCC 0.610") == 6
    assert texts(svg).count("0.61") == texts(svg).count("0.41") == 6
    assert svg.count("stroke: #d55e00") == 6
    # One clipping norm was tried at one size alone.
    fewer = scores[(scores["subjects"] == 27) | (scores["clipping_norm"] == 0.1)]
    assert texts(clip_figure(fewer, TEXT)[0]).count("0.41") == 3
    endless = scores.assign(clipping_norm=scores["clipping_norm"].replace({1.0: math.inf}))
    assert "inf" in texts(clip_figure(endless, TEXT)[0])


def test_clients_are_drawn_by_group() -> None:
    svg, _ = fairness_figure(ONE, TEXT, "language")
    assert {"language: French", "language: German", "no fall"} <= set(texts(svg))
    assert "Test clients at epsilon 3.6, 27 subjects" in texts(svg)
    said = description(svg, "fairness")
    assert said.count("client P") == 18
    assert "arousal, client P08: 0.780 to 0.380" in said
    plain = texts(fairness_figure(ONE, TEXT)[0])
    assert "test client" in plain
    assert "language: French" not in plain
    with pytest.raises(InputError, match="found 'gender'; choose of: language"):
        fairness_figure(ONE, TEXT, "gender")
    for wrong in (FALLS, FALLS.iloc[:0]):
        with pytest.raises(InputError, match=r"expected clients of one point, found (27-z0|none)"):
            fairness_figure(wrong, TEXT)


def test_scaling_stands_beside_no_privacy_and_says_which_epsilon_was_reached() -> None:
    svg, _ = scaling_figure(ROWS, 4.0, TEXT)
    assert {"without privacy", "epsilon 3.6", "27", "1,000"} <= set(texts(svg))
    assert "1,000 subjects, arousal, epsilon 3.6: CCC 0.651" in description(svg, "scaling")
    assert "epsilon 23" not in description(svg, "scaling")
    apart = ROWS.assign(epsilon=ROWS["epsilon"].where((ROWS["epsilon"] != 3.6) | (ROWS["subjects"] == 27), 4.1))
    assert "CCC per client by cohort size, epsilon 3.6 to 4.1" in texts(scaling_figure(apart, 4.0, TEXT)[0])
    with pytest.raises(InputError, match="expected a point with epsilon about 100"):
        scaling_figure(ROWS, 100.0, TEXT)
