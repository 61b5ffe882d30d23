"""Strips of stick figures: where the joints are, the same each time, SYNTHETIC where walkers are made up."""

from __future__ import annotations

from dataclasses import replace
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest

from data_prep.synthetic_walkers import SyntheticWalkersConfig, draw_walkers
from tff_affect.errors import InputError
from tff_affect.report import stick_figures as module
from tff_affect.report.stick_figures import stick_figures

GAITS = draw_walkers(SyntheticWalkersConfig(people=1, takes=1, cycles=2))
ROWS = {emotion: GAITS.motions[GAITS.emotions.index(emotion)] for emotion in ("angry", "sad")}


def texts(svg: str) -> list[str]:
    return [str(element.text) for element in ElementTree.fromstring(svg).iter() if element.tag.endswith("text")]


def test_a_strip_is_the_same_each_time_and_says_synthetic_only_where_it_is() -> None:
    svg, png = stick_figures(ROWS, GAITS, "Two walks")
    assert stick_figures(ROWS, GAITS, "Two walks") == (svg, png)
    assert png.startswith(b"\x89PNG")
    assert {"SYNTHETIC data", "Two walks", "angry", "sad", "left", "right"} <= set(texts(svg))
    real = stick_figures(ROWS, replace(GAITS, synthetic=False), "Two walks")[0]
    assert "SYNTHETIC" not in real
    assert "9 stick figures over one gait cycle, from the side, in each row: angry; sad." in real


@pytest.fixture
def figures(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """The figures that are drawn, to be measured."""
    drawn: list[Any] = []
    monkeypatch.setattr(module, "to_svg", lambda figure, *_: drawn.append(figure) or "")
    return drawn


@pytest.mark.parametrize(("view", "axis"), [("side", 0), ("front", 1)])
def test_bones_are_between_their_joints(figures: list[Any], view: str, axis: int) -> None:
    stick_figures(ROWS, GAITS, "t", figures=4, view=view)
    points = bones_of(figures[0].axes[1])
    shown = ROWS["sad"][[0, 16, 32, 48]]
    assert len(points) == 4 * len(GAITS.bones)
    expected = [motion[list(bone), 2].tolist() for motion in shown for bone in GAITS.bones]
    np.testing.assert_allclose(sorted(points[:, :, 1].tolist()), sorted(expected), atol=1e-6)
    # Figures stand apart in a row, each as wide as it is.
    heads = heads_of(figures[0].axes[1])
    for motion, head in zip(shown, heads, strict=True):
        left = head[0] - motion[0, axis] + motion[:, axis].min()
        right = head[0] - motion[0, axis] + motion[:, axis].max()
        own = points[((points[:, :, 0] > left - 1e-6) & (points[:, :, 0] < right + 1e-6)).all(axis=1)]
        assert len(own) == len(GAITS.bones)
        assert (own[:, :, 0].min(), own[:, :, 0].max()) == pytest.approx((left, right), abs=1e-6)


def bones_of(panel: Any) -> np.ndarray:
    """``[bone, 2, 2]`` ends of all bones that are drawn."""
    lines = [line.get_xydata() for line in panel.lines if line.get_label() != "_head"]
    return np.concatenate([line.reshape(-1, 3, 2)[:, :2] for line in lines])


def heads_of(panel: Any) -> np.ndarray:
    """``[figure, 2]``."""
    return np.asarray(next(line.get_xydata() for line in panel.lines if line.get_label() == "_head"))


def test_left_and_right_have_their_colours(figures: list[Any]) -> None:
    stick_figures({"a": ROWS["angry"]}, GAITS, "t", figures=1)
    lines = {line.get_label(): (line.get_color(), len(line.get_xydata()) // 3) for line in figures[0].axes[0].lines}
    assert lines["left"] == (module.BLUE, 6)
    assert lines["right"] == (module.ORANGE, 6)
    assert lines["_middle"] == (module.INK, 2)


def test_what_cannot_be_drawn_is_refused() -> None:
    with pytest.raises(InputError, match=r"expected rows \[time, 15 joints, 3\], found \[64, 14, 3\] of 'a'"):
        stick_figures({"a": ROWS["sad"][:, :14]}, GAITS, "t")
    with pytest.raises(InputError, match="found 0 rows of 9 figures"):
        stick_figures({}, GAITS, "t")
    with pytest.raises(InputError, match="a view of side, front, found 'top'"):
        stick_figures(ROWS, GAITS, "t", view="top")
