"""The command line: help, honest exit codes, one line for bad input, JSON that is JSON."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

import pytest
from sample_study import add_private, guarantee, write_run, write_study_files

from data_prep.synthetic import write_synthetic_cohort
from data_prep.synthetic_model import SyntheticConfig
from tff_affect import cli, doctor
from tff_affect.cohort import Cohort
from tff_affect.commands.worker import cert_app
from tff_affect.doctor import Check
from tff_affect.progress import STARTING
from tff_affect.run_folder import locked

ROOT = Path(__file__).resolve().parents[1]
COMMANDS = [
    *("demo", "train", "evaluate", "split", "doctor", "grid", "export", "predict", "personalize", "compare"),
    *("completion", "report"),
    *("data inspect", "data convert", "data synthesize", "data video"),
    *("labels fuse", "labels delay"),
    *("privacy plan", "privacy sweep", "privacy audit", "privacy compare"),
    *("anonymize train", "anonymize apply", "anonymize evaluate"),
    *("worker serve", "worker cert authority", "worker cert worker", "worker cert driver", "worker cert show"),
]
TINY = ["--subjects", "5", "--seconds", "20", "--frame-rate", "2.5"]


class Said(Protocol):
    """How a command ended."""

    code: int
    out: str
    err: str


Call = Callable[..., Said]


@pytest.fixture
def call(command_line: Call) -> Call:
    return command_line


@pytest.fixture(scope="module")
def cohort(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """SYNTHETIC, 5 subjects x 50 frames, without partitions. Read only."""
    config = SyntheticConfig(subjects=5, seconds=20, frame_rate=2.5)
    return write_synthetic_cohort(tmp_path_factory.mktemp("cli") / "cohort", config).path


def strictly(text: str) -> object:
    """Parses JSON; NaN and Infinity, which are not JSON, are refused."""

    def refuse(word: str) -> object:
        raise ValueError(f"{word} is not JSON")

    return json.loads(text, parse_constant=refuse)


def is_refused(said: Said, *words: str) -> None:
    """Exit code 2 and one line on stderr that holds all of ``words``."""
    assert (said.code, said.out) == (2, ""), said
    assert said.err.startswith("tff-affect: ")
    assert said.err.count("\n") == 1
    for word in words:
        assert word in said.err


@pytest.mark.parametrize("command", ["", *COMMANDS])
def test_help_has_an_example(command: str, call: Call) -> None:
    said = call(*command.split(), "--help")
    assert (said.code, said.err) == (0, "")
    assert "Usage:" in said.out
    assert "Exit codes: 0 done, 1 ran and failed, 2 bad input" in " ".join(said.out.split()) or command
    assert f"Example: tff-affect {command}" in said.out or not command


@pytest.mark.parametrize("group", ["", "data", "labels", "privacy", "anonymize", "gait", "worker", "worker cert"])
def test_lists_of_commands_are_not_cut_off_and_h_is_for_help(group: str, call: Call) -> None:
    said = call(*group.split(), "-h")
    assert said == call(*group.split(), "--help")
    listed = said.out.split("Commands:\n")[1]
    assert "..." not in listed
    assert max(map(len, listed.splitlines())) <= 80


def test_every_command_is_looked_at() -> None:
    def names(app: object) -> list[str]:
        return [c.name or c.callback.__name__ for c in app.registered_commands]  # type: ignore[attr-defined]

    groups = {"data": cli.data_app, "labels": cli.labels_app, "privacy": cli.privacy_app}
    groups |= {"anonymize": cli.anonymize_app, "worker": cli.worker_app, "worker cert": cert_app}
    assert [*names(cli.app), *(f"{group} {name}" for group, app in groups.items() for name in names(app))] == COMMANDS


def test_the_version_is_printed(call: Call) -> None:
    assert call("--version").out == f"tff-affect {cli.__version__}\n"


@pytest.mark.slow
def test_help_and_data_commands_do_without_tensorflow(cohort: Path, tmp_path: Path) -> None:
    """One process runs them all: what any of them imports shows at the end."""
    table = tmp_path / "faces.csv"
    table.write_text("frame,face_id,timestamp,confidence,success,AU01_r\n", encoding="utf-8")
    lines = [[*command.split(), "--help"] for command in COMMANDS]
    lines += [["data", "inspect", str(cohort)], ["split", str(cohort)], ["evaluate", str(cohort)]]
    lines += [["data", "inspect", str(table)], ["data", "convert", str(table), str(tmp_path / "out")]]
    lines += [["data", "synthesize", str(tmp_path / "new"), *TINY]]
    lines += [["train", str(tmp_path / "study"), "--cohort", str(tmp_path / "missing")]]
    full, new = str(tmp_path), str(tmp_path / "other")
    lines += [["train", full, "--cohort", str(cohort)], ["privacy", "audit", full]]
    lines += [["export", full, "--to", kind] for kind in ("none", "onnx")]
    lines += [["predict", full, str(cohort), "--out", new], ["predict", full, str(cohort), "--out", full]]
    code = f"""
