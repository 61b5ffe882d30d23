"""``fusion.json``: how the labels of a folder were made of several raters' ratings."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from data_prep.files.delimited import read_text
from data_prep.labels.gold_standard import check_fusion, check_smoothing
from tff_affect.errors import InputError

__all__ = ["FUSION_JSON", "FusionRecord", "read_fusion", "write_fusion"]

FUSION_JSON = "fusion.json"


@dataclass(frozen=True)
class FusionRecord:
    """How labels were made.

    Attributes:
        rule: A name in ``data_prep.labels.gold_standard.FUSIONS``.
        smooth_seconds: Width of the median filter over the gold standard; 0 for none.
        synthetic: Whether the ratings were generated.
    """

    rule: str
    smooth_seconds: float = 0.0
    synthetic: bool = False

    def __str__(self) -> str:
        """The rule and, if there was one, the filter."""
        return self.rule + (f", median over {self.smooth_seconds:g} s" if self.smooth_seconds else "")


def write_fusion(folder: Path, record: FusionRecord) -> None:
    """Writes the record into a folder of labels."""
    smoothing = {"kind": "median", "seconds": record.smooth_seconds} if record.smooth_seconds else None
    content = {"rule": record.rule, "smoothing": smoothing, "synthetic": record.synthetic}
    (Path(folder) / FUSION_JSON).write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")


def read_fusion(folder: Path) -> FusionRecord | None:
    """The record in a folder of labels; None if there is none.

    Raises:
        InputError: If there is a file of that name which is no record.
    """
    file = Path(folder) / FUSION_JSON
    if not file.exists():
        return None
    try:
        content = json.loads(read_text(file))
        smoothing = content["smoothing"]
        record = FusionRecord(content["rule"], float(smoothing["seconds"]) if smoothing else 0.0, content["synthetic"])
        check_fusion(record.rule)
        check_smoothing(record.smooth_seconds)
    except (ValueError, TypeError, KeyError, RecursionError, InputError) as error:
        what = getattr(error, "reason", "rule, smoothing or synthetic is missing or unreadable")
        raise InputError(f"expected what 'labels fuse' writes: {what}; repair or remove it", file=file) from error
    return record
