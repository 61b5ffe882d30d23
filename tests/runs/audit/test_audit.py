"""A whole audit of a small SYNTHETIC run: every attack says something, and says it again."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from conftest import Said
from sample_run import cohort_of

from tff_affect.cohort import Cohort
from tff_affect.config import PRIVATE_FEDERATED
from tff_affect.config_file import load_config
from tff_affect.errors import InputError
from tff_affect.privacy.audit import attributes, reidentification
from tff_affect.privacy.audit.attackers import logistic, nearest_mean, plain_forest
from tff_affect.privacy.audit.finding import OBSERVERS
from tff_affect.privacy.audit.update_matching import MatchingConfig
from tff_affect.progress import Progress
from tff_affect.runs.audit import rebuilding, recognition
from tff_affect.runs.audit.audit import audit_cohort, audit_study
from tff_affect.runs.audit.audited import AuditedRun
from tff_affect.runs.audit.claims import audit_claims
from tff_affect.runs.audit.result import AuditResult
from tff_affect.runs.audit.settings import ATTACKS, AuditConfig
from tff_affect.runs.audit.steps import STEPS
from tff_affect.runs.study import run_study
from tff_affect.splits import make_splits

pytestmark = pytest.mark.slow

SETTINGS = [
    "data.window=5", "data.hop=5", "model.name=simple_rnn", "model.units=4", "training.rounds=2",
    "training.local_epochs=1", "training.weighting=uniform", "training.checkpoint_every=2", "methods=[federated]",
    "privacy.noise_multiplier=1.0", "privacy.clipping_norm=0.5", "privacy.reproducible_noise=true",
]  # fmt: skip
CONFIG = AuditConfig(seconds=4, shadows=6, victims=2)
QUICK = AuditConfig(("re-identification", "epsilon"), seconds=4)


@pytest.fixture(scope="module", autouse=True)
def quick_attackers() -> Iterator[None]:
    """Without those that take long; they have tests of their own."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(reidentification, "families", lambda exposed: [logistic(), plain_forest(20), nearest_mean()])
        patch.setattr(attributes, "PERMUTATIONS", 19)
        patch.setattr(rebuilding, "_WORST_CASE", MatchingConfig(restarts=2, iterations=10))
        patch.setattr(rebuilding, "_REAL", MatchingConfig(restarts=1, iterations=5))
        yield


@pytest.fixture(scope="module")
def cohort(tmp_path_factory: pytest.TempPathFactory) -> Cohort:
    return cohort_of(tmp_path_factory.mktemp("cohort") / "cohort", 12)


@pytest.fixture(scope="module")
def study(cohort: Cohort, tmp_path_factory: pytest.TempPathFactory) -> Path:
    config, folder = load_config(None, SETTINGS, cohort.path), tmp_path_factory.mktemp("study") / "study"
    run_study(config, cohort, make_splits(cohort, config.split), folder)
    return folder


@pytest.fixture(scope="module")
def audited(study: Path) -> AuditResult:
    return audit_study(AuditedRun.of_study(study), study / "audit", CONFIG, Progress())


def test_every_attack_says_something(audited: AuditResult) -> None:
    assert {finding.attack for finding in audited.findings} == set(ATTACKS)
    assert {finding.observer for finding in audited.findings} == set(OBSERVERS)
    assert {finding.method for finding in audited.findings} == {"", "federated", PRIVATE_FEDERATED}
    assert all("it takes 4 in each group" in r or "at least 9 people" in r for r in audited.left_out.values())
    assert audited.refuted == ()
    assert (audited.facts.synthetic, audited.facts.subjects, audited.facts.shadows) == (True, 12, 6)
    assert audited.facts.window == "4 seconds"


def test_an_audit_goes_on_where_it_was_cut_off(
    audited: AuditResult, study: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lost = study / "audit" / STEPS / "re-identification_features.json"
    told = lost.read_text()
    lost.unlink()
    done: list[str] = []
    reidentify = recognition.reidentify
    monkeypatch.setattr(recognition, "reidentify", lambda *a: done.append("again") or reidentify(*a))
    assert audit_study(AuditedRun.of_study(study), study / "audit", CONFIG, Progress()) == audited
    # What could not be attacked is tried again.
    assert len(done) == 1 + sum(label.startswith("re-identification") for label in audited.left_out)
    assert lost.read_text() == told


def test_the_same_seed_gives_the_same_numbers(study: Path, audited: AuditResult, tmp_path: Path) -> None:
    again = audit_study(AuditedRun.of_study(study), tmp_path / "again", QUICK, Progress())
    known = [finding for finding in audited.findings if finding.attack in QUICK.attacks]
    assert len(again.findings) == len(known) > 5
    assert list(again.findings) == known


def test_a_cohort_is_attacked_by_itself(cohort: Cohort, audited: AuditResult, tmp_path: Path) -> None:
    config = AuditConfig(("re-identification",), seconds=4)
    found = audit_cohort(cohort, tmp_path / "audit", config, Progress())
    assert {finding.target for finding in found.findings} == {"action units", "action units standardised per subject"}
    features = [f for f in audited.findings if f.attack == "re-identification" and not f.method]
    assert list(found.findings) == features
    assert found.facts.run == ""


def test_claims_of_a_sweep_are_checked_each_by_noise_of_its_own(study: Path, tmp_path: Path) -> None:
    points = [tmp_path / "points" / name for name in ("one", "other", "third")]
    for point in points:
        shutil.copytree(study, point, ignore=shutil.ignore_patterns("audit", "checkpoints"))
    found = audit_claims(points, tmp_path / "audit", AuditConfig(("epsilon",), most_runs=2), Progress())
    assert len({finding.target for finding in found.findings}) == 2
    assert len({finding.value for finding in found.findings}) == 2
    assert found.refuted == ()
    assert found.facts.run == "2 of 3 private runs of a sweep"


def test_another_cohort_is_refused(study: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="found other data"):
        AuditedRun.of_study(study, cohort_of(tmp_path / "other", 5).path)


def test_a_folder_of_something_else_is_left_alone(study: Path, tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("mine")
    with pytest.raises(InputError, match="holds no audit"):
        audit_study(AuditedRun.of_study(study), tmp_path, QUICK, Progress())
    assert [entry.name for entry in tmp_path.iterdir()] == ["mine.txt"]


def test_the_command_prints_a_table_and_refutes_an_altered_claim(
    study: Path, audited: AuditResult, tmp_path: Path, command_line: Callable[..., Said]
) -> None:
    call = ("privacy", "audit", study, "--attack", "epsilon", "--seconds", "4", "--quiet")
    code, out, _ = command_line(*call, "--out", tmp_path / "one")
    assert code == 0
    assert "SYNTHETIC" in out
    assert "not refuted" in out
    assert (tmp_path / "one" / "audit.html").is_file()
    file = study / "privacy.json"
    kept = file.read_text()
    claim = json.loads(kept)
    claim[PRIVATE_FEDERATED]["epsilon"] = 0.1
    file.write_text(json.dumps(claim))
    try:
        code, out, _ = command_line(*call, "--out", tmp_path / "two", "--json")
    finally:
        file.write_text(kept)
    assert code == 1
    assert [record["verdict"] for record in json.loads(out)] == ["REFUTED"]
