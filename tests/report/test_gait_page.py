"""The page of gaits taken apart stands alone, escapes what it is given, and says what it does not show."""

from __future__ import annotations

import base64
import re
from html import unescape
from pathlib import Path

import pandas as pd
import pytest
from html_page import Page
from sample_gait_results import sample_results

from tff_affect.errors import InputError
from tff_affect.report.gait import GaitResults, GaitText, verdicts
from tff_affect.report.gait_page import MOST_BYTES, render_gait, write_gait_page

HOSTILE = '<script>alert("x")</script>&'
FOUND = sample_results(seeds=2)
NOTHING = GaitResults(*(pd.DataFrame(),) * 4)
DRAWN, REAL = GaitText("SYNTHETIC walkers", True), GaitText("bandai", False)
PICTURES = {"Emotions exchanged": (b"\x89PNG figures", "Stick figures."), "Heat map": (b"\x89PNG map", "Joints.")}


@pytest.fixture(scope="module")
def drawn() -> str:
    return render_gait(FOUND, DRAWN, PICTURES)


def spoken(text: str) -> str:
    plain = re.sub(r"<style>.*?</style>|<svg.*?</svg>", "", text, flags=re.DOTALL)
    return " ".join(unescape(re.sub(r"<[^>]*>", " ", plain)).split())


def test_the_page_stands_alone_with_its_pictures_inside(drawn: str) -> None:
    page = Page(drawn)
    assert page.open == []
    assert not {"script", "link", "iframe", "object", "embed", "base", "a"} & set(page.tags)
    assert page.tags.count("svg") == 2
    assert page.tags.count("table") == 5
    sources = [value for name, value in page.attributes if name in ("src", "srcset")]
    assert sources == [f"data:image/png;base64,{base64.b64encode(png).decode()}" for png, _ in PICTURES.values()]
    assert all(value and value.startswith("#") for name, value in page.attributes if name.endswith("href"))
    assert not any(name.startswith("on") for name, _ in page.attributes)
    assert "http" not in drawn
    assert re.findall(r"url\((?!#)", drawn) == []
    assert len(drawn.encode()) < 300_000


def test_every_picture_has_words_and_identifiers_are_unique(drawn: str) -> None:
    page = Page(drawn)
    alternatives = [value for name, value in page.attributes if name == "alt"]
    assert alternatives == ["SYNTHETIC data. Stick figures.", "SYNTHETIC data. Joints."]
    identifiers = [value for name, value in page.attributes if name == "id"]
    assert len(set(identifiers)) == len(identifiers)


def test_sentences_come_first(drawn: str) -> None:
    text = spoken(drawn)
    places = [text.index(line) for line in verdicts(FOUND, DRAWN)]
    assert max(places) < text.index("Emotions exchanged") < text.index("Emotion read in people left out, SYNTHETIC")


def test_the_page_says_synthetic_everywhere_or_nowhere(drawn: str) -> None:
    assert spoken(drawn).startswith("SYNTHETIC - ")
    for figure in re.findall(r"<figcaption>(.*?)</figcaption>", drawn, flags=re.DOTALL):
        assert "SYNTHETIC" in figure
    for caption in re.findall(r"<caption>(.*?)</caption>", drawn):
        assert "SYNTHETIC" in caption
    assert "SYNTHETIC" not in render_gait(FOUND, REAL, PICTURES)


def test_the_page_says_what_it_does_not_show(drawn: str) -> None:
    said = spoken(drawn).partition("What this does not show")[2]
    for words in ("An attacker that failed shows no safety", "no guarantee", "several codes", "are drawn"):
        assert words in said


def test_names_are_escaped() -> None:
    text = render_gait(FOUND, GaitText(HOSTILE, False, (HOSTILE,)), {HOSTILE: (b"x", f'" onload="{HOSTILE}')})
    assert "<script" not in text
    assert HOSTILE in unescape(text)
    assert not any(name.startswith("on") for name, _ in Page(text).attributes)


def test_without_anything_there_is_a_page_all_the_same() -> None:
    tags = Page(render_gait(NOTHING, REAL)).tags
    assert not {"img", "svg", "table"} & set(tags)


def test_pictures_for_which_there_is_no_room_are_named() -> None:
    large = b"\x89PNG" + bytes(MOST_BYTES)
    text = render_gait(FOUND, REAL, {"Large": (large, "Too much."), **PICTURES})
    assert Page(text).tags.count("img") == 2
    assert "left out of it: Large." in spoken(text)
    assert len(text.encode()) < 3_000_000


def test_the_page_is_written_whole_or_not_at_all(tmp_path: Path) -> None:
    path = write_gait_page(tmp_path, FOUND, DRAWN, PICTURES)
    assert path == tmp_path / "gait.html"
    assert path.read_text(encoding="utf-8").endswith("</html>")
    with pytest.raises(InputError):
        write_gait_page(tmp_path / "missing", NOTHING, DRAWN, {})
