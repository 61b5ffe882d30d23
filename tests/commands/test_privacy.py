"""``tff-affect privacy plan``: an answer, JSON, a figure, and one message for bad input."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest
from conftest import Said

ROOT = Path(__file__).resolve().parents[2]
KNOWN = ("--epsilon", "4", "--rounds", "20", "--clients", "27")


@pytest.fixture
def call(command_line: Callable[..., Said]) -> Callable[..., Said]:
    return partial(command_line, "privacy", "plan")


def test_a_plan_is_an_answer_a_verdict_a_guarantee_and_a_table(call: Callable[..., Said], tmp_path: Path) -> None:
    code, out, err = call(*KNOWN, "--delta", "1e-3", "--parameters", "1506", "--plot", tmp_path / "plan.svg")
    assert (code, err) == (0, "")
    assert out.startswith("noise multiplier: 3.682\nAt 27 subjects this noise is 5.3 times the signal")
    for part in ("at delta 0.001 for one subject (add-remove)", "trusted server", "10,000", "Figure: "):
        assert part in out
    assert max(map(len, out.splitlines()[:-1])) <= 100
    assert (tmp_path / "plan.svg").read_text(encoding="utf-8").startswith("<svg")


def test_the_same_as_json(call: Callable[..., Said]) -> None:
    said = call(*KNOWN, "--model", "gru", "--units", "8", "--features", "5", "--labels", "1", "--json")
    assert (said.code, said.err) == (0, "")
    record = json.loads(said.out, parse_constant=lambda word: pytest.fail(f"{word} is not JSON"))
    assert record["parameters"] == 3 * 8 * (5 + 8 + 2) + 9
    assert record["guarantee"]["delta"] == 1 / 270
    assert record["noise_to_signal"] == record["guarantee"]["noise_multiplier"] * record["parameters"] ** 0.5 / 27


def test_fixed_size_samples_are_replace_one(call: Callable[..., Said]) -> None:
    options = ("--noise-multiplier", "5", "--rounds", "10", "--clients", "50", "--clients-per-round", "10")
    fixed = json.loads(call(*options, "--sampling", "fixed-size", "--json").out)
    assert fixed["guarantee"]["adjacency"] == "replace-one"
    assert "10 of 50 clients in each round" in fixed["guarantee"]["sampling"]
    forced = call(*options, "--delta", "0.02", "--force", "--json")
    assert "1/50 or more" in forced.out


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (KNOWN[:4], "plan: expected all of epsilon, noise multiplier, rounds, clients but the one"),
        ((*KNOWN, "--noise-multiplier", "2"), "found epsilon, noise multiplier, rounds, clients"),
        ((*KNOWN, "--delta", "0.5"), "privacy.delta: expected below 1/27"),
        ((*KNOWN, "--sampling", "some"), "privacy.sampling: expected one of poisson"),
        ((*KNOWN, "--model", "ridge"), "model.name: expected one of simple_rnn"),
        ((*KNOWN, "--plot", "plan.pdf"), "plan.pdf: expected a figure that ends in .png or .svg"),
        ((*KNOWN, "--plot", "nowhere/plan.svg"), "nowhere/plan.svg: cannot write here"),
        (("--epsilon", "0.01", "--noise-multiplier", "1", "--clients", "27"), "which one round costs, found 0.01"),
    ],
)
def test_bad_input_is_one_message(options: tuple[str, ...], said: str, call: Callable[..., Said]) -> None:
    code, out, err = call(*options)
    assert (code, out) == (2, "")
    assert err.startswith("tff-affect: ")
    assert err.count("\n") == 1
    assert said in err


def test_a_plan_does_without_tensorflow() -> None:
    code = """
import sys
from tff_affect.commands.privacy import privacy_app
privacy_app(["plan", "--epsilon", "4", "--rounds", "20", "--clients", "27", "--json"], standalone_mode=False)
heavy = {"tensorflow", "tensorflow_federated", "tensorflow_privacy", "keras", "jax", "matplotlib", "pandas"}
found = sorted(heavy & {name.split(".")[0] for name in sys.modules})
sys.exit(str(found) if found else 0)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["clients"] == 27
