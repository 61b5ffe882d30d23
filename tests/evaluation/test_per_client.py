from pathlib import Path

import audmetric
import numpy as np
import pandas as pd
import pytest

from tff_affect.errors import InputError
from tff_affect.evaluation import per_client
from tff_affect.evaluation.per_client import (
    client_means,
    pooled,
    read_results,
    read_study,
    result_rows,
    summarise,
    write_results,
)
from tff_affect.metrics import SufficientStatistics

DIMENSIONS = ["arousal", "valence"]


def series(*key: int, frames: int = 40) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(key)
    gold = rng.normal(rng.normal(), 1, size=(frames, 2))
    return gold, 0.5 * gold + rng.normal(scale=0.7, size=(frames, 2))


def rows(
    method: str, client: str, gold: np.ndarray, predicted: np.ndarray, model: str = "", kind: str = "measured"
) -> list[dict]:
    return result_rows(method, kind, model, client, SufficientStatistics.from_series(gold, predicted), DIMENSIONS)


def ccc(pairs: list[tuple[np.ndarray, np.ndarray]], dimension: int = 0) -> float:
    gold, predicted = (np.concatenate(parts)[:, dimension] for parts in zip(*pairs, strict=True))
    return audmetric.concordance_cc(gold, predicted)


def frame(found: list[dict], **columns: int) -> pd.DataFrame:
    return pd.DataFrame(found).assign(**columns)


def test_results_round_trip_exactly_and_equal_results_give_equal_bytes(tmp_path: Path) -> None:
    found = rows("federated", "NA", *series(0)) + rows("federated", "16", *series(1))
    found += rows("local-only", "16", np.full((2, 2), np.nan), np.zeros((2, 2)), model="nan")
    write_results(tmp_path / "a.csv", found)
    write_results(tmp_path / "b.csv", found)
    assert (tmp_path / "a.csv").read_bytes() == (tmp_path / "b.csv").read_bytes()
    read = read_results(tmp_path / "a.csv")
    pd.testing.assert_frame_equal(read, pd.DataFrame(found), check_exact=True)
    assert read["client"].tolist()[:4] == ["NA", "NA", "16", "16"]
    assert read["constant"].tolist() == [False] * 4 + [True] * 2


def test_writing_leaves_nothing_half_written(tmp_path: Path) -> None:
    path = tmp_path / "results.csv"
    write_results(path, rows("federated", "P1", *series(0)))
    before = path.read_bytes()
    broken = rows("federated", "P1", *series(1))
    del broken[1]["n"]
    with pytest.raises(KeyError):
        write_results(path, broken)
    assert path.read_bytes() == before
    assert [entry.name for entry in tmp_path.iterdir()] == ["results.csv"]
    with pytest.raises(InputError, match="cannot write"):
        write_results(tmp_path / "absent" / "results.csv", [])


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("federated", "magic", "expected 'method' among"),
        ("measured", "guessed", "expected 'kind' among"),
        (",true", ",maybe", "expected 'constant' among"),
        ("40.0", "many", "expected a number in 'n'"),
        ("comoment", "moment", "expected a column 'comoment'"),
        ("valence", "arousal", "appear twice"),
    ],
)
def test_bad_results_are_named(tmp_path: Path, old: str, new: str, message: str) -> None:
    path = tmp_path / "results.csv"
    gold, _ = series(0)
    write_results(path, rows("federated", "P1", gold, np.zeros((40, 2))))
    path.write_text(path.read_text().replace(old, new))
    with pytest.raises(InputError, match=message) as caught:
        read_results(path)
    assert caught.value.file == str(path)


