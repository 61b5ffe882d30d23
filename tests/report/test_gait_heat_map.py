"""Heat maps and figures of importance: what is drawn is what was found, and SYNTHETIC where walkers are made up."""

from __future__ import annotations

from dataclasses import replace
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest

from data_prep.skeleton import JOINTS
from data_prep.synthetic_walkers import SyntheticWalkersConfig, draw_walkers
from data_prep.walk_file import CycleOptions
from tff_affect.errors import InputError
from tff_affect.gait.explanation import HeatMaps, heat_maps
from tff_affect.report import gait_heat_map as module
from tff_affect.report.gait_heat_map import heat_map, importance_figures

GAITS = draw_walkers(SyntheticWalkersConfig(people=2, takes=1, cycles=2), CycleOptions(samples=16))
WRIST = JOINTS.index("LWrist")


def found() -> HeatMaps:
    """Even, but for the left wrist at 3 eighths of the cycle, by as much as the number of the emotion."""
    importance = np.ones((len(GAITS), 8, 15))
    importance[:, 3, WRIST] += 30 * GAITS.emotion(GAITS.classes)
    return heat_maps(importance, GAITS)


def texts(svg: str) -> list[str]:
    return [str(element.text) for element in ElementTree.fromstring(svg).iter() if element.tag.endswith("text")]


@pytest.fixture
def figures(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """The figures that are drawn, to be measured."""
    drawn: list[Any] = []
    monkeypatch.setattr(module, "to_svg", lambda figure, *_: drawn.append(figure) or "")
    monkeypatch.setattr(module, "to_png", lambda _: b"")
    return drawn


def test_both_pictures_are_the_same_each_time_and_say_synthetic_only_where_it_is() -> None:
    for draw in (
        lambda synthetic: heat_map(found(), "Where emotion is", synthetic),
        lambda synthetic: importance_figures(found(), replace(GAITS, synthetic=synthetic), "Where emotion is"),
    ):
        svg, png = draw(True)
        assert draw(True) == (svg, png)
        assert png.startswith(b"\x89PNG")
        assert {"SYNTHETIC data", "Where emotion is", "importance (1: all matter alike)"} <= set(texts(svg))
        real = draw(False)[0]
        assert "SYNTHETIC" not in real
        share = 100 * (91 + 7) / (120 + 90)
        assert f"sad: LWrist {share:.0f} %, Head 4 %, Neck 4 %; most at 38 % of the cycle." in real


def test_colours_are_of_one_scale_and_joints_stand_below_each_other(figures: list[Any]) -> None:
    heat_map(found(), "t", True)
    panels = figures[0].axes
    assert [panel.get_title(loc="left") for panel in panels] == [
        f"{emotion}, {GAITS.emotions.count(emotion)} cycles" for emotion in GAITS.classes
    ]
    images = [panel.images[0] for panel in panels]
    np.testing.assert_allclose([image.get_clim() for image in images], [(0, 91 * 120 / 210)] * 4)
    for image, cells in zip(images, found().maps, strict=True):
        np.testing.assert_allclose(image.get_array(), cells.T * 120)
        left, right, bottom, top = image.get_extent()
        assert (left, right) == (0, 100)
        assert bottom > top
    assert [label.get_text() for label in panels[0].get_yticklabels()] == list(JOINTS)


def test_joints_are_as_large_as_they_are_important_where_they_are_then(figures: list[Any]) -> None:
    importance_figures(found(), GAITS, "t")
    for axes, axis in zip(figures[0].axes, (0, 1), strict=True):
        drawn = axes.collections[0]
        sizes, places = drawn.get_sizes().reshape(4, 15), drawn.get_offsets().reshape(4, 15, 2)
        expected = found().emotion_joint_importance
        np.testing.assert_allclose(sizes / sizes.max(), expected / expected.max())
        np.testing.assert_allclose(drawn.get_array().reshape(4, 15), 15 * expected)
        sad = GAITS.part(np.array(GAITS.emotions) == "sad")
        people = [sad.of([person]).motions[:, 7].mean(axis=0) for person in sad.people]
        posture = np.mean(people, axis=0)
        np.testing.assert_allclose(places[3, :, 1], posture[:, 2], atol=1e-6)
        np.testing.assert_allclose(places[3, :, 0] - places[3, 0, 0], posture[:, axis] - posture[0, axis], atol=1e-6)
        # Nobody stands in anybody's way.
        assert all(places[at, :, 0].max() < places[at + 1, :, 0].min() for at in range(3))
        assert len(axes.lines) == 4 * len(GAITS.bones)
    labels = [text.get_text() for text in figures[0].axes[1].texts]
    assert labels[-1] == "sad\nat 38 %"


def test_an_emotion_without_a_map_is_an_empty_panel_and_no_figure(figures: list[Any]) -> None:
    importance = np.ones((len(GAITS), 8, 15))
    importance[np.array(GAITS.emotions) == "angry"] = 0
    maps = heat_maps(importance, GAITS)
    heat_map(maps, "t", True)
    assert figures[0].axes[0].get_title(loc="left") == "angry, 0 cycles"
    assert figures[0].axes[0].images[0].get_array().mask.all()
    importance_figures(maps, GAITS, "t")
    assert [text.get_text().split("\n")[0] for text in figures[1].axes[1].texts] == ["happy", "neutral", "sad"]


def test_what_cannot_be_drawn_is_refused() -> None:
    none = heat_maps(np.zeros((len(GAITS), 8, 15)), GAITS)
    with pytest.raises(InputError, match="a map of at least one emotion, found none"):
        heat_map(none, "t", True)
    with pytest.raises(InputError, match="walks of the same joints with all emotions"):
        importance_figures(found(), GAITS.part(np.array(GAITS.emotions) != "sad"), "t")
    with pytest.raises(InputError, match="walks of the same joints with all emotions"):
        importance_figures(replace(found(), joints=("Nose", *JOINTS[1:])), GAITS, "t")
