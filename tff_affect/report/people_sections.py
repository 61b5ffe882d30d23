"""What a study says of people: those who took part against new ones, groups, and models made each person's own."""

from __future__ import annotations

from typing import Any

import pandas as pd

from tff_affect.evaluation.fairness import FEWEST, SUPPRESSED_NOTE, ccc_by_group, group_gaps, read_groups
from tff_affect.evaluation.generalisation import participation_gaps
from tff_affect.report.section import Column, DataTable, Section, ends, measure, plain_text, text
from tff_affect.report.study import Study
from tff_affect.report.tables import number
from tff_affect.run_folder import GROUPS

_NOT_SHOWN = "not shown"
_CONSTANT = "mean predictor"
_WITHHELD = (
    "The cohort names groups ({names}). Their means are not shown here: beside the CCC of each client they give away "
    "who is in which group, since only the right clients add up to a group's mean. They are in fairness.csv and the "
    "model card of the study, and in a report that is asked for them (tff-affect report --groups), which is for those "
    "who may know who is in which group."
)
_OPEN = (
    "Beside the CCC of each client, which this report shows too, means of groups give away who is in which group: pass "
    "it on to those alone who may know."
)


def participation_section(study: Study) -> Section | None:
    """Participating against held-out clients; None where the study did not score both.

    Raises:
        InputError: If a table is unreadable.
    """
    gaps = participation_gaps(study.folder)
    if gaps is None:
        return None
    table = DataTable(
        "participation",
        "CCC of clients that took part in training, and of new ones",
        gaps,
        (
            text("dimension", "dimension"), text("method", "method"),
            text("took part", "clients_participating"), measure("their CCC", "participating"),
            text("held out", "clients_held_out"), measure("their CCC", "held_out"),
            measure("gap", "gap"), ends("95 % interval", "low", "high"),
        ),
    )  # fmt: skip
    words = (
        "How much of the agreement is owed to having trained on the very people who are scored. The gap is the mean "
        "CCC of those who took part less that of those who did not; an interval around zero says that the two cannot "
        "be told apart here."
    )
    paired = bool(gaps["paired"].all())
    how = (
        "Each client was on both sides, in other folds: the gap is within clients."
        if paired
        else "Different people are on the two sides, so that the gap holds the chance of easier people on one of them."
    )
    return Section("participation", "People who took part, and new ones", (words, how), tables=(table,))


def groups_section(study: Study, wanted: bool) -> Section | None:
    """CCC by group and the largest gap between groups; None where the cohort names no groups.

    Args:
        study: The study.
        wanted: Whether its numbers are shown; else the section says why not.

    Raises:
        InputError: If ``groups.csv`` is unreadable.
    """
    groups = read_groups(study.folder / GROUPS)
    if groups is None:
        return None
    if not wanted:
        names = ", ".join(dict.fromkeys(map(str, groups["attribute"])))
        return Section("groups", "Groups", (_WITHHELD.format(names=names),))
    measured = study.results[(study.results["kind"] == "measured") & (study.results["method"] != _CONSTANT)]
    groups = groups.assign(client=groups["client"].map(lambda client: study.shown.get(client, client)))
    by_group = ccc_by_group(measured, groups, study.dimensions)
    gaps = group_gaps(by_group)
    words = (
        "Groups are those that the cohort names. Intervals are over the test clients of a group; groups of fewer than "
        f"{FEWEST} are not shown, because their mean would say much of single people."
    )
    if by_group["suppressed"].all():
        names = ", ".join(dict.fromkeys(map(str, by_group["attribute"])))
        return Section("groups", "Groups", (words, f"Here no group can be shown ({names}): there are too few of each."))
    shown = DataTable(
        "groups",
        "CCC by group of test clients",
        by_group,
        (
            text("method", "method"), text("group", "group"),
            Column("clients", ("clients", "suppressed"), _shown_or(plain_text)),
            Column("CCC per client", ("ccc_mean", "suppressed"), _shown_or(number)),
            ends("95 % interval", "ccc_low", "ccc_high"),
        ),
        group=_headings(by_group),
        note=f"{SUPPRESSED_NOTE[:1].upper()}{SUPPRESSED_NOTE[1:]}.",
    )  # fmt: skip
    largest = DataTable(
        "group-gaps",
        "Largest difference between the groups that are shown",
        gaps,
        (text("method", "method"), measure("gap", "gap"), text("best", "best"), text("worst", "worst")),
        group=_headings(gaps),
        note="A largest difference is above zero by chance alone: read it with the intervals of the groups.",
    )
    tables = (shown, largest) if gaps["gap"].notna().any() else (shown,)
    return Section("groups", "Groups", (words,), (_OPEN,), tables)


def _headings(frame: pd.DataFrame) -> list[str]:
    return [f"{row['attribute']}: {row['dimension']}" for row in frame[["attribute", "dimension"]].to_dict("records")]


def _shown_or(form: Any) -> Any:
    """A number, or that it is not shown."""
    return lambda value, suppressed: _NOT_SHOWN if suppressed else form(value)