@pytest.mark.parametrize("content", [b"", b"\xff\xfe\x00", b'a,b\n"'])
def test_unreadable_results_are_named(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "results.csv"
    path.write_bytes(content)
    with pytest.raises(InputError):
        read_results(path)
    with pytest.raises(InputError, match="no results"):
        read_results(tmp_path / "absent.csv")


def test_unknown_methods_and_shapes_are_refused() -> None:
    with pytest.raises(ValueError, match="found 'magic'"):
        rows("magic", "P1", *series(0))
    part = SufficientStatistics.from_series(*series(0))
    with pytest.raises(ValueError, match="3 dimensions"):
        result_rows("federated", "measured", "", "P1", part, ["a", "b", "c"])


def test_client_means_average_local_models_first() -> None:
    gold, predicted = series(0)
    found = rows("local-only", "P1", gold, predicted, "A") + rows("local-only", "P1", gold, 0 * gold, "B")
    means = client_means(frame(found)).set_index("dimension")
    assert means.loc["arousal", "ccc"] == pytest.approx(audmetric.concordance_cc(gold[:, 0], predicted[:, 0]) / 2)
    assert means.loc["arousal", "n"] == 40
    assert means.loc["arousal", "constant"]


def test_pooled_equals_concatenation_over_clients_and_folds() -> None:
    pairs = [series(0, c) for c in range(4)]
    found = [frame(rows("federated", f"P{c}", *pairs[c]), seed=0, fold=c % 2) for c in range(4)]
    pools = pooled(pd.concat(found)).set_index("dimension")
    for d, dimension in enumerate(DIMENSIONS):
        assert pools.loc[dimension, "ccc"] == pytest.approx(ccc(pairs, d), abs=1e-9)
    assert pools.loc["arousal", "n"] == 160


def test_pooled_local_only_pools_each_model_rank_then_averages() -> None:
    # Fold 0 has models A, B, C; fold 1 has D, E: the first and the second of each fold are pooled, C has no partner.
    models = {0: ["C", "A", "B"], 1: ["E", "D"]}
    pairs = {(m, c): series(ord(m), c) for f, ms in models.items() for m in ms for c in (2 * f, 2 * f + 1)}
    found = [frame(rows("local-only", f"P{c}", *pair, model=m), seed=0, fold=c // 2) for (m, c), pair in pairs.items()]
    first = ccc([pairs["A", 0], pairs["A", 1], pairs["D", 2], pairs["D", 3]])
    second = ccc([pairs["B", 0], pairs["B", 1], pairs["E", 2], pairs["E", 3]])
    pools = pooled(pd.concat(found)).set_index("dimension")
    assert pools.loc["arousal", "ccc"] == pytest.approx((first + second) / 2, abs=1e-9)


def test_pooled_mean_predictor_is_slightly_negative_over_folds() -> None:
    golds = [series(0, c)[0] for c in range(6)]
    told, found = [], []
    for c, gold in enumerate(golds):
        constant = np.mean([g.mean(axis=0) for i, g in enumerate(golds) if i % 3 != c % 3], axis=0)
        told.append(np.broadcast_to(constant, gold.shape))
        found.append(frame(rows("mean predictor", f"P{c}", gold, told[-1]), seed=0, fold=c % 3))
    pools = pooled(pd.concat(found)).set_index("dimension")
    one_fold = pooled(found[0]).set_index("dimension")
    for d, dimension in enumerate(DIMENSIONS):
        assert pools.loc[dimension, "ccc"] == pytest.approx(ccc(list(zip(golds, told, strict=True)), d), abs=1e-9)
        assert -0.5 < float(pools["ccc"][dimension]) < 0
        assert one_fold.loc[dimension, "ccc"] == 0


def test_one_constant_local_model_flags_a_client_whose_mean_is_not_0() -> None:
    gold, predicted = series(0)
    found = rows("local-only", "P1", gold, predicted, "A") + rows("local-only", "P1", gold, 0 * gold, "B")
    summary = summarise(frame(found), DIMENSIONS).set_index("dimension").loc["arousal"]
    assert summary["constant_clients"] == 1
    assert summary["ccc_mean"] == pytest.approx(ccc([(gold, predicted)]) / 2)


def test_summary_over_seeds_and_folds_by_hand() -> None:
    pairs = {(s, c): series(s, c) for s in range(3) for c in range(5)}
    found = pd.concat(frame(rows("federated", f"P{c}", *pair), seed=s, fold=c % 2) for (s, c), pair in pairs.items())
    summary = summarise(found, DIMENSIONS).set_index("dimension").loc["arousal"]
    values = np.array([[ccc([pairs[s, c]]) for c in range(5)] for s in range(3)])
    pools = np.array([ccc([pairs[s, c] for c in range(5)]) for s in range(3)])
    assert summary["ccc_mean"] == pytest.approx(values.mean())
    assert summary["ccc_mean_sd"] == pytest.approx(values.mean(axis=1).std(ddof=1))
    assert summary["ccc_pooled"] == pytest.approx(pools.mean())
    assert summary["ccc_pooled_sd"] == pytest.approx(pools.std(ddof=1))
    assert values.mean(axis=0).min() - 1e-12 <= summary["ccc_low"] < summary["ccc_mean"] < summary["ccc_high"]
    assert (summary["clients"], summary["seeds"], summary["folds"], summary["constant_clients"]) == (5, 3, 2, 0)


def test_summary_order_kinds_and_flags() -> None:
    gold, predicted = series(0)
    found = rows("federated", "P1", gold, predicted) + rows("federated", "P1", gold, gold, kind="attainable")
    found += rows("mean predictor", "P1", gold, np.full_like(gold, 0.1))
    summary = summarise(frame(found), ["valence", "arousal"])
    assert summary["dimension"].tolist() == ["valence"] * 3 + ["arousal"] * 3
    assert summary["method"].tolist()[:3] == ["mean predictor", "federated", "federated"]
    assert summary["kind"].tolist()[:3] == ["measured", "measured", "attainable"]
    assert summary["constant_clients"].tolist()[:3] == [1, 0, 0]
    assert summary["ccc_mean"][0] == summary["ccc_pooled"][0] == 0
    assert summary[["ccc_low", "ccc_mean_sd"]].isna().all().all()
    with pytest.raises(InputError, match="'dominance'"):
        summarise(frame(found), ["dominance"])


def test_measured_and_post_processed_are_never_averaged_or_pooled_together() -> None:
    pairs = {f"P{c}": series(0, c) for c in range(2)}
    found = []
    for client, (gold, predicted) in pairs.items():
        found += rows("federated", client, gold, predicted)
        found += rows("federated", client, gold, 0.9 * gold, kind="post-processed")
    summary = summarise(frame(found), ["arousal"])
    assert summary["kind"].tolist() == ["measured", "post-processed"]
    alone = summarise(frame([row for row in found if row["kind"] == "measured"]), ["arousal"])
    pd.testing.assert_frame_equal(summary[summary["kind"] == "measured"], alone)
    expected = ccc([(gold, 0.9 * gold) for gold, _ in pairs.values()])
    assert summary["ccc_pooled"][1] == pytest.approx(expected)


def test_one_run_of_a_study_keeps_its_seed_and_fold(tmp_path: Path) -> None:
    for name, found in (("seed-3_fold-1", (3, 1)), ("seed-2", (2, 0)), ("mine", (0, 0))):
        (tmp_path / name).mkdir()
        write_results(tmp_path / name / "results.csv", rows("federated", "P1", *series(0)))
        assert per_client.run_folders(tmp_path / name) == [(*found, tmp_path / name)]


def test_a_study_is_a_run_or_a_folder_of_runs(tmp_path: Path) -> None:
    for name in ("seed-10", "seed-2_fold-1", "seed-2", "seed-x", "other"):
        (tmp_path / name).mkdir()
        write_results(tmp_path / name / "results.csv", rows("federated", "P1", *series(0)))
    (tmp_path / "seed-3").mkdir()
    found = read_study(tmp_path)
    assert found[["seed", "fold"]].drop_duplicates().to_numpy().tolist() == [[2, 0], [2, 1], [10, 0]]
    assert read_study(tmp_path / "other")["seed"].tolist() == [0, 0]
    with pytest.raises(InputError, match=r"no run with a results\.csv"):
        per_client.run_folders(tmp_path / "seed-3")
    with pytest.raises(InputError, match=r"no run with a results\.csv"):
        per_client.run_folders(tmp_path / "absent")


def test_a_single_run_has_the_seed_of_its_study(tmp_path: Path) -> None:
    write_results(tmp_path / "results.csv", rows("federated", "P1", *series(0)))
    assert per_client.run_folders(tmp_path) == [(0, 0, tmp_path)]
    (tmp_path / "study.json").write_text('{"seeds": [7]}')
    assert per_client.run_folders(tmp_path) == [(7, 0, tmp_path)]
    assert set(read_study(tmp_path)["seed"]) == {7}


@pytest.mark.parametrize("content", ["{", "[7]", "{}", '{"seeds": 7}', '{"seeds": [1, 2]}', '{"seeds": ["7"]}'])
def test_a_spoilt_study_file_is_named(tmp_path: Path, content: str) -> None:
    write_results(tmp_path / "results.csv", rows("federated", "P1", *series(0)))
    (tmp_path / "study.json").write_text(content)
    with pytest.raises(InputError) as caught:
        read_study(tmp_path)
    assert caught.value.file == str(tmp_path / "study.json")
