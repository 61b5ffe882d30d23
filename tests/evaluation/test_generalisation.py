from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sample_study import write_run
from scipy import stats

from tff_affect.errors import InputError
from tff_affect.evaluation.generalisation import participation_gap, participation_gaps
from tff_affect.evaluation.statistics import bootstrap_interval


def test_different_people_on_the_two_sides() -> None:
    a = pd.Series([0.5, 0.6, 0.8, 0.7], index=list("abcd"))
    b = pd.Series([0.3, 0.2, 0.6], index=list("xyz"))
    found = participation_gap(a, b)
    assert (found.participating, found.held_out, found.gap) == pytest.approx(
        (0.65, a.mean() - found.gap, a.mean() - b.mean())
    )
    assert not found.paired
    # Welch's interval ends where his test of that difference has p = 0.05.
    for end in (found.low, found.high):
        assert stats.ttest_ind(a - end, b, equal_var=False).pvalue == pytest.approx(0.05)


def test_people_on_both_sides_are_paired() -> None:
    a = pd.Series([0.5, 0.6, 0.8, 0.9], index=list("abcd"))
    b = pd.Series([0.4, 0.6, 0.3], index=list("abc"))
    found = participation_gap(a, b)
    assert found.paired
    assert found.gap == pytest.approx(np.mean([0.1, 0.0, 0.5]))
    assert (found.low, found.high) == bootstrap_interval([0.5 - 0.4, 0.0, 0.8 - 0.3])
    assert (found.clients_participating, found.clients_held_out) == (4, 3)


def test_sides_that_are_too_small() -> None:
    one, two = pd.Series([0.5], index=["a"]), pd.Series([0.3, 0.4], index=["x", "y"])
    assert np.isnan(participation_gap(one, two).low)
    assert participation_gap(one, two).gap == pytest.approx(0.15)
    same = participation_gap(pd.Series([0.5, 0.5], index=["a", "b"]), pd.Series([0.5, 0.5], index=["x", "y"]))
    assert (same.low, same.gap, same.high) == (0, 0, 0)
    with pytest.raises(ValueError, match="both sides"):
        participation_gap(one, pd.Series([], dtype=float))


@pytest.fixture
def study(tmp_path: Path) -> Path:
    for seed in (0, 1):
        write_run(tmp_path / f"seed-{seed}", seed, ceilings=False)
    return tmp_path


def test_the_final_rows_of_a_study_are_averaged_over_seeds(study: Path) -> None:
    assert participation_gaps(study) is None
    for seed in (0, 1):
        with open(study / f"seed-{seed}" / "per_client.csv", "a", encoding="utf-8") as stream:
            for partition, clients, level in (("train", "P1 P2", 0.7), ("test", "P16 P17", 0.5)):
                for i, client in enumerate(clients.split()):
                    value = level + 0.1 * i + 0.02 * seed
                    stream.write(f"10,{partition},{client},arousal,100,{value},0,0,false\n")
    found = participation_gaps(study)
    assert found is not None
    assert list(found[["method", "dimension"]].itertuples(index=False, name=None)) == [("federated", "arousal")]
    row = found.iloc[0]
    assert (row["participating"], row["held_out"], row["gap"]) == pytest.approx((0.76, 0.56, 0.2))
    assert (row["clients_participating"], row["clients_held_out"], row["paired"]) == (2, 2, False)


def test_a_private_study_scores_no_training_clients(study: Path) -> None:
    for seed in (0, 1):
        (study / f"seed-{seed}" / "per_client.csv").unlink()
    assert participation_gaps(study) is None


@pytest.mark.parametrize("text", ["", "a,b\n1,2\n", "partition,client,dimension,ccc\ntest,P1,arousal,high\n"])
def test_a_damaged_table_is_refused(study: Path, text: str) -> None:
    (study / "seed-1" / "per_client.csv").write_text(text, encoding="utf-8")
    with pytest.raises(InputError, match=r"per_client\.csv: not a readable table"):
        participation_gaps(study)
