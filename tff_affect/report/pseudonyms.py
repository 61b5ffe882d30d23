"""Names for subjects in what is passed on: client 01, client 02, ... in an order that tells nothing.

The order is a random permutation, drawn with a key that is made of what a report does not publish: the sums behind
every measure, in full. Whoever holds the study's folder can make it again, so that two reports of one study agree;
whoever has the report and a list of ids cannot, as one could with a hash of each id.

It hides who is who from readers, and from nobody who holds recordings, gold standards or the study's folder: a course
over time, or a client's CCC, is recognised by those who know it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd

from tff_affect.errors import InputError
from tff_affect.evaluation.per_client import STATISTICS
from tff_affect.privacy.guarantee import Guarantee, without_client
from tff_affect.report.privacy import StudyPrivacy
from tff_affect.report.study import Study
from tff_affect.run_folder import GROUPS, QUALITY

_PURPOSE = 0x70736575


def key_of(results: pd.DataFrame) -> bytes:
    """A key made of a study's results; the same whatever order their rows have.

    Args:
        results: As `tff_affect.evaluation.per_client.read_study` gives them.
    """
    names = ["seed", "fold", "method", "kind", "model", "client", "dimension"]
    ordered = results.sort_values([name for name in names if name in results.columns], ignore_index=True)
    return hashlib.sha256(np.ascontiguousarray(ordered[list(STATISTICS)].to_numpy(np.float64)).tobytes()).digest()


def pseudonyms(subjects: Iterable[str], key: bytes) -> dict[str, str]:
    """A new name for each subject.

    Args:
        subjects: Ids, in any order.
        key: Of `key_of`; it is not to be published.
    """
    ordered = sorted(set(subjects))
    rng = np.random.default_rng([_PURPOSE, *np.frombuffer(key, np.uint32).tolist()])
    width = max(2, len(str(len(ordered))))
    numbers = rng.permutation(len(ordered)) + 1
    return {subject: f"client {number:0{width}d}" for subject, number in zip(ordered, numbers, strict=True)}


def subjects_of(study: Study) -> set[str]:
    """All subjects that its tables name, those of the cohort that were left out of every split among them.

    Raises:
        InputError: If a table is unreadable.
    """
    found = {subject for split in study.splits for part in split.values() for subject in part}
    found |= set(study.results["client"]) | (set(study.results["model"]) - {""})
    for name in (GROUPS, QUALITY):
        found |= _named_in(study.folder / name)
    return found | set(study.per_client["client"])


def _named_in(file: Path) -> set[str]:
    if not file.is_file():
        return set()
    try:
        return set(pd.read_csv(file, usecols=["client"], dtype=str, keep_default_na=False)["client"])
    except (ValueError, OSError) as error:
        raise InputError(f"expected a table with a column 'client': {error}", file=file) from error


def with_pseudonyms(study: Study, names: Mapping[str, str] | None = None) -> Study:
    """The study with other names for its subjects, as it may be shown to others.

    Args:
        study: The study, with subjects' own ids.
        names: Subject -> name; by default those of `tff_affect.report.pseudonyms`, from the study's own results.
    """
    if names is None:
        names = pseudonyms(subjects_of(study), key_of(study.results))
    given = dict(names)

    def of(subject: str) -> str:
        return given.get(subject, subject)

    clients, models = study.results["client"].map(of), study.results["model"].map(of)
    return replace(
        study,
        results=study.results.assign(client=clients, model=models),
        per_client=study.per_client.assign(client=study.per_client["client"].map(of)),
        splits=tuple({part: [of(s) for s in subjects] for part, subjects in split.items()} for split in study.splits),
        privacy=_renamed_privacy(study.privacy, given),
        shown=given,
    )


def _renamed_privacy(privacy: StudyPrivacy, names: Mapping[str, str]) -> StudyPrivacy:
    def of(guarantee: Guarantee) -> Guarantee:
        per_client = {names.get(client, client): epsilon for client, epsilon in guarantee.per_client.items()}
        told = (without_client(remark, names) for remark in guarantee.remarks)
        remarks = tuple(f"{remark}{names.get(client, '')}" for remark, client in told)
        return replace(guarantee, per_client=per_client, remarks=remarks)

    methods = {
        name: replace(method, guarantees=tuple(map(of, method.guarantees))) for name, method in privacy.methods.items()
    }
    return replace(privacy, methods=methods)