import sys
from tff_affect import cli
for line in {lines!r}:
    sys.argv = ["tff-affect", *line]
    try:
        cli.main()
    except SystemExit:
        pass
heavy = {{"tensorflow", "tensorflow_federated", "keras", "jax"}}
found = sorted(heavy & {{name.split(".")[0] for name in sys.modules}})
sys.exit(str(found) if found else 0)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "new" / "cohort.json").is_file()


BAD_SETTINGS = [
    (["training.rond=4"], "training.rond"),
    (["training.rounds=abc"], "training.rounds"),
    (["training.rounds=2.5"], "training.rounds"),
    (["training.rounds=0"], "training.rounds: expected at least 1, found 0"),
    (["training"], "training"),
    (["data.window=["], "-o data.window=[: the setting is wrong"),
    (["methods=federated"], "methods"),
    (["methods=[centralised]"], "'federated' cannot be left out"),
    (["methods=[magic,federated]"], "magic"),
    (["data.window=10", "data.hop=11"], "data.hop: expected at most the window of 10"),
    (["data.window=0"], "data.window"),
    (["data.target_delay=inf"], "data.target_delay"),
    (["data.target_delay=nan"], "data.target_delay"),
    (["data.minimum_valid=1.5"], "data.minimum_valid"),
    (["data.scaling=cohort"], "data.scaling"),
    (["split.seed=-1"], "split.seed"),
    (["split.test=1"], "split.test"),
    (["split.scheme=fixed"], "no partitions of its own"),
    (["split.scheme=k-fold", "split.folds=6"], "at most the 5 subjects, found 6"),
    (["seeds=[0,0]"], "no seed twice"),
    (["seeds=[]"], "at least one seed"),
    (["training.client_optimizer.learning_rate=-1"], "learning_rate"),
    (["training.client_optimizer.name=yogi"], "training.client_optimizer.name"),
    (["training.loss=mae"], "training.loss"),
]


@pytest.mark.parametrize(("settings", "word"), BAD_SETTINGS, ids=lambda value: value if isinstance(value, str) else "")
def test_a_bad_setting_is_one_line(settings: list[str], word: str, cohort: Path, call: Call, tmp_path: Path) -> None:
    options = [part for setting in settings for part in ("-o", setting)]
    is_refused(call("train", tmp_path / "study", "--cohort", cohort, *options), word)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"training: {rounds: 3", ("line 1", "not valid YAML")),
        (b"training:\n  rounds: 3\n rounds: 4\n", ("line 3", "not valid YAML")),
        (b"training: {rounds: many}", ("training.rounds",)),
        (b"- training", ("found a list",)),
        (b"\xff\xfe", ("UTF-8",)),
        (b"model: {1: 2}", ("study.yaml",)),
        (b"data: {window: 2021-01-01}", ("study.yaml",)),
        (b"seeds: 1\x00", ("study.yaml",)),
        (b"", ("data.cohort",)),
    ],
)
def test_a_bad_file_of_settings_is_one_line(content: bytes, words: tuple[str, ...], call: Call, tmp_path: Path) -> None:
    file = tmp_path / "study.yaml"
    file.write_bytes(content)
    is_refused(call("train", tmp_path / "study", "--config", file), *words)
    assert list(tmp_path.iterdir()) == [file]


def test_a_missing_file_of_settings_is_one_line(call: Call, tmp_path: Path) -> None:
    is_refused(call("train", tmp_path / "study", "--config", tmp_path / "none.yaml"), "none.yaml")


