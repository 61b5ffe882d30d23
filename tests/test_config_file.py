from dataclasses import FrozenInstanceError
from pathlib import Path

import pytest

from tff_affect.config import OptimizerConfig, StudyConfig
from tff_affect.config_file import load_config, save_config
from tff_affect.errors import InputError

COHORT = "data.cohort=somewhere"


def test_overrides_win_over_the_file_and_the_result_is_frozen(tmp_path: Path) -> None:
    file = tmp_path / "study.yaml"
    file.write_text("training:\n  rounds: 7\n  batch_size: 3\nseeds: [1, 2]\n")
    config = load_config(
        file, [COHORT, "training.rounds=9", "training.server_optimizer={name: yogi, learning_rate: 0.01}"]
    )
    assert (config.training.rounds, config.training.batch_size, list(config.seeds)) == (9, 3, [1, 2])
    assert config.training.server_optimizer == OptimizerConfig("yogi", 0.01)
    with pytest.raises(FrozenInstanceError):
        config.training.rounds = 1  # type: ignore[misc]


def test_what_is_saved_is_read_back_equal(tmp_path: Path) -> None:
    config = load_config(
        None, [COHORT, "model.name=gru", "data.target_delay=2.4", "tuning.client_learning_rates=[0.01, 1.0e-3]"]
    )
    save_config(config, tmp_path / "config.yaml")
    assert load_config(tmp_path / "config.yaml") == config
    assert isinstance(config, StudyConfig)


@pytest.mark.parametrize(
    "content", [b"- a\n- b\n", b"training: [1\n", b"\xff\xfe\x00", b"!!python/object/apply:os.system [id]\n"]
)
def test_a_broken_file_is_named(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "study.yaml"
    file.write_bytes(content)
    with pytest.raises(InputError) as caught:
        load_config(file, [COHORT])
    assert caught.value.file == str(file)


def test_a_file_that_is_not_there_is_called_that(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"none\.yaml: no such file"):
        load_config(tmp_path / "none.yaml", [COHORT])


@pytest.mark.parametrize(
    ("setting", "reason"),
    [
        ("model.unit=5", "Key 'unit' not in 'ModelConfig'"),
        ("model.units=many", "could not be converted to Integer"),
        ("model.units=[", "the setting is wrong"),
        ("methods=federated", "expected a list, such as methods=[federated]"),
        ("tuning.client_learning_rates=0.1", "expected a list, such as tuning.client_learning_rates=[0.1]"),
    ],
)
def test_a_wrong_setting_is_blamed_and_not_the_file(setting: str, reason: str, tmp_path: Path) -> None:
    file = tmp_path / "study.yaml"
    file.write_text("training: {rounds: 7}\n")
    with pytest.raises(InputError) as caught:
        load_config(file, [COHORT, "training.rounds=9", setting])
    assert caught.value.file == f"-o {setting}"
    assert reason in caught.value.reason
    file.write_text("model: {unit: 5}\n")
    with pytest.raises(InputError, match="'unit'") as caught:
        load_config(file, [COHORT, "training.rounds=9"])
    assert caught.value.file == str(file)


@pytest.mark.parametrize("name", ["a #1", "a: b", "007", "${x}", "???"])
def test_a_cohorts_folder_is_taken_as_it_is(name: str) -> None:
    assert load_config(None, cohort=name).data.cohort == name


def test_a_cohort_must_be_named() -> None:
    with pytest.raises(InputError, match=r"data\.cohort: name the cohort's folder"):
        load_config(None)
