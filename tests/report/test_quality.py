import io
import re
from dataclasses import replace
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path
from xml.etree import ElementTree

import matplotlib.image
import numpy as np
import pytest

from tff_affect.errors import InputError
from tff_affect.report import quality
from tff_affect.report.quality import QualityMap, quality_html, quality_png, quality_svg, write_quality

COLOURS = [colour for _, colour, _ in quality._CLASSES]
STRIPS = {
    "P1": (1.0,) * 60,
    "P2": (0.0, 0.2, 0.5, 0.95) * 10 + (None,) * 20,
    "<b>P3": (None,) * 30 + (1.0,) * 0 + (None,) * 30,
}
MAP = QualityMap(
    name="toy <b>source</b>",
    synthetic=True,
    time_unit="second",
    span=120.0,
    strips=STRIPS,
    table=({"subject": "<i>P1", "frames": "3000"},),
    problems=("subject P2: only <u>40 %</u>",),
    notes=("two subjects have no labels",),
)


def pixels(content: bytes) -> np.ndarray:
    """``[height, width, 3]`` 0-255."""
    return np.rint(matplotlib.image.imread(io.BytesIO(content))[..., :3] * 255).astype(int)


def count(image: np.ndarray, colour: str) -> int:
    wanted = [int(colour[i : i + 2], 16) for i in (1, 3, 5)]
    return int((image == wanted).all(axis=2).sum())


def relative_luminance(colour: str) -> float:
    """As WCAG 2 defines it."""
    parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [p / 12.92 if p <= 0.03928 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def test_classes_differ_in_lightness() -> None:
    light = [relative_luminance(colour) for colour in COLOURS]
    assert light == sorted(light)
    contrast = [(b + 0.05) / (a + 0.05) for a, b in pairwise(light)]
    assert min(contrast) > 1.5


@pytest.mark.parametrize(
    ("share", "colour"), [(0.0, 0), (0.01, 1), (0.4999, 1), (0.5, 2), (0.89, 2), (0.9, 3), (0.999, 3), (1.0, 4)]
)
def test_a_share_has_the_colour_of_its_class(share: float, colour: int) -> None:
    drawn = replace(MAP, strips={"P1": (share,) * 60})
    svg = quality_svg(drawn)
    cells = re.findall(r"fill: (#[0-9a-f]{6}); stroke: (#[0-9a-f]{6}); stroke-width: 0.2", svg)
    assert set(cells) == {(COLOURS[colour],) * 2}
    image = pixels(quality_png(drawn))
    # The legend has one patch of each; the map fills more than any of them.
    assert max(COLOURS, key=lambda c: count(image, c)) == COLOURS[colour]


def test_time_after_the_end_looks_like_nothing_else() -> None:
    """Only 'P1' over half the map: the other half shows the hatch on white, and no class."""
    whole = pixels(quality_png(replace(MAP, strips={"P1": (0.0,) * 60})))
    half = pixels(quality_png(replace(MAP, strips={"P1": (0.0,) * 30 + (None,) * 30})))
    assert whole.shape == half.shape
    patch = count(pixels(quality_png(replace(MAP, strips={"P1": (1.0,) * 60}))), COLOURS[0])
    assert (count(half, COLOURS[0]) - patch) / (count(whole, COLOURS[0]) - patch) == pytest.approx(0.5, abs=0.02)
    assert [count(half, c) for c in COLOURS[1:]] == pytest.approx([count(whole, c) for c in COLOURS[1:]], abs=3)
    assert "after the end" in quality_svg(MAP)


def test_pictures_are_deterministic_and_well_formed() -> None:
    assert quality_png(MAP) == quality_png(MAP)
    assert quality_svg(MAP) == quality_svg(MAP)
    root = ElementTree.fromstring(quality_svg(MAP))
    assert root.get("role") == "img"
    names = {element.attrib["id"]: element.text for element in root.iter() if "id" in element.attrib}
    assert all(names[label] for label in root.attrib["aria-labelledby"].split())
    assert "120 seconds" in (names["quality-description"] or "")


def test_synthetic_is_said_only_when_it_is() -> None:
    real = replace(MAP, synthetic=False)
    assert b"SYNTHETIC" in quality_png(MAP)
    assert b"SYNTHETIC" not in quality_png(real)
    assert quality_html(MAP).count("SYNTHETIC") >= 5
    assert "SYNTHETIC" not in quality_html(real)
    # The heading takes room of its own.
    assert pixels(quality_png(MAP)).sum() != pixels(quality_png(real)).sum()


class Tags(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.attributes: set[str] = set()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.attributes |= {name for name, _ in attrs}


def test_the_page_stands_alone_and_escapes_names() -> None:
    text = quality_html(MAP)
    found = Tags()
    found.feed(text)
    assert not found.tags & {"script", "link", "iframe", "img", "image", "object", "embed", "base", "i", "b", "u"}
    assert not {name for name in found.attributes if name.startswith("on") or name in ("src", "srcset")}
    assert "http" not in text
    assert "data:" not in re.sub(r"SYNTHETIC data[.:]", "", text)
    assert not re.search(r"url\((?!#)|@import", text)
    assert not re.search(r'href="(?!#)', text)
    assert "toy &lt;b&gt;source&lt;/b&gt;" in text
    assert "only &lt;u&gt;40 %&lt;/u&gt;" in text
    assert '<th scope="row">&lt;i&gt;P1</th><td>3000</td>' in text
    assert "two subjects have no labels" in text
    assert "time (s)" in text


def test_steps_are_not_called_seconds() -> None:
    text = quality_html(replace(MAP, time_unit="step", span=20.0, notes=()))
    assert "time (s)" not in text
    assert "20\nsteps" in text
    assert "Notes" not in text
    assert "Nothing wrong" in quality_html(replace(MAP, problems=()))


def test_of_a_large_source_the_least_tracked_are_drawn() -> None:
    strips = {f"P{i}": (1.0 if i % 2 else 0.1,) * 60 for i in range(400)}
    text = quality_svg(replace(MAP, strips=strips))
    assert "the 200 tracked least of 400" in text
    assert COLOURS[1] in text
    drawn = quality._drawn(replace(MAP, strips=strips))
    assert list(drawn) == [f"P{i}" for i in range(0, 400, 2)]


def test_files_are_written_by_suffix_or_not_at_all(tmp_path: Path) -> None:
    assert write_quality(tmp_path / "q.PNG", MAP).read_bytes() == quality_png(MAP)
    assert write_quality(tmp_path / "q.html", MAP).read_text() == quality_html(MAP)
    for name in ("q.pdf", "q", "q.htm"):
        with pytest.raises(InputError, match=r"to end in \.png or \.html"):
            write_quality(tmp_path / name, MAP)
    with pytest.raises(InputError, match="no subject could be read"):
        write_quality(tmp_path / "empty.png", replace(MAP, strips={}))
    with pytest.raises(InputError, match="cannot write here"):
        write_quality(tmp_path / "missing" / "q.png", MAP)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["q.PNG", "q.html"]
