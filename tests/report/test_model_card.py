"""The model card: numbers of the study, what the model is not for, and nobody's name."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sample_study import CLIENTS, add_private, guarantee, write_privacy, write_run, write_study_files

from tff_affect.errors import InputError
from tff_affect.report.model_card import plain, render_model_card, write_model_card
from tff_affect.report.study import CohortFacts

FACTS = CohortFacts("corpus | <b>seven</b>\n# heading", True, 12, 25.0)
PERSON = re.compile(r"\bP(1|2|3|4|5|16|17|18|19|20|21|22)\b")


@pytest.fixture
def study(tmp_path: Path) -> Path:
    folder = tmp_path / "study"
    write_run(folder / "seed-0", 0, ceilings=False)
    write_study_files(folder)
    return folder


def row_of(card: str, *cells: str) -> list[str]:
    """The one row of a table that begins with these cells."""
    rows = [[cell.strip() for cell in line.strip("|").split(" | ")] for line in card.splitlines() if line[:1] == "|"]
    found = [row for row in rows if row[: len(cells)] == list(cells)]
    assert len(found) == 1, cells
    return found[0]


def test_numbers_are_those_of_the_results(study: Path) -> None:
    results = pd.read_csv(study / "seed-0" / "results.csv")
    card = render_model_card(study, FACTS)
    for dimension in ("arousal", "valence"):
        for method in ("centralised", "federated"):
            own = results[(results["method"] == method) & (results["dimension"] == dimension)]
            assert row_of(card, dimension, method)[2] == f"{own['ccc'].mean():.3f}"


def test_it_says_what_the_model_is_not_for(study: Path) -> None:
    card = " ".join(render_model_card(study, FACTS).split())
    for said in (
        "estimate of **perceived** affect", "not what the person felt", "Regulation (EU) 2024/1689, Article 5(1)(f)",
        "at the workplace and in education is prohibited", "Annex III", "Article 50(3)", "Mitchell et al. 2019",
        "CITATION.cff", "cannot forget on request",
    ):  # fmt: skip
        assert said in card
    assert card.count("SYNTHETIC") >= 3
    assert "SYNTHETIC" not in render_model_card(study, CohortFacts("corpus", False, 12, 25.0))


def test_nobody_and_no_place_is_named(study: Path) -> None:
    names = {"remarks": ("delta is 1 / (10 n); the one named is that of P1",), "per_client": {"P1": 2.5, "P2": 1.5}}
    add_private(study / "seed-0", 0, guarantee(2.5, unit="window", **names))
    write_groups(study, dict.fromkeys(CLIENTS, "all"))
    card = render_model_card(study, FACTS)
    assert "the one named is that of one of them" in card
    assert not PERSON.search(card)
    assert "/home" not in card
    assert str(study) not in card
    assert "cohort-7" not in card


def test_names_from_outside_are_text(study: Path) -> None:
    card = render_model_card(study, FACTS)
    assert "<b>" not in card.replace("\\<b\\>", "")
    assert "\n# heading" not in card
    assert card.startswith("# Model card: corpus \\| \\<b\\>seven\\</b\\> \\# heading\n")
    assert plain("a`b\r\n*c*") == "a\\`b \\*c\\*"


def write_groups(study: Path, groups: dict[str, str]) -> None:
    rows = [{"client": client, "attribute": "gender", "group": group} for client, group in groups.items()]
    pd.DataFrame(rows).to_csv(study / "groups.csv", index=False)


def test_a_group_of_fewer_than_five_is_not_shown(study: Path) -> None:
    write_groups(study, {client: "few" if client in CLIENTS[:2] else "many" for client in CLIENTS})
    card = render_model_card(study, FACTS)
    assert row_of(card, "arousal", "gender", "few")[3:] == ["not shown", "-", "-"]
    # Of two groups, the second follows from the first and all.
    assert row_of(card, "arousal", "gender", "many")[3:] == ["not shown", "-", "-"]
    write_groups(study, dict.fromkeys(CLIENTS, "all"))
    results = pd.read_csv(study / "seed-0" / "results.csv")
    own = results[(results["method"] == "federated") & (results["dimension"] == "arousal")]["ccc"]
    assert row_of(render_model_card(study, FACTS), "arousal", "gender", "all")[3:5] == ["7", f"{np.mean(own):.3f}"]


def test_privacy_is_stated_or_said_to_be_none(study: Path) -> None:
    card = " ".join(render_model_card(study, FACTS).split())
    assert "**None.** No model of this study was trained with differential privacy" in card
    assert "No audit was carried out" in card
    assert "names no group" in card
    add_private(study / "seed-0", 0, guarantee(3.25))
    write_privacy(study / "seed-0", {"federated + DP": guarantee(3.25)})
    card = " ".join(render_model_card(study, FACTS).split())
    assert "epsilon 3.25 at delta 0.0125 for one subject (zero-out)" in card
    assert "not covered: tables of the tests" in card
    assert "server trusted by the tests" in card
    assert "No epsilon holds once these are released" in card
    assert "**None.**" not in card


def test_a_study_without_results_is_refused_and_nothing_written(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no run with a results"):
        write_model_card(tmp_path, tmp_path / "none", FACTS)
    assert not list(tmp_path.iterdir())


def test_settings_of_another_version_are_left_out(study: Path) -> None:
    """The study's configuration is one that this version does not know."""
    assert "windows:" not in render_model_card(study, FACTS)
    (study / "config.yaml").write_text("data: {cohort: x, window: 40, hop: 20}\n", encoding="utf-8")
    assert "windows: 40 frames, one every 20" in render_model_card(study, FACTS)
    assert json.loads((study / "seed-0" / "split.json").read_text(encoding="utf-8"))["train"] == ["P1", "P2"]
    assert "subjects of a run: 2 train, 3 development, 7 test" in render_model_card(study, FACTS)
