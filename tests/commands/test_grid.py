"""``tff-affect grid`` on bad input: one message, exit code 2, nothing left behind."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from conftest import Said
from sample_cohort import small_manifest, small_subjects

from data_prep.synthetic import write_synthetic_cohort
from data_prep.synthetic_model import SyntheticConfig
from tff_affect.cohort import write_cohort


@pytest.fixture(scope="module")
def cohorts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folders with something wrong, each by the name of what it lacks."""
    root = tmp_path_factory.mktemp("cohorts")
    (root / "empty").mkdir()
    few, many = (SyntheticConfig(subjects=n, seconds=20, frame_rate=2.5, action_units=("AU06",)) for n in (6, 9))
    write_synthetic_cohort(root / "few", few)
    write_synthetic_cohort(root / "short", many)
    write_synthetic_cohort(root / "short-centred", replace(many, fusion="ccc_centred"))
    unlabelled = replace(small_manifest(), labels=())
    write_cohort(
        root / "unlabelled", unlabelled, [(e, replace(t, labels=t.labels[:, :0])) for e, t in small_subjects()]
    )
    steps = replace(small_manifest(), time_unit="step", frame_rate=1.0)
    write_cohort(root / "steps", steps, [(e, replace(t, time=t.time * 25)) for e, t in small_subjects()])
    return root


@pytest.mark.parametrize(
    ("protocol", "cohort", "more", "said"),
    [
        ("interspeech", "short", (), "--protocol: expected one of "),
        ("mase2021", "short", ("--variants", "lstm,transformer"), "found 'transformer'"),
        ("mase2021", "short", ("--variants", ""), "--variants: expected some of "),
        ("mase2021", "short", ("--processes", "-1"), "-1"),
        ("mase2021", "short", ("-o", "data.target=frame"), "protocol mase2021 fixes data.target"),
        ("mase2021", "short", ("-o", "training.rounds=none"), "training.rounds"),
        ("mase2021", "nowhere", (), "no such cohort"),
        ("mase2021", "empty", (), "empty"),
        ("mase2021", "few", (), "split.folds: expected at most the 6 subjects, found 8"),
        ("mase2021", "steps", (), "windows of 24 s, and this cohort's time is in steps"),
        ("mase2021", "short-centred", (), "wants the gold standard 'mean'"),
        ("mase2021", "unlabelled", ("-o", "split.folds=2"), "no labels"),
        ("mase2021", "short", (), "expected at least one window of 60 frames, found 50"),
    ],
)
def test_bad_input_is_one_message(
    protocol: str, cohort: str, more: tuple[str, ...], said: str, cohorts: Path, tmp_path: Path,
    command_line: Callable[..., Said],
) -> None:  # fmt: skip
    place = ("--protocol", protocol, "--cohort", cohorts / cohort)
    code, out, err = command_line("grid", tmp_path / "grid", *place, "--quiet", *more)
    assert (code, out) == (2, ""), err
    assert said in err
    assert "Traceback" not in err
    errors = [line for line in err.splitlines() if line.startswith("tff-affect: ")]
    assert len(errors) == (0 if "--processes" in more else 1)
    assert list(tmp_path.iterdir()) == []


def test_a_grid_that_is_not_there_is_not_resumed(tmp_path: Path, command_line: Callable[..., Said]) -> None:
    code, _, err = command_line("grid", tmp_path / "grid", "--resume")
    assert code == 2
    assert "there is no grid here" in err
    assert list(tmp_path.iterdir()) == []
