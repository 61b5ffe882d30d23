import json
import math
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sample_study import guarantee, write_privacy

from tff_affect.config import PRIVATE_CENTRALISED, PRIVATE_FEDERATED
from tff_affect.errors import InputError
from tff_affect.privacy.guarantee import Guarantee
from tff_affect.report.privacy import PrivateMethod, StudyPrivacy, read_privacy
from tff_affect.report.study import open_study

WORDS = st.text(min_size=1, max_size=20)
AMOUNTS = st.floats(0, 1e6) | st.just(math.inf)
GUARANTEES = st.builds(
    Guarantee,
    epsilon=AMOUNTS,
    delta=st.floats(1e-12, 0.5),
    unit=st.sampled_from(["subject", "window"]),
    **dict.fromkeys(("adjacency", "sampling", "mechanism", "accountant", "trust"), WORDS),
    noise_multiplier=AMOUNTS,
    clipping_norm=AMOUNTS,
    rounds=st.integers(0, 10**6),
    outside=st.lists(WORDS).map(tuple),
    remarks=st.lists(WORDS).map(tuple),
    per_client=st.dictionaries(WORDS, AMOUNTS, max_size=3),
)


def measured(*rows: tuple[str, int, int]) -> pd.DataFrame:
    """Results of as many methods, seeds and folds."""
    return pd.DataFrame(rows, columns=["method", "seed", "fold"])


def of_runs(folder: Path, *runs: dict[str, Guarantee] | None, method: str = PRIVATE_FEDERATED) -> StudyPrivacy:
    """Reads a study of folds with these guarantees; None is a run that kept none."""
    for fold, stated in enumerate(runs):
        (folder / str(fold)).mkdir()
        if stated is not None:
            write_privacy(folder / str(fold), stated)
    places = [(0, fold, folder / str(fold)) for fold in range(len(runs))]
    return read_privacy(places, measured(*((method, 0, fold) for fold in range(len(runs)))))


def words(text: str) -> str:
    return " ".join(text.split())


@given(stated=GUARANTEES)
def test_what_a_run_wrote_is_read_back(stated: Guarantee, tmp_path: Path) -> None:
    write_privacy(tmp_path, {PRIVATE_FEDERATED: stated})
    found = read_privacy([(3, 1, tmp_path)], measured((PRIVATE_FEDERATED, 3, 1)))
    assert found == StudyPrivacy({PRIVATE_FEDERATED: PrivateMethod(PRIVATE_FEDERATED, (stated,))})


def test_without_privacy_there_is_nothing_to_say(make_study: Callable[..., Path]) -> None:
    privacy = open_study(make_study(2)).privacy
    assert (privacy.methods, privacy.warnings, privacy.text()) == ({}, [], "")


BAD: list[tuple[Any, str]] = [
    ([], "guarantees of centralised + DP, federated + DP, found []"),
    ({"federated": {}}, "found federated"),
    ({PRIVATE_FEDERATED: []}, "federated + DP: expected epsilon, delta"),
    ({"extra": 1}, "expected epsilon, delta"),
    ({"trust": ...}, "expected epsilon, delta"),
    ({"epsilon": "8.4"}, "epsilon: expected a number of 0 or more, or 'inf', found '8.4'"),
    ({"epsilon": -1}, "epsilon: expected a number"),
    ({"epsilon": None}, "epsilon: expected a number"),
    ({"epsilon": True}, "epsilon: expected a number"),
    ({"epsilon": math.nan}, "epsilon: expected a number"),
    ({"delta": 0}, "delta: expected above 0 and below 1, found 0"),
    ({"delta": 1.0}, "delta: expected above 0 and below 1, found 1"),
    ({"unit": "client"}, "unit: expected subject or window, found 'client'"),
    ({"rounds": 1.5}, "rounds: expected a whole number"),
    ({"rounds": True}, "rounds: expected a whole number"),
    ({"rounds": -1}, "rounds: expected a whole number"),
    ({"trust": ""}, "trust: expected a text"),
    ({"outside": "all"}, "outside: expected a list of texts"),
    ({"remarks": [1]}, "remarks: expected a list of texts"),
    ({"per_client": [1.0]}, "per_client: expected numbers by name"),
    ({"per_client": {"P1": 1.0, "P2": "much"}}, "per_client: expected numbers by name"),
]


