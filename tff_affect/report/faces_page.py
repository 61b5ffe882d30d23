"""One HTML page for a study of the face anonymiser; no script, nothing from elsewhere, pictures inside."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from tff_affect.atomic import replace_text
from tff_affect.report.faces import FacesText, faces_caption, faces_sheets, verdicts
from tff_affect.report.faces_plot import adversary_plot, frontier_plot
from tff_affect.report.sheets_page import PageFigure, SheetsPage

ANONYMIZER_PAGE = "anonymizer.html"
_FRONTIER = (
    "Each line is one kind of transformation, its strengths beside the marks. Top left is what is wanted: emotion "
    "kept, nobody recognised. Light marks: seeds; bars: lowest to highest seed; dotted: guessing."
)
_ADVERSARY = (
    "An adversary that a transformation is trained against may adapt too slowly, or be led astray: even where it is "
    "at chance, attackers who start afresh on the finished images may name people. Only they count."
)
_GRID = (
    "Each row is one image of a test person, each column what was done to it. Rebuilt: what a decoder makes of the "
    "transformed image, trained on pairs of other people."
)
_LIMITS = (
    "An attacker that failed shows no safety. Those that were tried bound from below what there is to find; a stronger "
    "one, with more images, more people or a pretrained face network, may find more.",
    "There is no guarantee here such as differential privacy gives: nothing bounds what a picture tells of its owner.",
    "What is hidden is identity as these images carry it. Whoever knows the file names, the background, the clothes, "
    "when and where a picture was taken, or holds the original, needs no face. Age, gender, skin and ill health may "
    "remain visible; they were not measured.",
    "Every picture that is to be named is looked at alone. Of many that are known to be of one unnamed person, noise "
    "averages out, and far more people are named: do not publish several pictures under one pseudonym.",
    "Emotion here is the label of an image, posed or drawn as the set has it. It is not what somebody felt.",
    "Seeds differ in training and in who is tested. On a small set of people their spread is large, and the difference "
    "of two lines may be luck.",
)
_BANNER = (
    "These faces were drawn. The numbers show that training and attacks work on drawings; they say nothing about "
    "people."
)
_GENERATED = (
    "The faces are drawn. The numbers show that the training, the attacks and the comparison work on drawings whose "
    "identity and expression are known; how much of real faces is hidden they do not say."
)


def write_faces_page(
    folder: Path, results: pd.DataFrame, rows: pd.DataFrame, text: FacesText, grid: bytes | None = None
) -> Path:
    """Writes ``anonymizer.html``; all of it, or nothing.

    Args:
        folder: Where to.
        results: A row for each transformation, strength and seed.
        rows: Their summary, of `tff_affect.report.faces.summarise`.
        text: Whether the faces are drawn, and what is said of them.
        grid: A PNG of `tff_affect.report.face_grid`, kept in the page; None for none.

    Raises:
        InputError: If the folder cannot be written to.
    """
    path = folder / ANONYMIZER_PAGE
    replace_text(path, render_faces(results, rows, text, grid))
    return path


def render_faces(results: pd.DataFrame, rows: pd.DataFrame, text: FacesText, grid: bytes | None = None) -> str:
    """The page as one HTML document."""
    drawings = [(frontier_plot(results, rows, text), _FRONTIER), (adversary_plot(rows, text), _ADVERSARY)]
    figures = [PageFigure.drawn(drawn[0], said) for drawn, said in drawings if drawn is not None]
    if grid is not None:
        figures.append(PageFigure.picture(grid, _GRID, _GRID, text.synthetic))
    return SheetsPage(
        subject="face anonymiser",
        text=text,
        banner=_BANNER,
        sentences=verdicts(rows, text),
        figures=figures,
        sheets=faces_sheets(rows, text),
        caption=faces_caption(rows, text),
        limits=[*([_GENERATED] if text.synthetic else []), *_LIMITS],
    ).html()
