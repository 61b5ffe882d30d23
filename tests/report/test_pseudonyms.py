"""Names for subjects: the same for the same study, in an order that tells nothing, for whoever lacks the study."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sample_study import guarantee

from tff_affect.errors import InputError
from tff_affect.evaluation.per_client import read_study
from tff_affect.privacy.guarantee import named_remark, without_client
from tff_affect.report.pseudonyms import key_of, pseudonyms, subjects_of, with_pseudonyms
from tff_affect.report.study import open_study, traces

IDS = [f"P{i}" for i in range(40)]


@given(st.sets(st.text(min_size=1, max_size=6), min_size=1, max_size=30), st.binary(min_size=32, max_size=32))
def test_each_subject_has_one_name_and_no_name_is_given_twice(subjects: set[str], key: bytes) -> None:
    names = pseudonyms(subjects, key)
    assert set(names) == subjects
    assert sorted(names.values()) == [f"client {i:02d}" for i in range(1, len(subjects) + 1)]
    assert pseudonyms(sorted(subjects, reverse=True), key) == names


def test_names_do_not_follow_the_order_of_the_ids() -> None:
    """Over many keys each subject's mean place is the middle, and neighbours are no nearer than others."""
    rng = np.random.default_rng(3)
    places = []
    for _ in range(400):
        names = pseudonyms(IDS, rng.bytes(32))
        places.append([int(names[subject].split()[1]) for subject in sorted(IDS)])
    found = np.array(places)
    middle, deviation = (len(IDS) + 1) / 2, np.sqrt((len(IDS) ** 2 - 1) / 12 / len(found))
    assert np.abs(found.mean(axis=0) - middle).max() < 4.5 * deviation
    distance = np.abs(np.diff(found, axis=1)).mean()
    assert distance == pytest.approx((len(IDS) + 1) / 3, rel=0.03)


def test_wide_cohorts_have_names_of_one_width() -> None:
    names = pseudonyms(map(str, range(1000)), bytes(32))
    assert {len(name) for name in names.values()} == {len("client 0001")}


def test_the_key_is_of_the_numbers_and_not_of_the_ids_or_their_order(make_study: Callable[..., Path]) -> None:
    results = read_study(make_study())
    key = key_of(results)
    assert key_of(results.sample(frac=1.0, random_state=1)) == key
    renamed_only = results.assign(client=results["client"] + "x")
    assert key_of(renamed_only) == key
    assert key_of(results.assign(mean_predicted=results["mean_predicted"] + 1e-12)) != key


def test_everything_of_a_study_is_renamed(make_private_study: Callable[..., Path]) -> None:
    remark = "delta is 1 / (10 n) of each client's own n windows; the one named is that of P2"
    stated = guarantee(3.0, unit="window", per_client={"P1": 1.0, "P2": 3.0}, remarks=(remark,))
    folder = make_private_study(stated)
    own = open_study(folder)
    study = with_pseudonyms(own)
    names = study.shown
    assert set(names) == subjects_of(own) == {f"P{i}" for i in (*range(1, 6), *range(16, 23))}
    assert set(study.results["client"]) == {names[f"P{i}"] for i in range(16, 23)}
    assert set(study.results["model"]) == {"", names["P1"], names["P2"]}
    assert set(study.per_client["client"]) == {names[client] for client in ("P3", "P4", "P5")}
    assert study.splits[0]["train"] == [names["P1"], names["P2"]]
    found = study.privacy.methods["federated + DP"]
    assert found.guarantees[0].per_client == {names["P1"]: 1.0, names["P2"]: 3.0}
    assert found.remarks[0].endswith(f"is that of {names['P2']}")
    for before, after in zip(traces(own, "arousal"), traces(study, "arousal"), strict=True):
        assert after.client == names[before.client]
        assert after.frame.equals(before.frame)


def test_remarks_that_differ_in_the_named_client_alone_are_said_once(make_private_study: Callable[..., Path]) -> None:
    def stated(client: str) -> object:
        return guarantee(3.0, unit="window", per_client={"P1": 1.0, "P2": 3.0}, remarks=(f"is that of {client}",))

    study = with_pseudonyms(open_study(make_private_study(stated("P1"), stated("P2"))))
    assert len(study.privacy.methods["federated + DP"].remarks) == 1


@pytest.mark.parametrize("subject", ["10", "n", "1", "delta"])
def test_words_that_happen_to_be_ids_stay(subject: str) -> None:
    remark = "delta is 1 / (10 n) of each client's own n windows; the one named is that of 10"
    found = without_client(remark, {subject: "client 07"})
    assert found == ((remark, "") if subject != "10" else (remark.removesuffix("10"), "10"))


@given(st.text(min_size=1, max_size=9), st.sets(st.text(max_size=9), max_size=3))
def test_whoever_a_remark_names_is_found_in_it(client: str, others: set[str]) -> None:
    before, found = without_client(named_remark(client), {client, *others})
    assert (before + found, found) == (named_remark(client), client)
    # What differs in the name alone is the same up to it.
    assert before == without_client(named_remark("P1"), {"P1"})[0]
    assert without_client(named_remark(client), others - {client}) == (named_remark(client), "")


def test_a_spoilt_table_of_groups_is_named(make_study: Callable[..., Path]) -> None:
    study = make_study()
    (study / "groups.csv").write_text("who,attribute\n", encoding="utf-8")
    with pytest.raises(InputError, match="column 'client'") as caught:
        with_pseudonyms(open_study(study))
    assert caught.value.file == str(study / "groups.csv")
