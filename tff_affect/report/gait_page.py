"""One HTML page for a study of gaits taken apart; no script, nothing from elsewhere, pictures inside."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from tff_affect.atomic import replace_text
from tff_affect.report.gait import GaitResults, GaitText, gait_caption, gait_sheets, verdicts
from tff_affect.report.gait_plot import emotion_plot, identity_plot
from tff_affect.report.sheets_page import PageFigure, SheetsPage

GAIT_PAGE = "gait.html"
MOST_BYTES = 2_500_000
"""Of all pictures together as they stand in the page, so that it can be sent and opened anywhere."""
_EMOTION = (
    "Each row is one method, the best on top. Large marks: means over seeds; light marks: seeds; lines: interval over "
    "people, the mean of the seeds' ends; dotted: guessing. Nobody is read by a method that learned from that person."
)
_IDENTITY = (
    "Each row is what an attacker sees of strangers. Large marks: means over seeds; light marks: seeds; dotted: "
    "guessing; dashed: what the strongest of several attackers stays below in 99 % of cases by luck."
)
_BANNER = (
    "These walkers were drawn. The numbers show that training, attacks and explanations work on drawings; they say "
    "nothing about people."
)
_LIMITS = (
    "An attacker that failed shows no safety. Those that were tried bound from below what there is to find; a stronger "
    "one, with more cycles, more people or a sequence model, may find more.",
    "There is no guarantee here such as differential privacy gives: nothing bounds what a code tells of its owner.",
    "Each cycle that is to be named is looked at alone, but for the column that takes a person's together: noise "
    "averages out over many. Do not release several codes under one pseudonym.",
    "Age, gender, injury and ill health show in how somebody walks; whether codes keep them was not measured.",
    "Emotion here is the label of a recording, acted or drawn as the set has it. It is not what somebody felt.",
    "People of one collection share its room, its suit and its markers; walks from elsewhere may be read less well.",
    "An explanation says what a network used, not what emotion is.",
    "Seeds differ in who is a stranger and in training. On few people their spread is large, and the difference of two "
    "methods may be luck.",
)
_GENERATED = (
    "The walkers are drawn. Their identity and emotion are known and simpler than those of people; how much of real "
    "gaits is hidden the numbers do not say."
)


def write_gait_page(
    folder: Path, found: GaitResults, text: GaitText, pictures: Mapping[str, tuple[bytes, str]]
) -> Path:
    """Writes ``gait.html``; all of it, or nothing.

    Args:
        folder: Where to.
        found: What the study found.
        text: Whether walkers are drawn, and what is said of them.
        pictures: What stands below a picture -> PNG and words for who cannot see it, such as stick figures and heat
            maps. They are kept in the page, as many as there is room for; those left out are named.

    Returns:
        The file written.

    Raises:
        InputError: If the folder cannot be written to.
    """
    path = folder / GAIT_PAGE
    replace_text(path, render_gait(found, text, pictures))
    return path


def render_gait(found: GaitResults, text: GaitText, pictures: Mapping[str, tuple[bytes, str]] | None = None) -> str:
    """The page as one HTML document."""
    drawings = [(emotion_plot(found, text), _EMOTION), (identity_plot(found, text), _IDENTITY)]
    figures = [PageFigure.drawn(drawn[0], said) for drawn, said in drawings if drawn is not None]
    shown, left_out = _fitting(pictures or {})
    figures += [PageFigure.picture(png, said, name, text.synthetic) for name, (png, said) in shown.items()]
    return SheetsPage(
        subject="emotion and identity in gaits, taken apart",
        text=text,
        banner=_BANNER,
        sentences=verdicts(found, text),
        figures=figures,
        sheets=gait_sheets(found, text),
        caption=" ".join([gait_caption(found, text), *left_out]),
        limits=[*([_GENERATED] if text.synthetic else []), *_LIMITS],
    ).html()


def _fitting(
    pictures: Mapping[str, tuple[bytes, str]],
) -> tuple[dict[str, tuple[bytes, str]], list[str]]:
    """Pictures for which there is room, in their order, and a sentence that names the others."""
    shown, room = {}, MOST_BYTES
    for name, picture in pictures.items():
        # In base64, three bytes are four letters.
        size = 4 * -(-len(picture[0]) // 3)
        if size <= room:
            shown[name] = picture
            room -= size
    others = [name for name in pictures if name not in shown]
    return shown, [f"Too large for this page, and left out of it: {', '.join(others)}."] if others else []
