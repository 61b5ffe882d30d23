"""Whose window is it? How well two simple attackers tell subjects apart by their features.

Action units leave the image behind, and not the person: faces differ at rest, in strength and in style of expression
(Cohn et al., "Individual differences in facial expression", FG 2002). The probe cuts each recording into windows,
trains on its first part, and names the subject of the windows of its last part.

Both parts are of one session. What camera, light and seat do to a tracker helps to tell subjects apart too, so that the
same attackers usually do worse on another day; more recording helps them, and a better attacker may do better.
`ProbeResult.limits` says so.

Whether they found anybody is decided by a permutation test (Good, "Permutation, Parametric, and Bootstrap Tests of
Hypotheses", 2005): if subjects are alike, it does not matter which last part belongs to which first part. A bootstrap
interval over three to five subjects is far too narrow for that.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from tff_affect.cohort import SubjectTable
from tff_affect.errors import InputError
from tff_affect.privacy.audit import attackers
from tff_affect.privacy.audit.attackers import FOREST, LOGISTIC
from tff_affect.privacy.audit.exposed import Exposed, gather
from tff_affect.privacy.audit.finding import SIGNIFICANT
from tff_affect.privacy.audit.reidentification import Figures, Interval, compare
from tff_affect.privacy.audit.samples import Samples
from tff_affect.privacy.identity_windows import AS_THEY_ARE, VIEWS, Recording, cut_recording

__all__ = [
    "FOREST",
    "LEAST_SUBJECTS_FOR_VERDICT",
    "LOGISTIC",
    "AttackScore",
    "ProbeConfig",
    "ProbeResult",
    "probe_identity",
]

LEAST_SUBJECTS_FOR_VERDICT = 5
"""Four can be told apart in 24 ways: a verdict would hang on the single best of them."""


@dataclass(frozen=True)
class ProbeConfig:
    """Settings of the probe.

    Attributes:
        window_seconds: Length of a window; sequences of steps take each step as a window.
        seed: Seed of the forest, of the permutations and of the choice of subjects.
        trees: Trees of the forest.
        most_subjects: A larger cohort is represented by this many subjects, drawn by the seed: a forest's memory grows
            with the square of their number.
    """

    window_seconds: float = 10.0
    seed: int = 0
    trees: int = 300
    most_subjects: int = 100

    def __post_init__(self) -> None:
        if not 0 < self.window_seconds < float("inf"):
            raise InputError(f"identity probe: expected a window above 0 seconds, found {self.window_seconds:g}")
        for name, least in (("trees", 1), ("most_subjects", 2), ("seed", 0)):
            if getattr(self, name) < least:
                raise InputError(f"identity probe: expected {name} of at least {least}, found {getattr(self, name)}")


@dataclass(frozen=True)
class AttackScore:
    """How one attacker did. Shares are of a subject's test windows, averaged over subjects, so that chance is exact.

    Attributes:
        view: One of ``VIEWS``.
        attacker: ``random forest`` or ``logistic regression``.
        strongest: Whether it is the better one of its view.
        top1: Share of test windows given to the right subject.
        p: How often the best of the four tests does as well by chance, from permutations of subjects.
        top1_interval: 95 % bootstrap interval over subjects; None with fewer than eight.
        top5: Share with the right subject among the five likeliest; None with fewer than 20 subjects.
        top5_interval: Likewise.
    """

    view: str
    attacker: str
    strongest: bool
    top1: float
    p: float
    top1_interval: Interval | None
    top5: float | None
    top5_interval: Interval | None


@dataclass(frozen=True)
class ProbeResult:
    """What the probe found.

    Attributes:
        scores: Every view and attacker.
        subjects: Subjects that took part.
        chance: Of naming the right one by guessing, 1 / subjects; five times that for the top five.
        training_windows: Windows trained on.
        test_windows: Windows to name.
        trained_on: Minutes (or steps) of windows trained on, the mean over subjects.
        trained_on_unit: ``minutes`` or ``steps``.
        window: What a window is, in words.
        left_out: Subject -> why it did not take part.
        not_drawn: Subjects that a large cohort left over.
    """

    scores: tuple[AttackScore, ...]
    subjects: int
    chance: float
    training_windows: int
    test_windows: int
    trained_on: float
    trained_on_unit: str
    window: str
    left_out: Mapping[str, str]
    not_drawn: int

    def strongest(self, view: str) -> AttackScore:
        """The attacker of a view with the larger ``top1``."""
        return next(score for score in self.scores if score.view == view and score.strongest)

    def beats_chance(self, view: str) -> bool:
        """Whether an attacker's corrected ``p`` is at most 0.05, of five subjects or more."""
        enough = self.subjects >= LEAST_SUBJECTS_FOR_VERDICT
        return enough and any(score.p <= SIGNIFICANT for score in self.scores if score.view == view)

    def verdict(self) -> str:
        """One sentence that claims what was seen, and no more."""
        if self.subjects < LEAST_SUBJECTS_FOR_VERDICT:
            return (
                f"too few subjects for a verdict: the shares of {self.subjects} cannot be told from luck (it takes "
                f"{LEAST_SUBJECTS_FOR_VERDICT}), which does not make anybody anonymous"
            )
        rising = sorted(self.scores, key=lambda score: score.top1)
        beaten = {score.view: f"in {100 * score.top1:.0f} % of windows" for score in rising if score.p <= SIGNIFICANT}
        if not beaten:
            return "these two attackers did not beat chance, which proves nothing about others"
        found = " and ".join(f"{beaten[view]} with the features {view}" for view in VIEWS if view in beaten)
        rest = "".join(f"; {view}, chance was not beaten" for view in VIEWS if view not in beaten)
        return (
            f"action units are not anonymous: a simple attacker names the right one of {self.subjects} subjects from "
            f"{self.window}, {found} (chance {100 * self.chance:.3g} %){rest}"
        )

    def limits(self) -> tuple[str, ...]:
        """What the figures do and do not say, one sentence each."""
        return (
            "Training and test windows are of one session, whose camera, light and seat help to tell subjects apart: "
            "another day usually lowers the figures.",
            f"They were trained on {self.trained_on:.3g} {self.trained_on_unit} per subject; more recording raises the "
            "figures, which bound nothing from above.",
            "A better attacker finds more: they are a lower bound of what the windows of this session give away.",
            "Standardising by the whole recording pushes the last part of a recording away from its first, and simple "
            "attackers below chance: a low figure in that view does not show that nothing is left to find.",
        )

    def to_json(self) -> dict[str, Any]:
        """The result as JSON types, verdict and limits included."""
        return {**asdict(self), "verdict": self.verdict(), "limits": list(self.limits())}


