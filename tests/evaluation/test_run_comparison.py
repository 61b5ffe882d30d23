"""Numbers of a comparison, each computed again from the results."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sample_compared import alter_results, write_compared
from scipy import stats

from tff_affect.errors import InputError
from tff_affect.evaluation.comparability import ComparedStudy, comparable, open_studies
from tff_affect.evaluation.per_client import seed_averages
from tff_affect.evaluation.run_comparison import COLUMNS, compare_methods_of, compare_studies, smallest_p
from tff_affect.evaluation.statistics import bootstrap_interval


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_compared(tmp_path_factory.mktemp("original") / "lstm")


@pytest.fixture(scope="module")
def better(original: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy in which the federated CCC of all clients but one is higher."""
    copy = Path(shutil.copytree(original, tmp_path_factory.mktemp("better") / "gru"))

    def raised(frame: pd.DataFrame) -> pd.DataFrame:
        step = frame["client"].str[1:].astype(float) / 1000 - 0.0165
        return frame.assign(ccc=frame["ccc"] + step.where(frame["method"] == "federated", 0.0))

    for seed in (0, 1):
        alter_results(copy / f"seed-{seed}", raised)
    return copy


def studies(*folders: Path) -> list[ComparedStudy]:
    return comparable(open_studies(folders))


@pytest.fixture(scope="module")
def table(original: Path, better: Path) -> pd.DataFrame:
    return compare_studies(studies(original, better))


def test_renamed_copies_differ_by_nothing(original: Path, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(original, tmp_path / "renamed"))
    found = compare_studies(studies(original, copy))
    assert len(found) == 6
    for column in ("difference_mean", "difference_low", "difference_high", "difference_median", "rank_biserial"):
        assert (found[column] == 0).all()
    assert (found[["p_value", "p_holm"]] == 1).all(axis=None)


def test_each_row_follows_from_the_results(original: Path, better: Path, table: pd.DataFrame) -> None:
    assert list(table.columns) == list(COLUMNS)
    found = table[(table["reference_method"] == "federated") & (table["dimension"] == "valence")].iloc[0]
    sides = []
    for study in studies(original, better):
        means = seed_averages(study.results).query("kind == 'measured' and dimension == 'valence'")
        sides.append(means[means["method"] == "federated"].set_index("client")["ccc"])
    a, b = sides
    assert (found["reference"], found["compared"]) == ("lstm", "gru")
    for role, side in (("reference", a), ("compared", b)):
        assert found[f"{role}_ccc"] == pytest.approx(side.mean())
        assert (found[f"{role}_low"], found[f"{role}_high"]) == bootstrap_interval(side.to_numpy())
        assert found[f"{role}_worst"] == pytest.approx(side.min())
        assert found[f"{role}_crossed_low"] < side.mean() < found[f"{role}_crossed_high"]
    assert found["difference_mean"] == pytest.approx((b - a).mean())
    assert found["difference_median"] == pytest.approx((b - a).median())
    assert (found["difference_low"], found["difference_high"]) == bootstrap_interval((b - a).to_numpy())
    assert found["p_value"] == pytest.approx(stats.wilcoxon(b - a).pvalue)
    # -0.5, 0.5, 1.5 ... 5.5 thousandths: the first two share the rank 1.5 of 28.
    assert found["rank_biserial"] == pytest.approx((28 - 3) / 28)
    assert (found["clients"], found["seeds"]) == (7, 2)


def test_the_family_of_the_correction_is_the_table(table: pd.DataFrame) -> None:
    assert len(table) == 6
    assert list(table["reference_method"].unique()) == ["local-only", "centralised", "federated"]
    smallest = table.loc[table["p_value"].idxmin()]
    assert smallest["p_holm"] == pytest.approx(min(1.0, 6 * smallest["p_value"]))
    assert (table["p_holm"] >= table["p_value"]).all()


def test_one_method_makes_a_smaller_family(original: Path, better: Path) -> None:
    found = compare_studies(studies(original, better), method="federated")
    assert set(found["reference_method"]) == {"federated"}
    assert found["p_holm"].min() == pytest.approx(2 * found["p_value"].min())
    assert set(compare_studies(studies(original, better), "mean predictor")["p_value"]) == {1.0}


def test_against_the_first_or_every_pair(original: Path, better: Path, tmp_path: Path) -> None:
    third = Path(shutil.copytree(original, tmp_path / "tcn"))
    found = studies(original, better, third)
    names = [["lstm", "gru"], ["lstm", "tcn"], ["gru", "tcn"]]
    first = compare_studies(found, "federated")
    assert first[["reference", "compared"]].drop_duplicates().to_numpy().tolist() == names[:2]
    every = compare_studies(found, "federated", all_pairs=True)
    assert every[["reference", "compared"]].drop_duplicates().to_numpy().tolist() == names
    turned = every[every["reference"] == "gru"]["difference_mean"].to_numpy()
    assert turned == pytest.approx(-every[every["compared"] == "gru"]["difference_mean"].to_numpy())


def test_the_methods_of_one_study(original: Path) -> None:
    study = open_studies([original])[0]
    found = compare_methods_of(study)
    assert len(found) == 2 * 6
    against = compare_methods_of(study, method="federated")
    assert set(against["reference_method"]) == {"federated"}
    assert list(against["compared_method"].unique()) == ["mean predictor", "local-only", "centralised"]
    row = found[(found["reference_method"] == "local-only") & (found["compared_method"] == "federated")].iloc[0]
    assert row["difference_mean"] == pytest.approx(row["compared_ccc"] - row["reference_ccc"])


def test_a_single_seed_has_no_interval_over_seeds(original: Path) -> None:
    found = compare_methods_of(open_studies([original / "seed-0"])[0])
    assert found[["reference_crossed_low", "compared_crossed_high"]].isna().all(axis=None)
    assert np.isfinite(found["reference_low"]).all()


def test_what_is_missing_is_said(original: Path, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(original, tmp_path / "part"))
    alter_results(copy / "seed-1", lambda f: f[f["method"] != "federated"])
    with pytest.raises(
        InputError, match="part has no measured results of 'federated' for client P16 in seed 1, fold 0"
    ):
        compare_studies(studies(original, copy))
    for seed in (0, 1):
        alter_results(copy / f"seed-{seed}", lambda f: f[f["method"] == "mean predictor"])
    with pytest.raises(InputError, match=r"the method 'federated' in every study: .*part has mean predictor"):
        compare_studies(studies(original, copy), "federated")
    assert set(compare_studies(studies(original, copy))["reference_method"]) == {"mean predictor"}
    with pytest.raises(InputError, match="at least two methods"):
        compare_methods_of(open_studies([copy])[0])
    with pytest.raises(InputError, match="expected a method among"):
        compare_studies(studies(original, copy), "magic")
    with pytest.raises(InputError, match="the kind 'post-processed' in every study"):
        compare_methods_of(open_studies([original])[0], kind="post-processed")


def test_the_smallest_p_is_that_of_clients_who_all_gain() -> None:
    for clients in (3, 6, 7, 12):
        assert smallest_p(clients) == pytest.approx(stats.wilcoxon(np.arange(1, clients + 1)).pvalue)
