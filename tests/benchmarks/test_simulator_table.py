"""Medians, ratios and bounds from made-up results."""

import json
from pathlib import Path

import pandas as pd
import pytest

from benchmarks.simulator_table import clean_median, judge, load_results, paired_ratios, show, summarise
from tff_affect.errors import InputError


def line(label: str, beside: str, seconds: float, **changes: object) -> dict[str, object]:
    return {
        "label": label, "beside": beside, "task": "affect-27", "repeat": 1, "rounds": 3, "s_per_round": seconds,
        "startup_s": 4.0, "first_round_s": 1.0, "peak_pss_mb": 700.0, "foreign_cpu": 0.01, "final_train_loss": 0.25,
    } | changes  # fmt: skip


def pair(peer: str, ours: float, theirs: float, repeat: int = 1, **changes: object) -> list[dict[str, object]]:
    return [line("ours", peer, ours, repeat=repeat), line(peer, peer, theirs, repeat=repeat, **changes)]


def results(tmp_path: Path, lines: list[dict[str, object]]) -> pd.DataFrame:
    file = tmp_path / "results.jsonl"
    file.write_text("".join(json.dumps(entry) + "\n" for entry in lines))
    return load_results(file)


def outcomes(found: pd.DataFrame) -> dict[str, str]:
    return {verdict.text.split(":")[0]: verdict.outcome for verdict in judge(found)}


def test_ratios_are_taken_within_pairs(tmp_path: Path) -> None:
    # The machine was three times slower during the second repeat, for both.
    found = results(tmp_path, [*pair("pfl_p2", 0.2, 0.4), *pair("pfl_p2", 0.6, 1.2, 2), *pair("pfl_p2", 0.2, 0.4, 3)])
    assert paired_ratios(found)["s_per_round"].tolist() == pytest.approx([0.5, 0.5, 0.5])
    row = summarise(found).set_index("simulator").loc["pfl_p2"]
    assert row["ours/it s_per_round"] == pytest.approx(0.5)
    assert row["s_per_round"] == pytest.approx(0.4)
    assert row["to_first_round_s"] == pytest.approx(5.0)
    assert row["runs"] == "3/3"


def test_a_disturbed_run_is_marked_and_left_out(tmp_path: Path) -> None:
    disturbed = pair("pfl_p2", 0.2, 0.05, 2, foreign_cpu=0.3)
    found = results(tmp_path, [*pair("pfl_p2", 0.2, 0.4), *disturbed])
    row = summarise(found).set_index("simulator").loc["pfl_p2"]
    assert row["remark"] == "NOISY (30% foreign CPU)"
    assert row["runs"] == "1/2"
    assert row["s_per_round"] == pytest.approx(0.4)
    assert row["ours/it s_per_round"] == pytest.approx(0.5)


def test_the_limit_of_noise_is_five_percent(tmp_path: Path) -> None:
    found = results(tmp_path, [line("ours", "a", 1.0, foreign_cpu=0.05), line("ours", "b", 1.0, foreign_cpu=0.051)])
    assert found["noisy"].tolist() == [False, True]


def test_without_a_clean_run_the_median_is_of_all_and_nothing_is_decided(tmp_path: Path) -> None:
    found = results(tmp_path, pair("pfl_p2", 0.2, 0.4, foreign_cpu=0.3))
    assert clean_median(found[found["label"] == "pfl_p2"], "s_per_round") == pytest.approx(0.4)
    assert outcomes(found)["affect-27 s_per_round ours/pfl_p2"] == "undecided"
    assert not show(found)


@pytest.mark.parametrize(
    ("peer", "ours", "theirs", "outcome"),
    [
        ("flower_a2", 0.40, 0.41, "met"), ("flower_a1", 0.42, 0.41, "missed"), ("pfl_p1t1", 0.3, 0.2, "missed"),
        ("fedjax_jit", 0.5, 0.6, "met"), ("stock_tff", 0.5, 2.6, "met"), ("stock_tff", 0.5, 2.4, "missed"),
    ],
)  # fmt: skip
def test_bounds(tmp_path: Path, peer: str, ours: float, theirs: float, outcome: str) -> None:
    found = results(tmp_path, pair(peer, ours, theirs))
    assert outcomes(found)[f"affect-27 s_per_round ours/{peer}"] == outcome
    assert show(found) is (outcome == "met")


def test_a_peer_without_a_bound_is_shown_only(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert show(results(tmp_path, pair("jax_map_d2", 0.5, 0.2)))
    assert "jax_map_d2" in capsys.readouterr().out


def test_flower_bounds_the_first_round_too(tmp_path: Path) -> None:
    found = results(tmp_path, pair("flower_a2", 0.2, 0.4, startup_s=1.0))
    assert outcomes(found)["affect-27 to_first_round_s ours/flower_a2"] == "missed"


@pytest.mark.parametrize(("megabytes", "outcome"), [(1430.0, "met"), (1431.0, "missed")])
def test_memory_is_bounded_in_bytes(tmp_path: Path, megabytes: float, outcome: str) -> None:
    found = results(tmp_path, [line("ours", "pfl_p2", 0.2, peak_pss_mb=megabytes)])
    assert outcomes(found)["affect-27 peak memory of ours"] == outcome


def test_a_failed_peer_decides_nothing(tmp_path: Path) -> None:
    failed = {"label": "pfl_p2", "beside": "pfl_p2", "task": "affect-27", "repeat": 1, "failed": 124}
    found = results(tmp_path, [line("ours", "pfl_p2", 0.2), failed])
    assert summarise(found).set_index("simulator").loc["pfl_p2", "remark"] == "FAILED"
    assert outcomes(found)["affect-27 s_per_round ours/pfl_p2"] == "undecided"


def test_our_own_failure_is_never_met(tmp_path: Path) -> None:
    failed = {"label": "ours", "beside": "pfl_p2", "task": "affect-27", "repeat": 1, "failed": 1}
    found = results(tmp_path, [failed, line("pfl_p2", "pfl_p2", 0.4)])
    assert outcomes(found)["affect-27 peak memory of ours"] == "undecided"
    assert not show(found)


def test_another_final_loss_is_other_work(tmp_path: Path) -> None:
    found = results(tmp_path, pair("pfl_p2", 0.2, 0.4, final_train_loss=0.2502))
    assert [v.outcome for v in judge(found) if "the same work" in v.text] == ["missed"]
    other_rounds = results(tmp_path, pair("pfl_p2", 0.2, 0.4, final_train_loss=0.2502, rounds=9))
    assert [v.outcome for v in judge(other_rounds) if "the same work" in v.text] == ["met"]


@pytest.mark.parametrize("text", ["", "not JSON\n", '{"label": "ours"}\n', "[1]\n"])
def test_a_file_of_something_else_is_refused(tmp_path: Path, text: str) -> None:
    file = tmp_path / "results.jsonl"
    file.write_text(text)
    with pytest.raises(InputError):
        load_results(file)