@pytest.mark.parametrize(("change", "said"), BAD, ids=lambda value: value if isinstance(value, str) else "")
def test_wrong_content_is_named_with_its_file(change: Any, said: str, tmp_path: Path) -> None:
    content = change
    if isinstance(change, dict) and not set(change) & {"federated", PRIVATE_FEDERATED}:
        entry = {k: v for k, v in {**guarantee(2.0).to_json(), **change}.items() if v is not ...}
        content = {PRIVATE_FEDERATED: entry}
    file = tmp_path / "privacy.json"
    file.write_text(json.dumps(content), encoding="utf-8")
    with pytest.raises(InputError) as caught:
        read_privacy([(0, 0, tmp_path)], measured((PRIVATE_FEDERATED, 0, 0)))
    assert caught.value.file == str(file)
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_file_that_is_no_json_is_named(tmp_path: Path) -> None:
    (tmp_path / "privacy.json").write_bytes(b"\xff{")
    with pytest.raises(InputError, match="not valid JSON") as caught:
        read_privacy([(0, 0, tmp_path)], measured())
    assert caught.value.file == str(tmp_path / "privacy.json")


def test_runs_of_one_study_protect_one_unit(tmp_path: Path) -> None:
    other = guarantee(2.0, unit="window")
    with pytest.raises(InputError, match="expected the unit 'subject' of the study's other runs, found 'window'") as c:
        of_runs(tmp_path, {PRIVATE_FEDERATED: guarantee(1.0)}, {PRIVATE_FEDERATED: other})
    assert c.value.file == str(tmp_path / "1" / "privacy.json")


def test_the_weakest_of_several_runs_is_named_with_range_and_sum(tmp_path: Path) -> None:
    stated = [guarantee(2.5, delta=0.001), guarantee(4.25, delta=0.002), guarantee(3.125, delta=0.003)]
    privacy = of_runs(tmp_path, *({PRIVATE_FEDERATED: found} for found in stated))
    text = words(privacy.text())
    assert text.startswith("federated + DP: epsilon 4.25 at delta 0.002 for one subject (zero-out) ")
    assert "3 runs, epsilon 2.5 to 4.25, the largest is named;" in text
    assert "each run's epsilon is its own, and releasing several composes" in text
    assert "to epsilon 9.875 at most for all 3 (basic composition)" in text
    record = privacy.record(PRIVATE_FEDERATED)
    assert record == {"epsilon": 4.25, "delta": 0.002, "unit": "subject", "privacy_remarks": None}


def test_equal_runs_have_no_range_and_one_run_no_composition(tmp_path: Path) -> None:
    one = PrivateMethod(PRIVATE_FEDERATED, (guarantee(2.0),))
    two = PrivateMethod(PRIVATE_FEDERATED, (guarantee(2.0), guarantee(2.0)))
    assert one.over_runs == ""
    assert "runs" not in one.text()
    assert two.over_runs.startswith("2 runs, epsilon 2 in each; each run's epsilon is its own")


def test_a_single_run_says_all_that_its_guarantee_says() -> None:
    stated = guarantee(3.75, remarks=("a remark", "another " * 20))
    lines = PrivateMethod(PRIVATE_FEDERATED, (stated,)).text().splitlines()
    own = stated.text().splitlines()
    assert lines[0] == f"federated + DP: {own[0]}"
    assert sorted(lines[1:]) == sorted(own[1:])
    assert max(map(len, lines)) <= 100


