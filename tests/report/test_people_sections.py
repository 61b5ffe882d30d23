"""Groups, and people who took part against new ones, as a report shows them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest
from sample_full_study import write_full_study

from tff_affect.evaluation.per_client import read_study
from tff_affect.report.people_sections import groups_section, participation_section
from tff_affect.report.study import Study, open_study


@pytest.fixture
def study(make_study: Callable[..., Path]) -> Study:
    """A study of 14 test clients: the seven of the sample, and seven of the same gold standard that do 0.1 worse."""
    folder = make_study()
    found = read_study(folder)
    worse = found.assign(client="X" + found["client"], ccc=found["ccc"] - 0.1)
    return replace(open_study(folder), results=pd.concat([found, worse], ignore_index=True))


def write_groups(study: Study, group_of: Callable[[str], str]) -> None:
    clients = sorted(set(study.results["client"]))
    frame = pd.DataFrame({"client": clients, "attribute": "site", "group": [group_of(client) for client in clients]})
    frame.to_csv(study.folder / "groups.csv", index=False)


def test_groups_and_their_gap_are_the_means_of_their_clients(study: Study) -> None:
    write_groups(study, lambda client: "late" if client.startswith("X") else "early")
    section = groups_section(study, True)
    assert section is not None
    groups, gaps = section.tables
    rows = study.results.query("kind == 'measured' and method == 'federated' and dimension == 'arousal'")
    expected = rows.groupby(rows["client"].str.startswith("X"))["ccc"].mean()
    found = groups.frame.query("method == 'federated' and dimension == 'arousal'").set_index("group")["ccc_mean"]
    assert found["early"] == pytest.approx(expected[False])
    assert found["late"] == pytest.approx(expected[True])
    gap = gaps.frame.query("method == 'federated' and dimension == 'arousal'").iloc[0]
    assert (gap["best"], gap["worst"]) == ("early", "late")
    assert gap["gap"] == pytest.approx(0.1)
    assert "mean predictor" not in set(groups.frame["method"])
    assert [head for head, _ in gaps.groups] == ["site: arousal", "site: valence"]


def test_small_groups_are_said_not_to_be_shown(study: Study) -> None:
    def group_of(client: str) -> str:
        return "many" if client.startswith("X") else ("few" if client in ("P16", "P17") else "some")

    write_groups(study, group_of)
    section = groups_section(study, True)
    assert section is not None
    cells = {row[1]: row[2:] for _, rows in section.tables[0].groups for row in rows}
    assert cells["few"] == ["not shown", "not shown", "-"]
    assert cells["some"] == ["not shown", "not shown", "-"]
    assert cells["many"][0] == "7"
    # With one group left there is no gap to show.
    assert [table.name for table in section.tables] == ["groups"]


def test_nothing_that_can_be_shown_is_a_sentence(study: Study) -> None:
    write_groups(study, lambda client: client)
    section = groups_section(study, True)
    assert section is not None
    assert not section.tables
    assert "no group can be shown (site)" in section.texts[-1]


def test_without_groups_or_scores_of_both_sides_there_is_no_section(study: Study) -> None:
    assert groups_section(study, True) is None
    assert participation_section(study) is None


def test_the_gap_is_that_of_the_two_means(tmp_path: Path) -> None:
    folder = write_full_study(tmp_path / "study", seeds=1)
    section = participation_section(open_study(folder))
    assert section is not None
    scores = pd.read_csv(folder / "seed-0" / "per_client.csv").query("dimension == 'arousal'")
    means = scores.groupby("partition")["ccc"].mean()
    row = section.tables[0].frame.iloc[0]
    assert row["participating"] == pytest.approx(means["train"])
    assert row["gap"] == pytest.approx(means["train"] - means["test"])
    assert "Different people" in section.texts[1]
