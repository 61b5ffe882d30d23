"""A sweep computes each point once, shows what was asked for, and never mixes it with other points."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd
import pytest

from data_prep.synthetic import write_synthetic_cohort
from data_prep.synthetic_model import SyntheticConfig
from experiments.cohort_scaling import synthetic_cohorts
from experiments.dp_tradeoff import TradeoffRequest, run
from experiments.sweep import POINTS, SweepGrid, points_of
from tff_affect.cohort import Cohort
from tff_affect.config_file import load_config
from tff_affect.errors import InputError
from tff_affect.privacy.accounting import Ledger
from tff_affect.privacy.sampling import Sampling
from tff_affect.privacy_config import PrivacyConfig
from tff_affect.progress import Progress

SMALL = (
    "data.window=25", "data.hop=25", "model.units=3", "training.rounds=2", "training.evaluate_every=1",
    "split.test=0.3", "split.development=0.3",
)  # fmt: skip


@pytest.fixture(scope="module")
def cohort(tmp_path_factory: pytest.TempPathFactory) -> Cohort:
    config = SyntheticConfig(subjects=8, seconds=60, frame_rate=2.5, action_units=("AU01", "AU06", "AU12"))
    return write_synthetic_cohort(tmp_path_factory.mktemp("cohort") / "cohort", config)


@pytest.mark.slow
def test_a_sweep_from_start_to_end_and_with_a_seed_more(cohort: Cohort, tmp_path: Path) -> None:
    asked = TradeoffRequest((cohort.path,), SweepGrid(noise_multipliers=(1.0,), seeds=1), overrides=SMALL)
    found = run(tmp_path / "sweep", asked, 2, Progress())
    made = {place.name: _bytes(place) for place in (tmp_path / "sweep" / POINTS).iterdir()}
    assert len(made) == 2
    assert set(found.rows["seeds"]) == {1}
    assert {"tradeoff.csv", "tradeoff.md", "tradeoff.svg", "fairness.csv", "fairness.png", "clips.svg"} <= {
        file.name for file in (tmp_path / "sweep").iterdir()
    }
    assert "SYNTHETIC" in (tmp_path / "sweep" / "tradeoff.md").read_text(encoding="utf-8")
    private = found.rows[found.rows["private"]]
    ledger = Ledger.user(asked_privacy(cohort), Sampling("full", 4, 4))
    ledger.add_rounds(2)
    assert set(private["epsilon"]) == {ledger.guarantee().epsilon}

    more = TradeoffRequest((cohort.path,), SweepGrid(noise_multipliers=(1.0,), seeds=2), overrides=SMALL)
    found = run(tmp_path / "sweep", more, 1, Progress())
    after = {place.name: _bytes(place) for place in (tmp_path / "sweep" / POINTS).iterdir()}
    assert len(after) == 4
    assert {name: after[name] for name in made} == made
    table = pd.read_csv(tmp_path / "sweep" / "tradeoff.csv")
    assert set(table["noise_multiplier"].dropna()) == {1.0}
    assert set(found.rows["seeds"]) == set(table["seeds"]) == {2}


def asked_privacy(cohort: Cohort) -> PrivacyConfig:
    return load_config(None, ["privacy.noise_multiplier=1.0", "training.weighting=uniform"], cohort.path).privacy


def _bytes(place: Path) -> bytes:
    return (place / "results.csv").read_bytes()


def points(cohort: Cohort, folder: Path, grid: SweepGrid, *more: str) -> list:
    base = load_config(None, [*SMALL, "training.weighting=uniform", "split.scheme=holdout", *more], cohort.path)
    return points_of(folder, cohort, base, grid)


def test_points_differ_in_privacy_and_seed_alone(cohort: Cohort, tmp_path: Path) -> None:
    found = points(cohort, tmp_path, SweepGrid(noise_multipliers=(1.0, 2.0), clipping_norms=(0.1, 0.5), seeds=3))
    assert len(found) == len({point.folder for point in found}) == 3 * (1 + 4)
    assert {point.split for point in found} == {found[0].split}
    assert len({point.config.training for point in found if point.config.privacy.enabled}) == 1
    assert {tuple(point.config.rows) for point in found} == {("federated",), ("federated + DP",)}


def test_the_folder_of_a_point_follows_from_settings_and_data(cohort: Cohort, tmp_path: Path) -> None:
    grid = SweepGrid(noise_multipliers=(1.0,), seeds=1)
    first = [point.folder.name for point in points(cohort, tmp_path, grid)]
    assert first == [point.folder.name for point in points(cohort, tmp_path, grid)]
    assert not set(first) & {point.folder.name for point in points(cohort, tmp_path, grid, "training.rounds=3")}


def test_noise_is_searched_for_each_epsilon(cohort: Cohort, tmp_path: Path) -> None:
    found = points(cohort, tmp_path, SweepGrid(epsilons=(2.0,), seeds=1))
    privacy, trained = found[-1].config.privacy, len(found[-1].split.train)
    ledger = Ledger.user(privacy, Sampling("full", trained, trained))
    ledger.add_rounds(2)
    assert 1.98 < ledger.guarantee().epsilon <= 2.0


@pytest.mark.parametrize(
    ("grid", "said"),
    [
        ({}, "at least one epsilon or one noise multiplier"),
        ({"epsilons": (1.0, 1.0)}, "none twice"),
        ({"noise_multipliers": (-1.0,)}, "numbers above 0"),
        ({"epsilons": (1.0,), "clipping_norms": ()}, "at least one clipping norm"),
        ({"epsilons": (1.0,), "seeds": 0}, "one seed"),
    ],
)
def test_nonsense_is_refused(grid: dict, said: str) -> None:
    with pytest.raises(InputError, match=said):
        SweepGrid(**grid)


def test_a_sweep_wants_one_split_and_its_own_folder(cohort: Cohort, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="one split"):
        points(cohort, tmp_path, SweepGrid(epsilons=(1.0,)), "split.scheme=k-fold", "split.folds=2")
    (tmp_path / "other.txt").write_text("mine")
    request = TradeoffRequest((cohort.path,), SweepGrid(epsilons=(1.0,)))
    with pytest.raises(InputError, match="holds no sweep"):
        run(tmp_path, request, 1, Progress())
    with pytest.raises(InputError, match="another size"):
        run(tmp_path / "new", TradeoffRequest((cohort.path, cohort.path), request.grid), 1, Progress())


def test_generated_cohorts_are_kept_and_another_one_is_refused(tmp_path: Path) -> None:
    (path,) = synthetic_cohorts(tmp_path, (2,), Progress())
    before = Cohort.open(path).content_sha256
    assert synthetic_cohorts(tmp_path, (2,), Progress()) == (path,)
    assert Cohort.open(path).content_sha256 == before
    manifest = json.loads((path / "cohort.json").read_text(encoding="utf-8"))
    manifest["provenance"]["config"]["seed"] = 5
    (path / "cohort.json").write_text(json.dumps(manifest), encoding="utf-8")
    with pytest.raises(InputError, match="found another"):
        synthetic_cohorts(tmp_path, (2,), Progress())
