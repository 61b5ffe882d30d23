"""How a study is run again: the command is one that the program takes, and no path is in it."""

from __future__ import annotations

import json
import shlex
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from tff_affect.config import StudyConfig
from tff_affect.config_file import load_config, save_config
from tff_affect.errors import InputError
from tff_affect.report.rerun import rerun_of, shareable_config

SECRETS = st.text("abcdefgh XYZ-_.", min_size=1, max_size=12).map(str.strip).filter(lambda name: name.strip(".") != "")


def config_of(place: Path, **others: object) -> StudyConfig:
    config = load_config(None, [f"{name}={value}" for name, value in others.items()], "/data/secret place/cohort")
    save_config(config, place / "config.yaml")
    return config


def test_the_command_gives_the_settings_of_the_study(tmp_path: Path) -> None:
    """What the report prints, put into a file and read as the command says, is the study's configuration."""
    config = config_of(tmp_path, **{"training.rounds": 7, "seeds": "[0,3]"})
    (tmp_path / "study.json").write_text(json.dumps({"cohort": "12ab"}), encoding="utf-8")
    found = rerun_of(tmp_path, "toy")
    assert found is not None
    words = shlex.split(found.command)
    assert words[:3] == ["tff-affect", "train", "OUT"]
    options = dict(zip(words[3::2], words[4::2], strict=True))
    assert set(options) == {"--config", "--cohort"}
    printed = tmp_path / options["--config"]
    printed.write_text(shareable_config(printed.read_text(encoding="utf-8"), printed), encoding="utf-8")
    assert load_config(printed, None, "/data/secret place/cohort") == config
    assert found.cohort == "toy, contents SHA-256 12ab"
    assert found.notes == ()


def test_studies_of_workers_and_of_protocols_say_so(tmp_path: Path) -> None:
    config_of(tmp_path)
    (tmp_path / "study.json").write_text(json.dumps({"workers": {}, "delays": [0.5]}), encoding="utf-8")
    found = rerun_of(tmp_path, "toy")
    assert found is not None
    assert found.command.endswith("--workers HOSTS.yaml")
    assert "--cohort" not in found.command
    assert [note.split()[0] for note in found.notes] == ["The", "Each"]
    assert rerun_of(tmp_path / "none", "toy") is None


@given(SECRETS, SECRETS, st.sampled_from(["/{}/{}", "~/{}/{}", "C:\\{}\\{}", "../{}/{}", "see /{}/{}", "a, ./{}/{}"]))
def test_no_path_is_left_in_a_configuration(first: str, second: str, form: str) -> None:
    path = form.format(f"q{first}q", f"q{second}q")
    content = {"data": {"cohort": f"/q{first}q/x"}, "privacy": {"settings_from": path}, "names": [path], "keep": "a/b"}
    # As it is written: long texts are broken into lines.
    shown = shareable_config(yaml.safe_dump(content, width=20), Path("config.yaml"))
    assert f"q{first}q" not in shown
    assert f"q{second}q" not in shown
    assert yaml.safe_load(shown)["data"]["cohort"] == "COHORT"
    assert yaml.safe_load(shown)["keep"] == "a/b"


@pytest.mark.parametrize("text", ["1/2 of a / b", "<b>x</b>", "and/or", "this cohort", "0.5"])
def test_what_is_no_path_stays(text: str) -> None:
    assert yaml.safe_load(shareable_config(yaml.safe_dump({"a": text}), Path("c")))["a"] == text


def test_a_configuration_that_is_no_yaml_is_named() -> None:
    assert shareable_config(" \n", Path("config.yaml")) == ""
    with pytest.raises(InputError, match="not valid YAML") as caught:
        shareable_config("a: [", Path("config.yaml"))
    assert caught.value.file == "config.yaml"
