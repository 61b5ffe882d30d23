"""The anonymiser's page stands alone, escapes what it is given, and says what it does not show."""

from __future__ import annotations

import base64
import re
from html import unescape
from pathlib import Path

import pytest
from html_page import Page
from sample_faces_results import sample_results

from tff_affect.errors import InputError
from tff_affect.report.faces import FacesText, summarise
from tff_affect.report.faces_page import render_faces, write_faces_page

HOSTILE = '<script>alert("x")</script>&'
RESULTS = sample_results(seeds=2, objectives=("adversary",))
ROWS = summarise(RESULTS)
DRAWN, REAL = FacesText("SYNTHETIC drawn faces", True), FacesText("yale", False)
GRID = b"\x89PNG of faces"


@pytest.fixture(scope="module")
def drawn() -> str:
    return render_faces(RESULTS, ROWS, DRAWN, GRID)


def spoken(text: str) -> str:
    plain = re.sub(r"<style>.*?</style>|<svg.*?</svg>", "", text, flags=re.DOTALL)
    return " ".join(unescape(re.sub(r"<[^>]*>", " ", plain)).split())


def test_the_page_stands_alone_with_its_pictures_inside(drawn: str) -> None:
    page = Page(drawn)
    assert page.open == []
    assert not {"script", "link", "iframe", "object", "embed", "base", "a"} & set(page.tags)
    assert page.tags.count("svg") == 2
    sources = [value for name, value in page.attributes if name in ("src", "srcset")]
    assert sources == [f"data:image/png;base64,{base64.b64encode(GRID).decode()}"]
    assert all(value and value.startswith("#") for name, value in page.attributes if name.endswith("href"))
    assert not any(name.startswith("on") for name, _ in page.attributes)
    assert "http" not in drawn
    assert re.findall(r"url\((?!#)", drawn) == []


def test_every_picture_has_words_and_identifiers_are_unique(drawn: str) -> None:
    page = Page(drawn)
    (alternative,) = [value for name, value in page.attributes if name == "alt"]
    assert alternative
    assert "Each row is one image" in alternative
    identifiers = [value for name, value in page.attributes if name == "id"]
    assert len(set(identifiers)) == len(identifiers)


def test_the_page_says_synthetic_everywhere_or_nowhere(drawn: str) -> None:
    assert spoken(drawn).startswith("SYNTHETIC - ")
    for figure in re.findall(r"<figcaption>(.*?)</figcaption>", drawn, flags=re.DOTALL):
        assert "SYNTHETIC" in figure
    for caption in re.findall(r"<caption>(.*?)</caption>", drawn):
        assert "SYNTHETIC" in caption
    assert "SYNTHETIC" not in render_faces(RESULTS, ROWS, REAL, GRID)


def test_the_page_says_what_it_does_not_show(drawn: str) -> None:
    said = spoken(drawn).partition("What this does not show")[2]
    for words in ("An attacker that failed shows no safety", "no guarantee", "file names", "are drawn"):
        assert words in said


def test_names_are_escaped() -> None:
    text = render_faces(RESULTS, ROWS, FacesText(HOSTILE, False, (HOSTILE,)))
    assert "<script" not in text
    assert HOSTILE in unescape(text)


def test_without_pictures_there_is_no_image() -> None:
    assert "img" not in Page(render_faces(RESULTS, ROWS, REAL)).tags


def test_the_page_is_written_whole_or_not_at_all(tmp_path: Path) -> None:
    path = write_faces_page(tmp_path, RESULTS, ROWS, DRAWN)
    assert path == tmp_path / "anonymizer.html"
    assert path.read_text(encoding="utf-8").endswith("</html>")
    with pytest.raises(InputError):
        write_faces_page(tmp_path / "missing", RESULTS, ROWS, DRAWN)