@pytest.mark.parametrize("kept", [0, 1])
def test_a_run_without_a_guarantee_makes_epsilon_unknown(kept: int, tmp_path: Path) -> None:
    runs = [{PRIVATE_FEDERATED: guarantee(2.0)}] * kept
    privacy = of_runs(tmp_path, *runs, None)
    private = privacy.methods[PRIVATE_FEDERATED]
    assert private.epsilon is None
    assert private.headline.startswith(f"epsilon unknown: 1 of {kept + 1} runs kept no privacy.json")
    assert words(privacy.text()).startswith(f"federated + DP: {private.headline}")
    record = privacy.record(PRIVATE_FEDERATED)
    assert (record["epsilon"], record["delta"], record["unit"]) == ("unknown", None, "subject" if kept else None)


def test_an_infinite_epsilon_is_said_plainly() -> None:
    stated = (guarantee(math.inf, remarks=("no noise: clipping alone protects nobody",)), guarantee(2.0))
    private = PrivateMethod(PRIVATE_FEDERATED, stated)
    assert private.headline == "epsilon inf, no guarantee at all, at delta 0.0125 for one subject (zero-out)"
    assert "epsilon 2 to inf" in private.over_runs
    assert "to epsilon inf at most" in private.over_runs
    assert "note         no noise: clipping alone protects nobody" in private.text()
    record = StudyPrivacy({PRIVATE_FEDERATED: private}).record(PRIVATE_FEDERATED)
    assert json.loads(json.dumps(record, allow_nan=False))["epsilon"] == "inf"


def test_remarks_and_gaps_of_all_runs_are_said_once() -> None:
    def of(client: str, *more: str) -> Guarantee:
        remarks = ("simulation only: the noise is reproducible", f"delta is that of {client}", *more)
        return guarantee(2.0, remarks=remarks, per_client={client: 2.0}, outside=("tables", *more))

    private = PrivateMethod(PRIVATE_FEDERATED, (of("P1"), of("P2", "only here")))
    first, second = "simulation only: the noise is reproducible", "delta is that of P1"
    assert private.remarks == [first, second, "only here"]
    assert private.not_covered() == ["tables", "only here"]
    record = StudyPrivacy({PRIVATE_FEDERATED: private}).record(PRIVATE_FEDERATED)
    assert record["privacy_remarks"] == f"{first}; {second}; only here"


def test_each_client_is_shown_over_the_runs_that_trained_on_it() -> None:
    folds = [{"P1": 3.0, "P2": 1.0}, {"P2": 2.0, "P3": math.inf}, {"P1": 2.5}]
    stated = tuple(guarantee(max(found.values()), unit="window", per_client=found) for found in folds)
    rows = PrivateMethod(PRIVATE_FEDERATED, stated).per_client
    assert rows == [("P3", math.inf, math.inf, 1), ("P1", 2.5, 3.0, 2), ("P2", 1.0, 2.0, 2)]
    pooled = guarantee(2.0, unit="window", per_client={"pooled": 2.0})
    assert PrivateMethod(PRIVATE_CENTRALISED, (pooled, pooled)).per_client == []


def test_what_is_released_beside_it_is_warned_of(make_private_study: Callable[..., Path]) -> None:
    privacy = open_study(make_private_study()).privacy
    assert privacy.unprotected == ("mean predictor", "local-only", "centralised", "federated")
    said = (
        "Trained without privacy on the same clients: mean predictor, local-only, centralised, federated. No epsilon "
        "holds once these are released."
    )
    assert privacy.warnings == [said]
    assert words(privacy.text()).endswith(said)
    both = {m: PrivateMethod(m, (guarantee(1.0),)) for m in (PRIVATE_CENTRALISED, PRIVATE_FEDERATED)}
    assert [re.search("compose too", warning) is not None for warning in StudyPrivacy(both).warnings] == [True]
    assert StudyPrivacy({PRIVATE_FEDERATED: both[PRIVATE_FEDERATED]}).warnings == []


def test_a_method_without_privacy_has_empty_keys(make_private_study: Callable[..., Path]) -> None:
    record = open_study(make_private_study()).privacy.record("federated")
    assert record == {"epsilon": None, "delta": None, "unit": None, "privacy_remarks": None}