def probe_identity(
    tables: Iterable[tuple[str, SubjectTable]],
    frame_rate: float,
    features: Sequence[str],
    time_unit: str = "second",
    config: ProbeConfig | None = None,
) -> ProbeResult:
    """Attacks a source by its features. Nothing is written.

    Args:
        tables: Subjects with their tables; read one at a time, and only the windows' statistics are kept.
        frame_rate: Frames per time unit.
        features: Feature names, to check the tables by.
        time_unit: ``second``, or ``step``: each step is then a window of its own.
        config: Settings; by default windows of 10 s and 300 trees.

    Returns:
        The scores of both attackers in both views.

    Raises:
        InputError: If a table has another number of features, or fewer than two subjects have enough windows.
    """
    config = config or ProbeConfig()
    frames = 1 if time_unit == "step" else max(1, round(config.window_seconds * frame_rate))
    recordings: dict[str, Recording] = {}
    for subject, table in tables:
        if table.features.shape[1] != len(features):
            found = f"expected {len(features)} features, found {table.features.shape[1]}"
            raise InputError(found, subject=subject)
        recordings[subject] = cut_recording(table, frame_rate, frames, time_unit)
    usable = _exposed(recordings, AS_THEY_ARE)
    _require_subjects(usable)
    drawn = _draw(list(usable.people), config)
    views = {view: _exposed({subject: recordings[subject] for subject in drawn}, view) for view in VIEWS}
    known, unknown = views[AS_THEY_ARE].known, views[AS_THEY_ARE].unknown
    unit, per_window = ("steps", 1.0) if time_unit == "step" else ("minutes", frames / frame_rate / 60)
    return ProbeResult(
        scores=_attack(views, config),
        subjects=len(drawn),
        chance=1.0 / len(drawn),
        training_windows=len(known.owner),
        trained_on=len(known.owner) / len(drawn) * per_window,
        trained_on_unit=unit,
        test_windows=len(unknown.owner),
        window="one step" if time_unit == "step" else f"{frames / frame_rate:g} s of recording",
        left_out=usable.left_out,
        not_drawn=len(usable.people) - len(drawn),
    )


def _exposed(recordings: Mapping[str, Recording], view: str) -> Exposed:
    return gather({name: (Samples(cut.train[view]), Samples(cut.test[view])) for name, cut in recordings.items()})


def _require_subjects(usable: Exposed) -> None:
    if len(usable.people) < 2:
        named = "; ".join(f"{subject}: {why}" for subject, why in list(usable.left_out.items())[:3])
        raise InputError(
            "identity probe: expected at least two subjects with two windows in the first 60 % of their recording and "
            f"one in the last 30 %, found {len(usable.people)}; shorten the window or give longer recordings"
            + (f" ({named})" if named else "")
        )


def _draw(subjects: list[str], config: ProbeConfig) -> list[str]:
    if len(subjects) <= config.most_subjects:
        return subjects
    chosen = np.random.default_rng(config.seed).choice(len(subjects), config.most_subjects, replace=False)
    return [subjects[number] for number in sorted(chosen)]


def _attack(views: Mapping[str, Exposed], config: ProbeConfig) -> tuple[AttackScore, ...]:
    """Both attackers learn from the first parts and name the windows of the last parts, in both views."""
    families = (attackers.plain_forest(config.trees), attackers.logistic())
    tried = [(view, family) for view in views for family in families]
    scores = [family.scores(views[view], config.seed) for view, family in tried]
    figures, _ = compare(scores, views[AS_THEY_ARE].unknown, config.seed)
    best = {view: max(one.top1 for (of, _), one in zip(tried, figures, strict=True) if of == view) for view in views}
    named: list[AttackScore] = []
    for (view, family), one in zip(tried, figures, strict=True):
        is_first = not any(score.view == view and score.strongest for score in named)
        named.append(_score(view, family.name, is_first and one.top1 == best[view], one))
    return tuple(named)


def _score(view: str, attacker: str, strongest: bool, found: Figures) -> AttackScore:
    return AttackScore(
        view, attacker, strongest, found.top1, found.p, found.top1_interval, found.top5, found.top5_interval
    )