def test_bad_places_are_one_line(cohort: Path, call: Call, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("kept", encoding="utf-8")
    missing = tmp_path / "missing"
    is_refused(call("train", tmp_path / "study"), "data.cohort")
    is_refused(call("train", tmp_path / "study", "--cohort", missing), "no such cohort")
    is_refused(call("split", missing), "no such cohort")
    is_refused(call("evaluate", missing), "results.csv")
    is_refused(call("evaluate", cohort), "results.csv")
    is_refused(call("data", "inspect", missing), "missing")
    is_refused(call("data", "inspect", tmp_path / "file", "--map", "none"), "no such column map")
    is_refused(call("data", "convert", tmp_path / "file", tmp_path / "out", "--map", "none"), "no such column map")
    is_refused(call("data", "convert", cohort, tmp_path / "out"), "already")
    is_refused(call("data", "synthesize", tmp_path / "out", "--layout", "avec"), "--layout")
    is_refused(call("data", "synthesize", tmp_path / "out", "--seconds", "nan"), "seconds")
    is_refused(call("data", "synthesize", tmp_path / "out", "--fusion", "ewe"), "mean, ccc_centred, found 'ewe'")
    is_refused(
        call("data", "synthesize", tmp_path / "out", "--layout", "recola", "--fusion", "ccc_centred"), "--fusion"
    )
    is_refused(call("grid", tmp_path / "out", "--cohort", missing), "--protocol")
    is_refused(call("grid", tmp_path / "out", "--protocol", "avec", "--cohort", missing), "no such cohort")
    is_refused(call("grid", missing, "--resume"), "no grid here")
    is_refused(call("data", "synthesize", cohort, *TINY), "not empty")
    is_refused(call("demo", "--out", tmp_path), "not empty")
    assert [file.name for file in tmp_path.iterdir()] == ["file"]


def test_a_wrong_option_is_exit_code_2(call: Call, tmp_path: Path) -> None:
    for arguments in (["train"], ["train", tmp_path / "new", "--folds", "1"], ["split", tmp_path, "--nothing"], ["no"]):
        assert call(*arguments).code == 2


@pytest.mark.slow
def test_a_bad_place_for_a_study_is_one_line(cohort: Path, call: Call, tmp_path: Path) -> None:
    occupied, file = tmp_path / "occupied", tmp_path / "file"
    occupied.mkdir()
    (occupied / "kept").write_text("kept", encoding="utf-8")
    file.write_text("kept", encoding="utf-8")
    is_refused(call("train", occupied, "--cohort", cohort), "not empty")
    assert call("train", tmp_path / "new", "--cohort", cohort, "-o", "model.name=none").err.startswith(STARTING)
    is_refused(call("train", occupied, "--cohort", cohort, "--resume"), "no study to resume")
    is_refused(call("train", file, "--cohort", cohort), "file")
    is_refused(call("train", file / "below", "--cohort", cohort), "cannot write here")
    (occupied / "study.json").write_text("[]", encoding="utf-8")
    is_refused(call("train", occupied, "--cohort", cohort, "--resume", "--quiet"), "study.json")
    assert sorted(entry.name for entry in tmp_path.rglob("*")) == ["file", "kept", "occupied", "study.json"]


@pytest.mark.slow
def test_what_only_training_can_know_is_one_line(cohort: Path, call: Call, tmp_path: Path) -> None:
    """Found when TensorFlow is there and the sequences are staged, and before anything is written."""
    for setting, word in (
        ("model.name=transformer", "model.name: expected one of bigru, bilstm"),
        ("data.window=1000", "no window of 1000 frames"),
        ("data.target_delay=1000", "a target delay of 1000 leaves no label"),
    ):
        options = ["-o", setting, *(["-o", "data.hop=1"] if "window" in setting else [])]
        is_refused(call("train", tmp_path / "study", "--cohort", cohort, "--quiet", *options), word)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
def test_a_small_study_from_start_to_end(cohort: Path, call: Call, tmp_path: Path) -> None:
    """Trained, refused while locked and with another setting, resumed though finished, summarised again."""
    study = tmp_path / "study"
    settings = ("data.window=25", "data.hop=25", "training.rounds=1", "model.units=2", "methods=[federated]")
    options = ["--cohort", cohort, "--quiet", *(part for setting in settings for part in ("-o", setting))]
    said = call("train", study, *options, "--json")
    assert (said.code, said.err) == (0, "")
    records = strictly(said.out)
    assert isinstance(records, list)
    assert {record["method"] for record in records} == {"federated"}
    tables = {file: file.read_bytes() for file in study.rglob("*.csv")}
    assert {"summary.csv", "groups.csv", "quality.csv", "fairness.csv"} <= {file.name for file in tables}

    is_refused(call("train", study, *options), "not empty", "--resume")
    is_refused(call("train", study, *options, "--resume", "-o", "training.rounds=2"), "another setting of 'training'")
    with locked(study):
        is_refused(call("train", study, *options, "--resume"), "another process is working on this study")
    assert call("train", study, *options, "--resume").code == 0
    assert call("train", study, "--quiet", "--resume").code == 0
    assert {file: file.read_bytes() for file in study.rglob("*.csv")} == tables

    (study / "summary.csv").unlink()
    assert strictly(call("evaluate", study, "--json").out) == records
    assert {file: file.read_bytes() for file in study.rglob("*.csv")} == tables
    printed = call("evaluate", study)
    assert "SYNTHETIC" in printed.out
    assert printed.out.endswith(f"Report: {study / 'report.html'}\n")


@pytest.fixture
def private_study(tmp_path: Path) -> Path:
    """A finished SYNTHETIC study of two seeds with "federated + DP" instead of "federated"."""
    study = tmp_path / "study"
    for seed, epsilon in enumerate((8.4359, 2.5)):
        write_run(study / f"seed-{seed}", seed, ceilings=True)
        remarks = ("simulation only: the noise is reproducible",)
        add_private(study / f"seed-{seed}", seed, guarantee(epsilon, remarks=remarks), alone=True)
    write_study_files(study)
    facts = {"name": "toy", "synthetic": True, "subjects": 12, "frame_rate": 25.0}
    (study / "cohort_facts.json").write_text(json.dumps(facts), encoding="utf-8")
    return study


def test_a_private_study_ends_with_its_guarantee(private_study: Path, call: Call) -> None:
    said = call("evaluate", private_study)
    assert (said.code, said.err) == (0, "")
    table, guarantee_of = said.out.split("federated + DP: epsilon ")
    assert "SYNTHETIC data" in table
    assert "federated + DP: simulation only: the noise is reproducible." in " ".join(table.split())
    words = " ".join(guarantee_of.split())
    assert words.startswith("8.436 at delta 0.0125 for one subject (zero-out) note simulation only: the noise")
    for part in (
        *("noise 1.25 x clipping norm 0.75", "11; all 8 clients", "accountant of the tests", "server trusted by"),
        *("not covered hyper-parameters: chosen on this cohort", "2 runs, epsilon 2.5 to 8.436", "to epsilon 10.94 at"),
        "Trained without privacy on the same clients: mean predictor, local-only, centralised.",
    ):
        assert part in words
    assert "Federated + DP minus local-only, arousal: median difference" in said.out
    assert max(map(len, guarantee_of.splitlines()[: guarantee_of.splitlines().index("")])) <= 100

    records = strictly(call("evaluate", private_study, "--json").out)
    assert isinstance(records, list)
    found = {record["method"]: (record["epsilon"], record["delta"], record["unit"]) for record in records}
    assert found.pop("federated + DP") == (8.4359, 0.0125, "subject")
    assert set(found.values()) == {(None, None, None)}


def test_a_spoilt_guarantee_is_one_line(private_study: Path, call: Call) -> None:
    file = private_study / "seed-1" / "privacy.json"
    file.write_text('{"federated + DP": {"epsilon": 0}}', encoding="utf-8")
    is_refused(call("evaluate", private_study), str(file), "expected epsilon, delta")


def test_split_shows_whole_subjects(cohort: Path, call: Call) -> None:
    rows = strictly(call("split", cohort, "-o", "split.scheme=k-fold", "--json").out)
    assert isinstance(rows, list)
    assert [row["fold"] for row in rows] == [0, 1, 2, 3, 4]
    assert sorted(subject for row in rows for subject in row["test"]) == list(Cohort.open(cohort).subjects)
    for row in rows:
        everyone = [*row["train"], *row["development"], *row["test"]]
        assert sorted(everyone) == list(Cohort.open(cohort).subjects)
    assert "P101" in call("split", cohort).out


@pytest.mark.parametrize("name", ["007", "1e3", "a #b", "a: b", "[c", 'q"uote', "true"])
def test_a_folder_may_be_called_anything(
    name: str, cohort: Path, call: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(cohort, tmp_path / name)
    monkeypatch.chdir(tmp_path)
    assert call("split", name).code == 0


def test_inspect_tells_what_is_wrong(call: Call, tmp_path: Path) -> None:
    assert call("data", "synthesize", tmp_path / "cohort", *TINY).code == 0
    good = call("data", "inspect", tmp_path / "cohort", "--strict")
    assert good.code == 0
    assert good.out.startswith("SYNTHETIC cohort, 17 features")
    (tmp_path / "cohort" / "subjects" / "P102.parquet").unlink()
    bad = call("data", "inspect", tmp_path / "cohort", "--strict", "--json")
    assert bad.code == 1
    found = strictly(bad.out)
    assert isinstance(found, dict)
    assert "P102" in " ".join(found["problems"])
    assert call("data", "inspect", tmp_path / "cohort").code == 0


def test_the_recola_layout_converts_to_the_same_cohort(call: Call, tmp_path: Path) -> None:
    assert call("data", "synthesize", tmp_path / "direct", "--subjects", "3", "--seconds", "20").code == 0
    layout = ["data", "synthesize", tmp_path / "layout", "--subjects", "3", "--seconds", "20", "--layout", "recola"]
    assert "SYNTHETIC" in call(*layout).out
    converted = call("data", "convert", tmp_path / "layout", tmp_path / "converted")
    assert converted.code == 0
    assert "3 subjects, 1500 frames" in converted.out
    direct, back = Cohort.open(tmp_path / "direct"), Cohort.open(tmp_path / "converted")
    hashes = [{s: cohort.entry(s).sha256 for s in cohort.subjects} for cohort in (direct, back)]
    assert hashes[0] == hashes[1]
    assert back.manifest.synthetic


def test_overwrite_replaces_a_cohort(call: Call, tmp_path: Path) -> None:
    for more in ((), ("--overwrite", "--seed", "1")):
        assert call("data", "synthesize", tmp_path / "cohort", *TINY, *more).code == 0
    is_refused(call("data", "synthesize", tmp_path / "cohort", *TINY), "not empty")


@pytest.mark.parametrize("healthy", [True, False])
def test_doctor_exits_with_1_when_a_check_fails(healthy: bool, call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    check = Check("memory", healthy, "1 GB", "2 GB", "" if healthy else "buy some")
    monkeypatch.setattr(doctor, "diagnose", lambda: [check])
    said = call("doctor", "--no-smoke", "--json")
    assert said.code == (0 if healthy else 1)
    assert strictly(said.out) == [vars(check)]
    assert "memory" in call("doctor", "--no-smoke").out


def test_ctrl_c_is_one_line_whatever_it_cut_off() -> None:
    code = """
import sys
from tff_affect import cli, doctor

async def computation(): pass
cut_off = computation()

def interrupted(): raise KeyboardInterrupt
doctor.diagnose = interrupted
sys.argv = ["tff-affect", "doctor"]
cli.main()
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 130
    assert done.stderr.startswith("tff-affect: interrupted")
    assert done.stderr.count("\n") == 1


def test_a_full_disk_is_one_line(call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    def full() -> list[Check]:
        raise OSError(28, "No space left on device", "/somewhere")

    monkeypatch.setattr(doctor, "diagnose", full)
    said = call("doctor")
    assert said.code == 1
    assert said.err == "tff-affect: [Errno 28] No space left on device: '/somewhere'\n"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("settings", "said"),
    [
        (("privacy.delta=0.9",), "publishing one of"),
        (("privacy.noise_multiplier=-1",), "privacy.noise_multiplier: expected at least 0"),
        (("privacy.clipping_norm=inf",), "without clipping no amount of noise protects"),
        (("training.weighting=windows",), "weights are uniform"),
        (("privacy.mechanism=adaptive",), "adaptive clipping of"),
        (("privacy.level=window", "data.hop=5"), "windows that overlap share frames"),
        (("tuning.client_learning_rates=[0.1,0.2]",), "privacy.settings_from='this cohort'"),
        (("privacy.zeroing=true",), "zeroing"),
        (("model.name=ridge",), "solved from sums that have no noise"),
    ],
)
def test_privacy_that_would_not_hold_is_refused_before_anything_is_written(
    settings: tuple[str, ...], said: str, cohort: Path, call: Call, tmp_path: Path
) -> None:
    always = ("data.window=10", "data.hop=10", "training.weighting=uniform", "privacy.noise_multiplier=1")
    options = [part for setting in (*always, *settings) for part in ("-o", setting)]
    is_refused(call("train", tmp_path / "new", "--cohort", cohort, "--quiet", *options), said)
    assert not (tmp_path / "new").exists()


@pytest.mark.slow
def test_a_delta_that_means_nothing_can_be_forced(cohort: Path, call: Call, tmp_path: Path) -> None:
    settings = (
        "data.window=10", "data.hop=10", "training.weighting=uniform", "training.rounds=1", "model.units=2",
        "methods=[federated]", "privacy.noise_multiplier=1", "privacy.delta=0.9",
    )  # fmt: skip
    options = [part for setting in settings for part in ("-o", setting)]
    said = call("train", tmp_path / "new", "--cohort", cohort, "--quiet", "--force", *options)
    assert said.code == 0, said
    assert "publishing one record whole satisfies that" in " ".join(said.out.split())
