"""Which columns of a file of labels are raters, and not a confidence, a time of day or another dimension."""

from __future__ import annotations

import re
from collections.abc import Sequence

__all__ = ["named_like_raters"]

_WORD = r"rater|annotator|evaluator|coder|judge|observer|rating|annotation|ann|anno"
_RATER = re.compile(
    rf"\d{{1,3}}|[fm]{{1,2}}[ _-]?\d{{1,3}}|(?:r|a|{_WORD})[ _.-]?\d{{1,3}}|(?:{_WORD})[ _.-][a-z]", re.I
)


def named_like_raters(names: Sequence[str]) -> bool:
    """Whether columns are named as raters are.

    These are: RECOLA's ``FM1`` and ``FF2``; a letter or a word with a number, as ``R1``, ``A2``, ``rater_3``,
    ``annotator 12``; ``rater_a``; bare numbers; and ``A``, ``B``, ``C`` ... without a gap.
    """
    letters = [chr(ord("A") + i) for i in range(len(names))]
    return sorted(names) == letters or all(_RATER.fullmatch(name) for name in names)
