"""What evaluating a study writes beside its summary and report."""

from __future__ import annotations

import shutil
from pathlib import Path

import pandas as pd
import pytest
from sample_compared import write_compared
from sample_study import CLIENTS, write_study_files

from experiments import train
from experiments.train import FAIRNESS, evaluate
from tff_affect.errors import InputError
from tff_affect.evaluation.fairness import FEWEST, ccc_by_group, read_groups
from tff_affect.evaluation.per_client import read_study
from tff_affect.run_folder import GROUPS


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Path:
    study = write_compared(tmp_path_factory.mktemp("original") / "study", seeds=(0,))
    write_study_files(study)
    return study


def test_ccc_by_group_is_kept_where_the_cohort_names_groups(
    original: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(train, "write_report", lambda folder, *_, **__: folder / "report.html")
    study = Path(shutil.copytree(original, tmp_path / "study"))
    lines = [f"{client},language,{'fr' if i < FEWEST + 1 else 'de'}" for i, client in enumerate(CLIENTS)]
    lines += [f"{client},place,here" for client in CLIENTS]
    (study / GROUPS).write_text("\n".join(["client,attribute,group", *lines, ""]), encoding="utf-8")
    evaluate(study)
    found = pd.read_csv(study / FAIRNESS)
    groups = read_groups(study / GROUPS)
    assert groups is not None
    expected = ccc_by_group(read_study(study), groups, ["arousal", "valence"])
    pd.testing.assert_frame_equal(found.drop(columns="synthetic"), expected, check_dtype=False)
    assert found["synthetic"].all()
    assert set(found.loc[found["suppressed"], "group"]) == {"fr", "de"}
    assert set(found.loc[~found["suppressed"], "group"]) == {"here"}

    (study / GROUPS).write_text("client\n", encoding="utf-8")
    with pytest.raises(InputError, match="expected the columns client, attribute, group"):
        evaluate(study)
