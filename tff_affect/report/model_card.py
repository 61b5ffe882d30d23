"""``MODEL_CARD.md``: what a trained model is for, what it is not for, and what is known of it (Mitchell et al. 2019).

It goes with the model to whoever gets it: no subject and no path is in it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pandas as pd
from jinja2 import Environment, PackageLoader, StrictUndefined

from tff_affect import __version__
from tff_affect.atomic import replace_text
from tff_affect.config import StudyConfig
from tff_affect.config_file import load_config
from tff_affect.errors import InputError
from tff_affect.evaluation.fairness import SUPPRESSED_NOTE, ccc_by_group, group_gaps, read_groups
from tff_affect.evaluation.per_client import summarise
from tff_affect.export.description import APPLIED, MISSING, ModelDescription
from tff_affect.privacy.guarantee import Guarantee, without_client
from tff_affect.report import tables
from tff_affect.report.audit import heading, measured, verdict
from tff_affect.report.privacy import PrivateMethod, StudyPrivacy
from tff_affect.report.study import CohortFacts, Study, open_study, overlapping_subjects
from tff_affect.run_folder import CONFIG, GROUPS
from tff_affect.runs.audit.result import AUDIT, AuditResult
from tff_affect.runs.audit.settings import AUDIT_FOLDER

MODEL_CARD = "MODEL_CARD.md"
_CONTROL = re.compile(r"[\x00-\x1f\x7f]+")
_MARKUP = re.compile(r"([\\`*_{}\[\]<>#|~])")


@dataclass(frozen=True)
class _Table:
    """A table of text.

    Attributes:
        columns: Headings.
        rows: A cell for each.
    """

    columns: Sequence[str]
    rows: Sequence[Sequence[str]]


def write_model_card(folder: Path, study: Path, facts: CohortFacts, model: ModelDescription | None = None) -> Path:
    """Writes ``MODEL_CARD.md``; all of it, or nothing.

    Args:
        folder: Where to.
        study: The study that the numbers are of.
        facts: Of its cohort.
        model: The exported model that it is about; None for the study's models together.

    Returns:
        The file written.

    Raises:
        InputError: If the study has no run with results, or a file is unreadable.
    """
    path = Path(folder) / MODEL_CARD
    replace_text(path, render_model_card(Path(study), facts, model))
    return path


def render_model_card(folder: Path, facts: CohortFacts, model: ModelDescription | None = None) -> str:
    """The card as Markdown; arguments and errors as of `write_model_card`."""
    study = open_study(folder)
    study = replace(study, privacy=_nameless(study.privacy))
    config = _config(folder / CONFIG)
    records = tables.headline_records(summarise(study.results, study.dimensions), facts.synthetic, study.privacy)
    environment = Environment(
        loader=PackageLoader("tff_affect.report"),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        autoescape=False,  # Markdown: what comes from outside goes through ``plain``.
    )
    environment.filters["plain"] = plain
    return environment.get_template("model_card.md.jinja").render(
        version=__version__,
        facts=facts,
        model=model,
        missing=MISSING,
        applied=APPLIED,
        config=config,
        training=_training(study, config),
        headline=_headline(records),
        caption=tables.headline_caption(records, _protocol(study)),
        groups=_groups(study, folder),
        suppressed_note=SUPPRESSED_NOTE,
        privacy=[_privacy(method) for method in study.privacy.methods.values()],
        privacy_warnings=study.privacy.warnings,
        audit=_audit(folder),
        overlap=bool(overlapping_subjects(study)),
        test_clients=study.results["client"].nunique(),
    )


def _config(file: Path) -> StudyConfig | None:
    """None where there is none, or one of another version: the card is then without what it would say."""
    try:
        return load_config(file, cohort="-") if file.is_file() else None
    except InputError:
        return None


def plain(text: object) -> str:
    """A name or sentence from outside as one line of Markdown without markup of its own."""
    return _MARKUP.sub(r"\\\1", _CONTROL.sub(" ", str(text)))


def _protocol(study: Study) -> str:
    if overlapping_subjects(study):
        return "not subject-independent: some test clients took part in training"
    return tables.PROTOCOL if study.splits else "the split of subjects was not kept"


def _headline(records: Sequence[Mapping[str, Any]]) -> _Table:
    columns = tables.headline_columns(records)
    heads = [[tables.group_heading(record["dimension"], record["kind"]), record["method"]] for record in records]
    rows = [[*head, *tables.headline_cells(record, columns)] for head, record in zip(heads, records, strict=True)]
    return _Table(["dimension", "method", *columns], rows)


def _training(study: Study, config: StudyConfig | None) -> list[tuple[str, str]]:
    parts = [{part: len(split.get(part, [])) for part in ("train", "development", "test")} for split in study.splits]
    found = []
    if parts:
        counts = {part: sorted({each[part] for each in parts}) for part in parts[0]}
        said = [f"{'-'.join(map(str, dict.fromkeys((each[0], each[-1]))))} {part}" for part, each in counts.items()]
        found.append(("subjects of a run", ", ".join(said)))
    if config is not None:
        data, training = config.data, config.training
        found += [
            ("split", config.split.scheme),
            ("windows", f"{data.window} frames, one every {data.hop}; one target per {data.target}"),
            ("scaling", f"{data.scaling}: {APPLIED[data.scaling]}"),
            ("annotation delay", f"{data.target_delay:g}"),
            ("network", f"{config.model.name}, {config.model.units} units"),
            ("federated training", f"{training.rounds} rounds at most, {training.local_epochs} local epochs, loss "
             f"{training.loss}, clients' {training.client_optimizer.name} at "
             f"{training.client_optimizer.learning_rate:g}"),
        ]  # fmt: skip
    return found


def _groups(study: Study, folder: Path) -> dict[str, Any] | None:
    groups = read_groups(folder / GROUPS)
    if groups is None:
        return None
    shown = ccc_by_group(study.results, groups, study.dimensions)
    shown = shown[(shown["kind"] == "measured") & (shown["method"] == study.federated)]
    rows = [[row["dimension"], row["attribute"], row["group"], *_group_cells(row)] for row in shown.to_dict("records")]
    said = [
        f"{row['dimension']}, {row['attribute']}: {tables.number(row['gap'])} between {row['best']} and {row['worst']}"
        for row in group_gaps(shown).to_dict("records")
        if not pd.isna(row["gap"])
    ]
    columns = ["dimension", "attribute", "group", "test clients", "CCC per client", "95 % interval"]
    return {"method": study.federated, "table": _Table(columns, rows), "gaps": said}


def _group_cells(row: Mapping[Any, Any]) -> list[str]:
    if row["suppressed"]:
        return ["not shown", tables.ABSENT, tables.ABSENT]
    interval = tables.interval(row["ccc_low"], row["ccc_high"])
    return [f"{row['clients']:.0f}", tables.number(row["ccc_mean"]), interval]


def _privacy(private: PrivateMethod) -> dict[str, Any]:
    return {
        "name": private.method,
        "headline": private.headline,
        "remarks": private.remarks,
        "entries": private.entries(),
        "outside": private.not_covered(),
    }


def _nameless(privacy: StudyPrivacy) -> StudyPrivacy:
    """Without the clients whose own epsilons are kept: remarks may end with the one that a number is of."""

    def of(guarantee: Guarantee) -> Guarantee:
        told = (without_client(remark, guarantee.per_client) for remark in guarantee.remarks)
        remarks = tuple(f"{remark}one of them" if client else remark for remark, client in told)
        return replace(guarantee, remarks=remarks, per_client={})

    methods = {
        name: replace(each, guarantees=tuple(map(of, each.guarantees))) for name, each in privacy.methods.items()
    }
    return replace(privacy, methods=methods)


def _audit(folder: Path) -> dict[str, Any] | None:
    place = folder / AUDIT_FOLDER
    if not (place / AUDIT).is_file():
        return None
    from tff_affect.report.audit import summary

    result = AuditResult.read(place)
    rows = [
        [verdict(found), heading(found), found.measure, measured(found, found.value), measured(found, found.chance)]
        for found in result.findings
    ]
    return {"summary": summary(result), "table": _Table(["verdict", "attack", "measure", "value", "chance"], rows)}
