"""What the names of face images say: whose face, and what it shows."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from data_prep.labelled_report import Dropped

YALE_EXPRESSIONS = {
    "happy": "happy", "normal": "neutral", "sad": "sad", "sleepy": "sleepy", "surprised": "surprised", "wink": "wink",
}  # fmt: skip
YALE_CONDITIONS = ("centerlight", "glasses", "leftlight", "noglasses", "rightlight")
JAFFE_EXPRESSIONS = {
    "AN": "angry", "DI": "disgusted", "FE": "afraid", "HA": "happy", "NE": "neutral", "SA": "sad", "SU": "surprised",
}  # fmt: skip
LONDON_VIEWS = {"03": "neutral", "08": "happy"}
NO_EMOTION = "no expression"
_ENDING = r"(?:\.(?:gif|png|jpe?g|tiff?|pgm|ppm|bmp|webp|jp2|avif|pcx|sgi|ras))?"
_YALE = re.compile(rf"(subject\d+)\.({'|'.join((*YALE_EXPRESSIONS, *YALE_CONDITIONS))}){_ENDING}", re.IGNORECASE)
_JAFFE = re.compile(rf"([a-z]{{2}})\.({'|'.join(JAFFE_EXPRESSIONS)})\d+\.\d+{_ENDING}", re.IGNORECASE)
_LONDON = re.compile(rf"(\d{{3}})_(\d\d){_ENDING}", re.IGNORECASE)


@dataclass(frozen=True)
class FaceFile:
    """One image and what its name says.

    Attributes:
        name: Of the file, relative to the folder, with slashes.
        subject: Whose face.
        emotion: What it shows.
        is_expression: False for a condition (light, glasses) that stands in an emotion's place.
    """

    name: str
    subject: str
    emotion: str
    is_expression: bool = True


def _yale(name: str, all_conditions: bool) -> FaceFile | Dropped | None:
    found = _YALE.fullmatch(name)
    if found is None:
        return None
    subject, condition = found[1].lower(), found[2].lower()
    if condition in YALE_EXPRESSIONS:
        return FaceFile(name, subject, YALE_EXPRESSIONS[condition])
    if all_conditions:
        return FaceFile(name, subject, condition, is_expression=False)
    return Dropped(name, NO_EMOTION, f"{condition} is a condition of light or glasses")


def _jaffe(name: str, _: bool) -> FaceFile | None:
    found = _JAFFE.fullmatch(name)
    return found and FaceFile(name, found[1].upper(), JAFFE_EXPRESSIONS[found[2].upper()])


def _london(name: str, _: bool) -> FaceFile | Dropped | None:
    found = _LONDON.fullmatch(name)
    if found is None:
        return None
    if found[2] in LONDON_VIEWS:
        return FaceFile(name, found[1], LONDON_VIEWS[found[2]])
    return Dropped(name, NO_EMOTION, f"view {found[2]} is neither 03 nor 08")


def in_folders(name: str) -> FaceFile | None:
    """``<subject>/<emotion>/<image>``."""
    parts = name.split("/")
    return FaceFile(name, parts[0].strip(), parts[1].strip().lower()) if len(parts) == 3 else None


# (name, whether all conditions are kept) -> what it says; None where it does not fit.
NAME_READERS: Mapping[str, Callable[[str, bool], FaceFile | Dropped | None]] = {
    "yale": _yale,
    "jaffe": _jaffe,
    "london": _london,
}


def missing(layout: str, names: Iterable[str]) -> tuple[str, ...]:
    """Of Yale and London, whose sets of conditions are known, what somebody lacks: no sentence, or one."""
    if layout not in ("yale", "london"):
        return ()
    pattern = _YALE if layout == "yale" else _LONDON
    expected = (*YALE_EXPRESSIONS, *YALE_CONDITIONS) if layout == "yale" else tuple(LONDON_VIEWS)
    there: dict[str, set[str]] = {}
    for name in names:
        found = pattern.fullmatch(name)
        if found is not None:
            there.setdefault(found[1].lower(), set()).add(found[2].lower())
    between = "." if layout == "yale" else "_"
    lacking = [
        f"{subject}{between}{word}" for subject in sorted(there) for word in expected if word not in there[subject]
    ]
    return (f"missing: {', '.join(lacking)}",) if lacking else ()
