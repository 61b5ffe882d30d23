"""Figures of gaits taken apart: drawn where the numbers say, the same each time, SYNTHETIC in every title."""

from __future__ import annotations

from dataclasses import replace
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pandas as pd
import pytest
from sample_gait_results import ACCURACY, TOP1, sample_results

from tff_affect.report import gait_plot
from tff_affect.report.gait import GaitResults, GaitText
from tff_affect.report.gait_plot import emotion_plot, identity_plot
from tff_affect.report.tradeoff_plot import Drawing

DRAWN, REAL = GaitText("SYNTHETIC walkers", True), GaitText("bandai", False)
FOUND = sample_results()
PLOTS = {"emotion": emotion_plot, "identity": identity_plot}


def drawn(name: str, text: GaitText, found: GaitResults = FOUND) -> Drawing:
    drawing = PLOTS[name](found, text)
    assert drawing is not None
    return drawing


def texts(svg: str) -> list[str]:
    return [str(element.text) for element in ElementTree.fromstring(svg).iter() if element.tag.endswith("text")]


def description(svg: str, name: str) -> str:
    root = ElementTree.fromstring(svg)
    return str(next(element.text for element in root.iter() if element.get("id") == f"{name}-description"))


@pytest.mark.parametrize("name", PLOTS)
def test_figures_are_the_same_each_time_and_say_synthetic_only_where_it_is(name: str) -> None:
    svg, png = drawn(name, DRAWN)
    assert drawn(name, DRAWN) == (svg, png)
    assert png.startswith(b"\x89PNG")
    assert "SYNTHETIC data" in texts(svg)
    assert "walkers" in texts(svg)
    assert "SYNTHETIC" not in drawn(name, REAL)[0]


def test_the_figures_are_read_out() -> None:
    said = description(drawn("emotion", REAL)[0], "emotion")
    assert said.startswith("emotion code: 0.840, interval 0.780 to 0.900; plain 1-D CNN: 0.800")
    assert said.endswith("guessing: 0.250.")
    said = description(drawn("identity", REAL)[0], "identity")
    assert "emotion code: one cycle 0.180 (luck: 0.090), all together 0.260" in said
    assert said.endswith("guessing: 0.042.")


@pytest.fixture
def figures(monkeypatch: pytest.MonkeyPatch) -> None:
    """Drawing gives the figure itself, to be measured."""
    monkeypatch.setattr(gait_plot, "_both", lambda figure, *_: figure)


def marks(axes: Any, label: str) -> np.ndarray:
    """``[mark, 2]`` across and down."""
    return np.asarray(next(found.get_offsets() for found in axes.collections if found.get_label() == label))


def upright(axes: Any, label: str) -> list[float]:
    """Where the upright line of each row stands."""
    (lines,) = [found.get_segments() for found in axes.collections if found.get_label() == label]
    return [float(start[0]) for start, _ in lines]


def light(axes: Any) -> np.ndarray:
    """``[seed and row, 2]``."""
    return np.concatenate([np.asarray(found.get_offsets()) for found in axes.collections if found.get_alpha() == 0.3])


@pytest.mark.usefixtures("figures")
def test_methods_stand_below_each_other_with_intervals_and_seeds() -> None:
    figure: Any = emotion_plot(FOUND, REAL)
    (axes,) = figure.axes
    np.testing.assert_allclose(marks(axes, "network"), [[0.84, 0], [0.8, 1], [0.7, 3]])
    np.testing.assert_allclose(marks(axes, "shallow learner"), [[0.78, 2], [0.6, 4]])
    lines = [found.get_segments() for found in axes.collections if hasattr(found, "get_segments")]
    np.testing.assert_allclose(lines[0][0], [[0.78, 0], [0.9, 0]])
    places = {name: place for place, name in enumerate(sorted(ACCURACY, key=lambda name: -ACCURACY[name]))}
    expected = {(round(row.accuracy, 9), places[row.method]) for row in FOUND.emotion.itertuples()}
    assert {(round(across, 9), int(down)) for across, down in light(axes)} == expected
    np.testing.assert_allclose(upright(axes, "guessing"), [0.25] * 5)
    # The best is on top.
    bottom, top = axes.get_ylim()
    assert bottom > top


@pytest.mark.usefixtures("figures")
def test_what_is_seen_has_one_cycle_and_all_together_with_guessing_and_luck() -> None:
    figure: Any = identity_plot(FOUND, REAL)
    (axes,) = figure.axes
    one, all_of_them = (marks(axes, label) for _, label, *_ in gait_plot._NAMED)
    np.testing.assert_allclose(one[:, 0], list(TOP1.values()))
    np.testing.assert_allclose(all_of_them[:, 0], [0.98, 0.78, 0.26, 0.96])
    assert (np.abs(one[:, 1] - np.arange(4)) < 0.3).all()
    np.testing.assert_allclose(upright(axes, "luck, of one cycle"), [0.09] * 4)
    np.testing.assert_allclose(upright(axes, "guessing"), [1 / 24] * 4)
    assert len(light(axes)) == 2 * len(FOUND.identity)
    named = [text.get_text() for text in axes.texts]
    assert named[:2] == ["raw joints", "0.900, together 0.980"]


def test_what_was_not_done_is_not_drawn_and_one_seed_can_be() -> None:
    nothing = pd.DataFrame()
    assert emotion_plot(replace(FOUND, emotion=nothing), REAL) is None
    assert identity_plot(replace(FOUND, identity=nothing), REAL) is None
    one = sample_results(1)
    unknown = replace(one, emotion=one.emotion.assign(accuracy_low=np.nan, accuracy_high=np.nan))
    assert "nan" not in description(drawn("emotion", DRAWN, unknown)[0], "emotion")
