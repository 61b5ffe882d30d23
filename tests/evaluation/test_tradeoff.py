"""What privacy costs, against numbers made by hand."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sample_tradeoff import BEST_CLIP, CLIENTS, DIMENSIONS, SEEDS, WITHOUT, sample_clients, sample_runs
from scipy import stats

from tff_affect.errors import InputError
from tff_affect.evaluation.tradeoff import (
    MEAN,
    at_epsilon,
    attributes,
    clip_scores,
    fairness,
    group_falls,
    overall,
    spread,
    summary,
)  # fmt: skip


def row_of(rows: pd.DataFrame, subjects: int, dimension: str, noise: float | None) -> pd.Series:
    kept = rows[(rows["subjects"] == subjects) & (rows["dimension"] == dimension)]
    kept = kept[~kept["private"]] if noise is None else kept[kept["noise_multiplier"] == noise]
    assert len(kept) == 1
    return kept.iloc[0]


def test_development_clients_choose_the_clip_and_test_clients_never() -> None:
    runs = sample_runs()
    private = runs[runs["private"]]
    by_test = private.groupby(["noise_multiplier", "clipping_norm"])["ccc_mean"].mean().unstack().idxmax(axis=1)
    assert (by_test != BEST_CLIP).all()
    rows = summary(runs)
    assert set(rows.loc[rows["private"], "clipping_norm"]) == {BEST_CLIP}
    # Turning the development scores round turns the choice round; nothing on test clients changes it.
    turned = summary(runs.assign(development_ccc=-runs["development_ccc"]))
    assert set(turned.loc[turned["private"], "clipping_norm"]) == {1.0}
    other = summary(runs.assign(ccc_mean=-runs["ccc_mean"], ccc_pooled=0.0))
    assert list(other["point"]) == list(rows["point"])


def test_the_choice_is_by_the_mean_over_seeds_and_folds_and_of_equals_the_smallest() -> None:
    runs = sample_runs((27,))
    runs.loc[runs["private"], "development_ccc"] = 0.5
    assert set(clip_scores(runs).query("best")["clipping_norm"]) == {0.1}
    # One brilliant seed is not enough.
    large = runs["clipping_norm"] == 1.0
    runs.loc[large & (runs["seed"] == 0), "development_ccc"] = 0.9
    runs.loc[large & (runs["seed"] > 0), "development_ccc"] = 0.2
    scores = clip_scores(runs)
    assert scores.loc[scores["clipping_norm"] == 1.0, "development_ccc"].tolist() == pytest.approx([1.3 / 3] * 3)
    assert set(scores.query("best")["clipping_norm"]) == {0.1}


def test_clips_are_chosen_for_each_size_by_itself() -> None:
    runs = sample_runs()
    large = (runs["subjects"] == 1000) & runs["private"]
    runs.loc[large, "development_ccc"] = 1 - runs.loc[large, "development_ccc"]
    best = clip_scores(runs).query("best").groupby("subjects")["clipping_norm"].unique()
    assert (list(best[27]), list(best[1000])) == ([0.1], [1.0])


@pytest.mark.parametrize(("dimension", "noise"), [("arousal", 1.0), ("valence", 4.0), ("valence", None)])
def test_the_numbers_of_a_row_are_those_of_numpy(dimension: str, noise: float | None) -> None:
    rng = np.random.default_rng(1)
    runs = sample_runs()
    runs = runs.assign(ccc_mean=rng.uniform(0.1, 0.9, len(runs)), ccc_pooled=rng.uniform(0.1, 0.9, len(runs)))
    row = row_of(summary(runs), 27, dimension, noise)
    point = "27-none" if noise is None else f"27-z{noise:g}-c0.1"
    for measure in ("ccc_mean", "ccc_pooled"):
        chosen = (runs["point"] == point) & (runs["dimension"] == dimension)
        values = runs.loc[chosen, measure].to_numpy(np.float64)
        expected = [values.mean(), values.std(ddof=1), values.min(), values.max()]
        assert [row[f"{measure}{end}"] for end in ("", "_sd", "_min", "_max")] == pytest.approx(expected)
    without = runs.loc[(runs["point"] == "27-none") & (runs["dimension"] == dimension), "ccc_mean"].mean()
    assert row["ccc_without"] == pytest.approx(without)
    assert row["share"] == pytest.approx(row["ccc_mean"] / without)
    assert (row["seeds"], row["folds"], row["clips"]) == (3, 1, 0 if noise is None else 2)


def test_the_mean_over_dimensions_is_taken_seed_by_seed() -> None:
    rng = np.random.default_rng(2)
    runs = sample_runs()
    runs["ccc_mean"] = rng.uniform(0.1, 0.9, len(runs))
    row = row_of(summary(runs), 27, MEAN, 4.0)
    point = runs[runs["point"] == "27-z4-c0.1"]
    seeds = [point.loc[point["seed"] == seed, "ccc_mean"].mean() for seed in SEEDS]
    assert (row["ccc_mean"], row["ccc_mean_sd"]) == pytest.approx((np.mean(seeds), np.std(seeds, ddof=1)))
    one = summary(runs[runs["dimension"] == "valence"])
    assert set(one["dimension"]) == {"valence"} == set(overall(one)["dimension"])
    assert set(overall(summary(runs))["dimension"]) == {MEAN}


def test_rows_stand_by_size_dimension_and_noise_with_no_privacy_first() -> None:
    rows = summary(sample_runs().sample(frac=1, random_state=0).sort_values("dimension", kind="stable"))
    assert rows["subjects"].is_monotonic_increasing
    assert list(dict.fromkeys(rows["dimension"])) == [*DIMENSIONS, MEAN]
    first = rows[(rows["subjects"] == 27) & (rows["dimension"] == "arousal")]
    assert first["private"].tolist() == [False, True, True, True]
    assert first["noise_multiplier"].tolist()[1:] == [0, 1, 4]


def test_folds_are_averaged_before_seeds_are_compared() -> None:
    runs = pd.concat([sample_runs().assign(fold=fold) for fold in (0, 1)], ignore_index=True)
    runs["ccc_mean"] += 0.2 * (runs["fold"] == 1)
    row, plain = row_of(summary(runs), 27, "arousal", None), row_of(summary(sample_runs()), 27, "arousal", None)
    assert row["ccc_mean"] == pytest.approx(plain["ccc_mean"] + 0.1)
    assert row["ccc_mean_sd"] == pytest.approx(plain["ccc_mean_sd"])
    assert row["folds"] == 2


def test_epsilon_is_that_of_the_worst_seed() -> None:
    runs = sample_runs()
    runs.loc[(runs["point"] == "27-z4-c0.1") & (runs["seed"] == 1), "epsilon"] = 3.9
    rows = summary(runs)
    assert row_of(rows, 27, "arousal", 4.0)["epsilon"] == 3.9
    assert row_of(rows, 27, "arousal", 0.0)["epsilon"] == math.inf
    assert math.isnan(row_of(rows, 27, "arousal", None)["epsilon"])


def test_noise_to_signal_counts_all_training_clients_where_none_are_sampled() -> None:
    runs = sample_runs()
    rows = summary(runs, parameters=1506)
    assert row_of(rows, 27, "arousal", 4.0)["noise_to_signal"] == pytest.approx(4 * math.sqrt(1506) / 18)
    assert row_of(rows, 27, "arousal", 0.0)["noise_to_signal"] == 0
    assert math.isnan(row_of(rows, 27, "arousal", None)["noise_to_signal"])
    sampled = summary(runs.assign(clients_per_round=6), parameters=1506)
    assert row_of(sampled, 27, "arousal", 4.0)["noise_to_signal"] == pytest.approx(4 * math.sqrt(1506) / 6)
    local = summary(runs.assign(clients_per_round=9, mechanism="local"), parameters=1506)
    assert row_of(local, 27, "arousal", 4.0)["noise_to_signal"] == pytest.approx(4 * math.sqrt(1506) / 3)
    for other in (summary(runs), summary(runs.assign(level="window"), parameters=1506)):
        assert other["noise_to_signal"].isna().all()


def test_one_seed_has_no_deviation() -> None:
    rows = summary(sample_runs(seeds=[7]))
    assert rows[["ccc_mean_sd", "ccc_pooled_sd"]].isna().all(axis=None)
    assert (rows["ccc_mean_min"] == rows["ccc_mean_max"]).all()
    assert set(rows["seeds"]) == {1}


def test_nothing_is_kept_of_nothing() -> None:
    runs = sample_runs()
    runs.loc[~runs["private"], "ccc_mean"] = 0.0
    assert summary(runs)["share"].isna().all()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda r: r[r["private"] | (r["subjects"] != 27)], "without privacy at 27 subjects, found none; add one"),
        (lambda r: r[~r["private"] | (r["subjects"] != 27)], "with privacy at 27 subjects, found none; add one"),
        (lambda r: r.iloc[:0], "with privacy, found none"),
        (lambda r: r.drop(columns="fold"), "expected a column 'fold'"),
        (lambda r: r.assign(ccc_mean=r["ccc_mean"].where(r["seed"] != 2)), "'ccc_mean' of each run, .* for seed 2"),
        (lambda r: r.assign(epsilon=np.nan), "'epsilon' of each run"),
        (lambda r: r.assign(development_ccc=np.nan), "expected development_ccc in each run"),
        (lambda r: r[(r["point"] != "27-z4-c1") | (r["seed"] != 2)], "27-z4-c1: .* found no .*seed 2, fold 0; finish"),
        (lambda r: pd.concat([r, r[r["point"] == "27-none"]]), "point 27-none: expected each run once"),
        (lambda r: r.assign(unit=np.where(r["seed"] == 0, "window", "subject")), "one unit, found subject, window"),
        (lambda r: r.assign(mechanism=np.where(r["seed"] == 0, "tree", "fixed")), "expected one mechanism"),
        (lambda r: r.assign(point=r["point"].replace("27-z4-c1", "27-z1-c1")), "one setting for each point"),
        (lambda r: r.assign(clipping_norm=r["clipping_norm"].replace(1.0, 0.1)), "one point for each setting"),
    ],
)  # fmt: skip
def test_what_cannot_be_compared_is_refused(change, message: str) -> None:
    with pytest.raises(InputError, match=message):
        summary(change(sample_runs()))


def test_one_missing_development_score_spoils_a_choice() -> None:
    runs = sample_runs()
    runs.loc[(runs["point"] == "27-z4-c0.1") & (runs["seed"] == 0), "development_ccc"] = np.nan
    with pytest.raises(InputError, match=r"point 27-z4-c0\.1: expected development_ccc"):
        summary(runs)
    # Where there is nothing to choose none is needed.
    alone = runs[~runs["private"] | (runs["clipping_norm"] == 0.1)].assign(development_ccc=np.nan)
    assert set(summary(alone)["clips"]) == {0, 1}


def test_points_are_found_by_about_their_epsilon() -> None:
    rows = summary(sample_runs())
    assert set(at_epsilon(rows, 4.0)["point"]) == {"27-z4-c0.1", "1000-z4-c0.1"}
    assert set(at_epsilon(rows, 23 * 1.25)["epsilon"]) == {23}
    near = rows.assign(epsilon=rows["epsilon"].replace({23.0: 3.9}))
    assert set(at_epsilon(near, 4.0)["epsilon"]) == {3.9}
    with pytest.raises(InputError, match=r"epsilon about 8, found 3\.6, 23; name one"):
        at_epsilon(rows, 8.0)


def test_falls_are_those_of_each_client() -> None:
    falls = fairness(sample_clients())
    assert len(falls) == 6 * 3 * len(CLIENTS)
    chosen = falls[(falls["point"] == "27-z4-c0.1") & (falls["dimension"] == "valence")]
    assert chosen["rank"].tolist() == [1, 1, 1, 4, 4, 4, 4, 4, 4]
    by_client = chosen.set_index("client")
    for place, client in enumerate(CLIENTS):
        without, fall = WITHOUT["valence"] + 0.02 * (place - 4), 0.4 if place > 5 else 0.2
        assert by_client.loc[client, "ccc_without"] == pytest.approx(without)
        assert by_client.loc[client, "ccc_with"] == pytest.approx(without - fall)
        assert by_client.loc[client, "fall"] == pytest.approx(fall)
    assert attributes(falls) == ["language"]
    mean = falls[(falls["point"] == "27-z4-c0.1") & (falls["dimension"] == MEAN)].set_index("client")
    assert mean.loc["P08", "ccc_without"] == pytest.approx(0.6 + 0.08)
    assert attributes(fairness(sample_clients(groups=False))) == []


def random_clients(seed: int, clients: int, noise: float) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    frame = sample_clients(groups=False)
    frame = frame[frame["client"].isin(CLIENTS[:clients])]
    return frame.assign(ccc=rng.normal(0.5, noise, len(frame)))


@settings(max_examples=10, deadline=None)
@given(seed=st.integers(0, 10**6), clients=st.integers(3, 9))
def test_the_spread_is_that_of_numpy(seed: int, clients: int) -> None:
    frame = random_clients(seed, clients, 0.2)
    row = spread(fairness(frame)).query("point == '27-z1-c1' and dimension == 'arousal'").iloc[0]
    chosen = frame[frame["dimension"] == "arousal"].pivot_table(index="client", columns="point", values="ccc")
    a, b = chosen["27-none"].to_numpy(), chosen["27-z1-c1"].to_numpy()
    for end, values in (("without", a), ("with", b)):
        expected = [values.mean(), values.std(ddof=1), np.ptp(values), np.percentile(values, 10)]
        assert [row[f"{name}_{end}"] for name in ("ccc", "sd", "range", "low")] == pytest.approx(expected)
    assert row["fall"] == pytest.approx(np.mean(a - b))
    assert (row["clients"], row["falling"]) == (clients, (a > b).sum())
    assert (row["most"], row["most_fall"]) == (chosen.index[np.argmax(a - b)], pytest.approx(np.max(a - b)))
    ranks = [stats.rankdata(values) for values in (a, a - b, a + b)]
    assert row["rank_correlation"] == pytest.approx(np.corrcoef(ranks[0], ranks[1])[0, 1])
    assert row["rank_correlation_middle"] == pytest.approx(np.corrcoef(ranks[2], ranks[1])[0, 1])


def test_chance_alone_correlates_with_the_fall_but_hardly_with_the_middle() -> None:
    found = [spread(fairness(random_clients(seed, 9, 0.1))) for seed in range(20)]
    rows = pd.concat(found)
    rows = rows[rows["dimension"] != MEAN]
    # Of two independent series of one spread: the square root of one half, and nothing.
    assert rows["rank_correlation"].mean() == pytest.approx(math.sqrt(0.5), abs=0.1)
    assert rows["rank_correlation_middle"].mean() == pytest.approx(0, abs=0.12)


def test_correlations_that_are_not_defined() -> None:
    rows = spread(fairness(sample_clients()))
    assert rows.loc[rows["noise_multiplier"] == 0, "rank_correlation"].isna().all()
    two = spread(fairness(random_clients(0, 2, 0.2)))
    assert two[["rank_correlation", "rank_correlation_middle"]].isna().all(axis=None)
    assert spread(fairness(random_clients(0, 1, 0.2)))["sd_with"].isna().all()


def test_groups_by_hand() -> None:
    rows = group_falls(fairness(sample_clients())).query("point == '27-z4-c0.1' and dimension == 'arousal'")
    found = rows.set_index("group")[["clients", "ccc_without", "ccc_with", "fall"]]
    assert found.loc["French"].tolist() == pytest.approx([3, 0.76, 0.36, 0.4])
    assert found.loc["German"].tolist() == pytest.approx([6, 0.67, 0.47, 0.2])
    assert set(rows["attribute"]) == {"language"}
    assert group_falls(fairness(sample_clients(groups=False))).empty
    clients = sample_clients()
    clients.loc[clients["client"] == "P08", "language"] = None
    assert "not given" in set(group_falls(fairness(clients))["group"])


def test_clients_of_one_name_in_two_cohorts_stay_apart() -> None:
    clients = sample_clients((27, 1000))
    clients.loc[clients["subjects"] == 1000, "ccc"] += 0.1
    falls = fairness(clients).query("noise_multiplier == 4 and dimension == 'arousal' and client == 'P00'")
    assert falls.groupby("subjects")["ccc_without"].first().tolist() == pytest.approx([0.62, 0.72])
    assert falls["fall"].tolist() == pytest.approx([0.2] * 4)


def test_clients_that_only_some_points_have_are_refused() -> None:
    clients = sample_clients()
    lost = (clients["point"] == "27-z1-c1") & (clients["client"] == "P03")
    with pytest.raises(InputError, match=r"point 27-z1-c1: .* found no client P03, dimension arousal, seed 0"):
        fairness(clients[~lost])
    with pytest.raises(InputError, match="without privacy at 27 subjects"):
        fairness(clients[clients["private"]])
