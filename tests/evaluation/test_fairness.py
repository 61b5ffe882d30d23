from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tff_affect.errors import InputError
from tff_affect.evaluation.fairness import (
    BY_GROUP_COLUMNS,
    FEWEST,
    NOT_STATED,
    ccc_by_group,
    group_gaps,
    hidden_groups,
    read_groups,
)
from tff_affect.evaluation.statistics import bootstrap_interval

SIZES = st.dictionaries(st.text("abcdef", min_size=1, max_size=2), st.integers(1, 12), min_size=1, max_size=6)


def results(clients: int, seeds: int = 2) -> pd.DataFrame:
    rng = np.random.default_rng(5)
    rows = [
        {"method": "federated", "kind": kind, "model": "", "client": f"P{c}", "dimension": d, "seed": s, "fold": 0}
        | {"n": 10.0, "ccc": rng.normal(0.5, 0.1), "pcc": 0.0, "rmse": 0.0, "constant": False}
        for kind in ("measured", "attainable")
        for s in range(seeds)
        for c in range(clients)
        for d in ("arousal", "valence")
    ]
    return pd.DataFrame(rows)


def groups(**members: tuple[str, range]) -> pd.DataFrame:
    rows = [(f"P{c}", attribute, name) for name, (attribute, range_) in members.items() for c in range_]
    return pd.DataFrame(rows, columns=["client", "attribute", "group"])


def test_each_group_has_the_mean_over_its_clients_with_their_interval() -> None:
    found = results(12)
    table = ccc_by_group(found, groups(f=("gender", range(5)), m=("gender", range(5, 12))), ["valence", "arousal"])
    assert list(table.columns) == list(BY_GROUP_COLUMNS)
    assert set(table["kind"]) == {"measured"}
    assert list(table["dimension"]) == ["valence", "valence", "arousal", "arousal"]
    assert list(table["group"]) == ["f", "m", "f", "m"]
    for row in table.itertuples():
        part = found[(found["dimension"] == row.dimension) & (found["kind"] == "measured")]
        clients = part.groupby("client")["ccc"].mean()
        own = clients[[f"P{c}" for c in (range(5) if row.group == "f" else range(5, 12))]]
        assert row.clients == len(own)
        assert row.ccc_mean == pytest.approx(own.mean())
        ordered = own[sorted(own.index)].to_numpy()
        assert (row.ccc_low, row.ccc_high) == pytest.approx(bootstrap_interval(ordered), abs=0.01)
        assert not row.suppressed


def test_small_groups_are_not_shown_and_do_not_follow_from_the_others() -> None:
    members = groups(young=("age", range(4)), middle=("age", range(4, 10)), old=("age", range(10, 17)))
    table = ccc_by_group(results(17), members, ["arousal"]).set_index("group")
    assert list(table.index[table["suppressed"]]) == ["middle", "young"]
    assert table.loc[["middle", "young"], ["clients", "ccc_mean", "ccc_low", "ccc_high"]].isna().all(axis=None)
    assert np.isfinite(table.loc["old", "ccc_mean"])
    gaps = group_gaps(table.reset_index())
    assert np.isnan(gaps.loc[0, "gap"])
    assert (gaps.loc[0, "best"], gaps.loc[0, "worst"]) == ("", "")


def test_clients_of_whom_nothing_is_known_are_a_group() -> None:
    table = ccc_by_group(results(12), groups(f=("gender", range(6))), ["arousal"]).set_index("group")
    assert list(table.index) == ["f", NOT_STATED]
    assert list(table["clients"]) == [6, 6]


def test_attributes_are_looked_at_one_by_one() -> None:
    members = groups(f=("gender", range(6)), m=("gender", range(6, 12)), de=("language", range(12)))
    table = ccc_by_group(results(12), members, ["arousal"])
    assert list(zip(table["attribute"], table["group"], strict=True)) == [
        ("gender", "f"), ("gender", "m"), ("language", "de"),
    ]  # fmt: skip
    assert np.isfinite(table["ccc_low"]).all()
    gaps = group_gaps(table).set_index("attribute")
    means = table.set_index("group")["ccc_mean"]
    assert gaps.loc["gender", "gap"] == pytest.approx(abs(means["f"] - means["m"]))
    best = "f" if means["f"] > means["m"] else "m"
    assert (gaps.loc["gender", "best"], gaps.loc["gender", "worst"]) == (best, "m" if best == "f" else "f")
    assert np.isnan(gaps.loc["language", "gap"])


@given(SIZES)
def test_what_is_hidden_cannot_be_computed(sizes: dict[str, int]) -> None:
    hidden = hidden_groups(sizes)
    small = {name for name, size in sizes.items() if size < FEWEST}
    assert small <= hidden
    assert bool(hidden) == bool(small)
    shown = set(sizes) - hidden
    if small and shown:
        assert len(hidden) >= 2
        assert sum(sizes[name] for name in hidden) >= FEWEST
        # No more than needed: without the largest of those added, one of the two would not hold.
        added = sorted((sizes[name], name) for name in hidden - small)
        if added:
            left = hidden - {added[-1][1]}
            assert len(left) < 2 or sum(sizes[name] for name in left) < FEWEST


def test_groups_are_read_as_they_were_written(tmp_path: Path) -> None:
    file = tmp_path / "groups.csv"
    assert read_groups(file) is None
    file.write_text("client,attribute,group\n", encoding="utf-8")
    assert read_groups(file) is None
    file.write_text("client,attribute,group\n1,age,NA\n02,age,20\n", encoding="utf-8")
    found = read_groups(file)
    assert found is not None
    assert found.to_numpy().tolist() == [["1", "age", "NA"], ["02", "age", "20"]]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "not a readable table"),
        ("client,group\n", "expected the columns client, attribute, group, found client, group"),
        ("client,attribute,group\nP1,age,20\nP1,age,30\n", "line 3, subject P1: 'age' of a client appears twice"),
    ],
)
def test_wrong_groups_are_refused(text: str, said: str, tmp_path: Path) -> None:
    (tmp_path / "groups.csv").write_text(text, encoding="utf-8")
    with pytest.raises(InputError, match=said):
        read_groups(tmp_path / "groups.csv")
