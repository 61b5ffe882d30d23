"""Personalisation of a finished study: tables and a figure beside it."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd

from tff_affect.atomic import replace_text
from tff_affect.evaluation.personalised import gains
from tff_affect.learning.personalization_config import PersonalizationConfig
from tff_affect.progress import Progress
from tff_affect.run_folder import PERSONALISED, read_json

GAINS, TABLES, FIGURE = "gains.csv", "personalised.md", "personalised.svg"


@dataclass(frozen=True)
class PersonalizationRequest:
    """What to personalise.

    Attributes:
        study: A finished study's folder.
        cohort: Its cohort, where it does not lie where it lay.
        out: Where results go; ``personalised`` in the study by default.
        config: Which ways, and how.
    """

    study: Path
    cohort: Path | None = None
    out: Path | None = None
    config: PersonalizationConfig = field(default_factory=PersonalizationConfig)


@dataclass(frozen=True)
class Personalised:
    """What came of it.

    Attributes:
        frame: As of `tff_affect.evaluation.personalised.read_personalised`.
        summary: As of `tff_affect.evaluation.personalised.gains`.
        settings: What ``settings.json`` holds.
        folder: Where it lies.
    """

    frame: pd.DataFrame
    summary: pd.DataFrame
    settings: dict[str, Any]
    folder: Path


def personalize(request: PersonalizationRequest, progress: Progress) -> Personalised:
    """Personalises a study and writes tables and figure; run again it carries out what is missing.

    Raises:
        InputError: For anything wrong with the study, its cohort or the folder.
    """
    from tff_affect.runs.personal_study import SETTINGS, PersonalStudy
    from tff_affect.staging import private_temporary_files

    folder = request.out or request.study / PERSONALISED
    with private_temporary_files():
        frame = PersonalStudy.open(request.study, request.config, request.cohort).personalise(folder, progress)
    from tff_affect.report.personalised import markdown
    from tff_affect.report.personalised_plot import slopes_plot

    found = Personalised(frame, gains(frame), read_json(folder / SETTINGS), folder)
    replace_text(folder / GAINS, found.summary.to_csv(index=False, lineterminator="\n"))
    replace_text(folder / TABLES, markdown(frame, found.settings))
    replace_text(folder / FIGURE, slopes_plot(frame, found.settings) or "")
    return found
