"""What the protocols fix, and which cohorts they take."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest

from data_prep.synthetic import SyntheticConfig, write_synthetic_cohort
from experiments.avec_protocol import AVEC
from experiments.mase2021_protocol import MASE2021
from experiments.protocol import Protocol
from experiments.rnn_variants import Request, run
from tff_affect.cohort import Cohort
from tff_affect.errors import InputError


@pytest.fixture(scope="module")
def cohort(tmp_path_factory: pytest.TempPathFactory) -> Cohort:
    config = SyntheticConfig(subjects=9, seconds=30, frame_rate=2.5)
    return write_synthetic_cohort(tmp_path_factory.mktemp("protocol") / "cohort", config)


def with_fusion(cohort: Cohort, fusion: str | None) -> Cohort:
    provenance = {} if fusion is None else {"fusion": fusion}
    manifest = replace(cohort.manifest, provenance=provenance)
    return SimpleNamespace(manifest=manifest, path=cohort.path)  # type: ignore[return-value]


def test_mase2021_is_what_the_paper_says(cohort: Cohort) -> None:
    config = MASE2021.configure(cohort, "bilstm")
    assert (config.data.window, config.data.hop, config.data.target) == (60, 60, "window")
    assert (config.split.scheme, config.split.folds, config.split.shuffle) == ("k-fold", 8, False)
    training = config.training
    assert (training.rounds, training.local_epochs, training.batch_size) == (10, 5, 16)
    assert (training.loss, training.weighting, training.clients_per_round) == ("mse", "uniform", 0)
    assert (training.client_optimizer.name, training.patience) == ("adam", 0)
    assert config.model.name == "bilstm"
    assert (config.tuning.client_learning_rates, config.tuning.baseline_learning_rates) == ([], [])
    assert config.postprocess == []


def test_avec_scores_frames_and_post_processes(cohort: Cohort) -> None:
    config = AVEC.configure(cohort, "gru", ["split.scheme=loso"])
    assert (config.data.window, config.data.target, config.split.scheme) == (30, "frame", "loso")
    assert config.postprocess == ["median", "centring", "scaling", "shift"]
    assert AVEC.searches_delay
    assert not MASE2021.searches_delay


@pytest.mark.parametrize(
    "setting",
    ["data.target=frame", "data[target]=frame", "data={window: 3}", " split.shuffle =true", "model.name=gru"],
)
def test_what_a_protocol_fixes_is_refused(setting: str, cohort: Cohort) -> None:
    with pytest.raises(InputError, match="protocol mase2021 fixes"):
        MASE2021.configure(cohort, "lstm", [setting])


def test_a_grid_has_no_place_for_an_epsilon(cohort: Cohort) -> None:
    with pytest.raises(InputError, match="no place for an epsilon"):
        MASE2021.configure(cohort, "lstm", ["privacy.noise_multiplier=1.0"])


def test_a_cohort_without_seconds_is_refused(cohort: Cohort) -> None:
    steps = replace(cohort.manifest, time_unit="step", frame_rate=1.0)
    with pytest.raises(InputError, match="windows of 24 s, and this cohort's time is in steps"):
        MASE2021.configure(SimpleNamespace(manifest=steps, path=cohort.path), "lstm")  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("protocol", "fusion"),
    [(MASE2021, "mean"), (AVEC, "ccc_centred"), (AVEC, "as distributed, CCC-centred")],
)
def test_the_gold_standard_wanted_is_taken_in_silence(protocol: Protocol, fusion: str, cohort: Cohort) -> None:
    assert protocol.gold_standard_note(with_fusion(cohort, fusion)) == ""


@pytest.mark.parametrize(
    ("fusion", "said"),
    [(None, "does not say"), ("as distributed", "'as distributed'"), ("as supplied", "'as supplied'"),
     ("mean, median over 2 s", "smoothed (median over 2 s)")],
)  # fmt: skip
def test_a_doubtful_gold_standard_is_said(fusion: str | None, said: str, cohort: Cohort) -> None:
    assert said in MASE2021.gold_standard_note(with_fusion(cohort, fusion))


@pytest.mark.parametrize(
    ("protocol", "fusion"),
    [(AVEC, "mean"), (AVEC, "mean, median over 2 s"), (MASE2021, "ewe"), (MASE2021, "as distributed, CCC-centred")],
)
def test_another_gold_standard_is_refused(protocol: Protocol, fusion: str, cohort: Cohort) -> None:
    with pytest.raises(InputError, match="wants the gold standard"):
        protocol.gold_standard_note(with_fusion(cohort, fusion))


@pytest.mark.parametrize(
    ("request_", "said"),
    [
        (Request(), "--protocol: expected one of mase2021, avec, clips"),
        (Request("mase2021"), "--cohort"),
        (Request("mase2021", Path("none")), "no such cohort"),
        (Request("mase2021", Path("none"), ("lstm", "lstm")), "none twice"),
        (Request("mase2021", Path("none"), ("transformer",)), "found 'transformer'"),
    ],
)
def test_a_wrong_request_is_refused(request_: Request, said: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=said):
        run(tmp_path / "grid", request_, 1)
    assert list(tmp_path.iterdir()) == []
