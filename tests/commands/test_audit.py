"""``tff-affect privacy compare``: what it hands on, what it prints and writes, and one message for bad input."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pandas as pd
import pytest
from conftest import Said

from data_prep.synthetic_model import SyntheticConfig
from experiments import protections
from experiments.protections import COMPARED, ProtectionsRequest
from tff_affect.cohort import Cohort
from tff_affect.privacy.audit.finding import Finding
from tff_affect.progress import Progress
from tff_affect.runs.audit.settings import AuditConfig

SMALL = SyntheticConfig(subjects=8, seconds=20, frame_rate=2.5, action_units=("AU06", "AU12"))
ATTACKS = ("recognised", "attribute", "rebuilt", "member")


def found(refuted: bool) -> pd.DataFrame:
    numbers = dict.fromkeys(ATTACKS, 0.75) | {f"{a}_chance": 0.25 for a in ATTACKS} | {f"{a}_p": 0.001 for a in ATTACKS}
    plain = {"protection": "federated", "method": "federated", "ccc": 0.5}
    claim = {"epsilon": "inf", "epsilon_measured": 0.0, "refuted": refuted}
    private = {"protection": "federated + DP for subjects, noise 2", "method": "federated + DP", "ccc": 0.25}
    return pd.DataFrame([plain | numbers, private | numbers | claim]).assign(cohort="toy", synthetic=True)


@dataclass
class Comparison:
    """Stands for the training and the attacks.

    Attributes:
        refuted: Whether a claim turns out to be wrong.
        asked: What it was called with.
    """

    refuted: bool = False
    asked: tuple[Any, ...] = ()

    def __call__(self, folder: Path, request: ProtectionsRequest, progress: object, processes: int) -> pd.DataFrame:
        self.asked = (folder, request, processes)
        return found(self.refuted)


@pytest.fixture
def comparison(monkeypatch: pytest.MonkeyPatch) -> Comparison:
    made = Comparison()
    monkeypatch.setattr(protections, "compare_protections", made)
    monkeypatch.setattr(protections, "DEMO_COHORT", SMALL)
    return made


@pytest.fixture
def call(command_line: Callable[..., Said]) -> Callable[..., Said]:
    return partial(command_line, "privacy", "compare")


def test_without_a_cohort_it_is_the_synthetic_one(
    call: Callable[..., Said], comparison: Comparison, tmp_path: Path
) -> None:
    out = tmp_path / "new" / "out"
    code, said, _ = call(out, "--quiet")
    assert code == 0
    request = ProtectionsRequest(out / "cohort", (0.5, 2.0, 8.0), 0.3, AuditConfig(COMPARED, shadows=16))
    assert comparison.asked == (out, request, 0)
    assert len(Cohort.open(out / "cohort").subjects) == 8
    lines = said.splitlines()
    assert lines[-1] == f"Tables and figure: {out}"
    assert max(map(len, lines[:-1])) <= 100
    assert said.count("SYNTHETIC data - ") == 2
    assert "0.750 (0.250)" in said
    assert "inf (subject)" in said


def test_a_second_call_keeps_the_cohort_and_takes_no_other(
    call: Callable[..., Said], comparison: Comparison, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "out"
    assert call(out, "--quiet").code == 0
    made = (out / "cohort" / "cohort.json").stat().st_mtime_ns
    (out / ".cohort.cut-off").mkdir()
    assert call(out, "--quiet").code == 0
    assert (out / "cohort" / "cohort.json").stat().st_mtime_ns == made
    (out / "studies").mkdir()
    assert call(out, "--quiet").code == 0
    monkeypatch.setattr(protections, "DEMO_COHORT", replace(SMALL, seed=SMALL.seed + 1))
    code, said, err = call(out, "--quiet")
    assert (code, said) == (2, "")
    assert "expected the SYNTHETIC cohort of the demo, found another" in err


def test_options_are_handed_on(
    call: Callable[..., Said], comparison: Comparison, small_cohort: Cohort, tmp_path: Path
) -> None:
    code, said, _ = call(
        tmp_path / "out", "--cohort", small_cohort.path, "--noise-multiplier", "1,3,9", "--clip", "0.7", "--shadows",
        "8", "--processes", "2", "-o", "training.rounds=3", "-o", "model.units=5", "--json", "--quiet",
    )  # fmt: skip
    assert code == 0
    expected = ProtectionsRequest(
        small_cohort.path,
        (1.0, 3.0, 9.0),
        0.7,
        AuditConfig(COMPARED, shadows=8),
        ("training.rounds=3", "model.units=5"),
    )
    assert comparison.asked == (tmp_path / "out", expected, 2)
    assert list(tmp_path.iterdir()) == []
    records = json.loads(said, parse_constant=lambda word: pytest.fail(f"{word} is not JSON"))
    assert [(r["epsilon"], r["recognised"], r["synthetic"]) for r in records] == [
        (None, 0.75, True), ("inf", 0.75, True),
    ]  # fmt: skip


@pytest.mark.parametrize("options", [(), ("--json",)])
def test_a_refuted_claim_is_shown_and_ends_with_one(
    options: tuple[str, ...], call: Callable[..., Said], comparison: Comparison, tmp_path: Path
) -> None:
    comparison.refuted = True
    code, said, _ = call(tmp_path / "out", "--quiet", *options)
    assert code == 1
    assert ("REFUTED" in said) == (options == ())
    assert ('"refuted": true' in said) == (options != ())


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--noise-multiplier", "0.5,2"), "protections: expected 3 noise multipliers above 0, found [0.5, 2.0]"),
        (("--noise-multiplier", "0,2,8"), "protections: expected 3 noise multipliers above 0"),
        (("--noise-multiplier", "a,2,8"), "--noise-multiplier: expected numbers separated by commas, found 'a,2,8'"),
        (("--clip", "0"), "privacy.clipping_norm: expected a number above 0, found 0"),
        (("--clip", "inf"), "privacy.clipping_norm: without clipping no amount of noise protects"),
        (("--shadows", "4"), "audit: expected shadows of at least 6, found 4"),
        (("-o", "training.rounds=none"), "training.rounds"),
        (("-o", "no.such=1"), "no"),
    ],
)
def test_bad_input_is_one_message_and_leaves_nothing(
    options: tuple[str, ...], said: str, call: Callable[..., Said], comparison: Comparison, tmp_path: Path
) -> None:
    code, out, err = call(tmp_path / "out", "--quiet", *options)
    assert (code, out) == (2, "")
    assert err.startswith("tff-affect: ")
    assert err.count("\n") == 1
    assert said in err
    assert comparison.asked == ()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("inside", ["notes.txt", "cohort and notes.txt", ""])
def test_a_folder_with_something_else_is_left_alone(
    inside: str, call: Callable[..., Said], comparison: Comparison, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    if inside:
        out.mkdir()
        for name in inside.split(" and "):
            (out / name).touch()
    else:
        out.touch()
    code, _, err = call(out, "--quiet")
    assert code == 2
    assert ("holds no comparison" if inside else "expected a folder, found a file") in err
    assert comparison.asked == ()


def finding(attack: str, target: str, method: str, observer: str, value: float, **more: Any) -> Finding:
    return Finding(attack, target, method, observer, "forest", "AUC", value, 0.5, "said", p=0.001, **more)


def test_a_comparison_writes_table_page_and_figure(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Training and attacks are stood in for; what is made of them is not."""
    monkeypatch.setattr(protections, "DEMO_COHORT", SMALL)
    plain = (
        finding("re-identification", "action units", "", "data", 0.875),
        finding("re-identification", "standardised action units", "", "data", 1.0),
        finding("re-identification", 'updates in the first round, "federated"', "federated", "server", 0.625),
        finding("re-identification", 'updates from the final model, "federated"', "federated", "server", 1.0),
        finding("membership", 'training of "federated"', "federated", "model", 0.6875),
    )
    private = (
        finding(
            "re-identification", 'updates in the first round, "federated + DP"', "federated + DP", "server", 0.5625
        ),
        finding("epsilon", "mechanism", "federated + DP", "model", 2.5, best=math.inf, details={"claimed": 3.25}),
    )
    scores = pd.DataFrame(
        [(method, "measured", 0.5) for method in ("centralised", "federated", "federated + DP")],
        columns=["method", "kind", "ccc"],
    )
    heavy: dict[str, Callable[..., Any]] = {
        "audit.audit.audit_study": lambda run, *_: SimpleNamespace(findings=plain if run.name == "plain" else private),
        "audit.audited.AuditedRun.of_study": Path,
        "study.run_studies": lambda *_, **__: None,
    }
    for name, instead in heavy.items():
        monkeypatch.setattr(f"tff_affect.runs.{name}", instead)
    monkeypatch.setattr(protections, "read_study", lambda study: study)
    monkeypatch.setattr(protections, "client_means", lambda _: scores)
    cohort = protections.demo_cohort(tmp_path, Progress())
    table = protections.compare_protections(tmp_path, ProtectionsRequest(cohort), Progress(), 1)
    names = {f"protections.{ending}" for ending in ("csv", "md", "svg", "png")}
    assert {file.name for file in tmp_path.iterdir() if file.is_file()} == names
    assert pd.read_csv(tmp_path / "protections.csv")["protection"].tolist() == table["protection"].tolist()
    page = (tmp_path / "protections.md").read_text(encoding="utf-8")
    for line in (
        "| none: one trainer has all features | 0.875 (0.500) | - | - | - |",
        "| federated | 0.625 (0.500) | - | - | 0.688 (0.500) |",
        "| federated + DP for subjects, noise 0.5 | 0.625 (0.500) | - | - | - |",
        "| federated + DP for windows, noise 2 | 0.562 (0.500) | - | - | - |",
        "| federated + DP for subjects, noise 8 | server: updates | 0.500 | 3.25 (subject) | 2.5 | not refuted |",
        "| federated + DP for windows, noise 2 | server: updates | 0.500 | 3.25 (window) | 2.5 | not refuted |",
    ):
        assert line in page.splitlines()
