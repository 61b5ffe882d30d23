import math
import re
from collections.abc import Callable
from io import StringIO
from pathlib import Path

import audmetric
import numpy as np
import pandas as pd
import pytest
from rich.console import Console
from rich.table import Table
from sample_study import CLIENTS, DIMENSIONS, guarantee, predict, recording, write_privacy

from tff_affect.config import PRIVATE_CENTRALISED, PRIVATE_FEDERATED
from tff_affect.evaluation.per_client import read_study, summarise
from tff_affect.privacy.guarantee import Guarantee
from tff_affect.report.study import open_study
from tff_affect.report.tables import headline_caption, headline_records, headline_table, write_summary


def printed(table: Table, width: int = 100) -> str:
    stream = StringIO()
    Console(file=stream, width=width).print(table)
    return stream.getvalue()


def oracle(gain: float) -> tuple[float, float]:
    pairs = [(recording(client)[:, 0], predict(client, gain, 0)[:, 0]) for client in CLIENTS]
    pairs = [(gold[np.isfinite(gold)], predicted[np.isfinite(gold)]) for gold, predicted in pairs]
    gold, predicted = (np.concatenate(parts) for parts in zip(*pairs, strict=True))
    return float(np.mean([audmetric.concordance_cc(g, p) for g, p in pairs])), audmetric.concordance_cc(gold, predicted)


def test_records_hold_known_numbers(make_study: Callable[..., Path]) -> None:
    records = headline_records(summarise(read_study(make_study()), DIMENSIONS), synthetic=True)
    assert [r["method"] for r in records[:4]] == ["mean predictor", "local-only", "centralised", "federated"]
    assert [r["dimension"] for r in records] == ["arousal"] * 4 + ["valence"] * 4
    federated = records[3]
    assert (federated["ccc_mean"], federated["ccc_pooled"]) == pytest.approx(oracle(0.65), abs=1e-6)
    assert (federated["ceiling_mean"], federated["ceiling_pooled"]) == pytest.approx(oracle(0.95), abs=1e-6)
    assert federated["ccc_low"] < federated["ccc_mean"] < federated["ccc_high"]
    assert federated["ccc_mean_sd"] is None
    assert (federated["clients"], federated["seeds"], federated["folds"], federated["synthetic"]) == (7, 1, 1, True)


@pytest.mark.parametrize("width", [80, 100])
def test_the_table_fits_and_says_synthetic(make_study: Callable[..., Path], width: int) -> None:
    text = printed(headline_table(summarise(read_study(make_study(2)), DIMENSIONS), True, "toy"), width)
    assert max(map(len, text.splitlines())) <= width
    assert "SYNTHETIC" in text.splitlines()[0]
    assert "…" not in text
    assert "7 test clients, 2 seeds, one split" in text
    assert "subject-independent" in text
    assert text.index("mean predictor") < text.index("local-only") < text.index("centralised") < text.index("federated")


def test_what_is_unknown_is_a_dash_or_no_column(make_study: Callable[..., Path]) -> None:
    results = read_study(make_study(ceilings=False))
    results = results[results["client"].isin(CLIENTS[:2])]
    table = headline_table(summarise(results, DIMENSIONS), False, "[bold]corpus[/bold]")
    text = printed(table)
    assert "SYNTHETIC" not in text
    assert "nan" not in text.lower()
    assert "ceiling" not in text
    assert "SD over seeds" not in text
    assert "[bold]corpus[/bold]" in text
    federated = next(line for line in text.splitlines() if line.strip().startswith("federated"))
    assert federated.split()[2] == "-"


def post_processed(results: pd.DataFrame) -> pd.DataFrame:
    """The federated rows once more, as post-processed ones with a CCC of 0.9."""
    rows = results.query("kind == 'measured' and method == 'federated'")
    return pd.concat([results, rows.assign(kind="post-processed", ccc=0.9)], ignore_index=True)


def test_post_processed_numbers_stand_beside_the_measured_and_change_none(make_study: Callable[..., Path]) -> None:
    results = read_study(make_study())
    plain = headline_records(summarise(results, DIMENSIONS), synthetic=True)
    both = headline_records(summarise(post_processed(results), DIMENSIONS), synthetic=True)
    assert [record for record in both if record["kind"] == "measured"] == plain
    added = [record for record in both if record["kind"] == "post-processed"]
    assert [(record["dimension"], record["method"]) for record in added] == [(d, "federated") for d in DIMENSIONS]
    assert added[0]["ccc_mean"] == pytest.approx(0.9)
    assert added[0]["ceiling_mean"] is None
    assert "Post-processed: the same predictions after a chain" in headline_caption(both)
    assert "ost-processed" not in headline_caption(plain)
    lines = printed(headline_table(summarise(post_processed(results), DIMENSIONS), True)).splitlines()
    heading = next(i for i, line in enumerate(lines) if line.strip() == "arousal, post-processed")
    assert lines[heading + 1].split()[:2] == ["federated", "0.900"]
    assert "valence" in lines[heading + 3]


def test_each_method_keeps_its_own_ceiling(make_study: Callable[..., Path]) -> None:
    results = read_study(make_study())
    own = results[results["kind"] == "attainable"].assign(method="federated", ccc=0.5)
    records = headline_records(summarise(pd.concat([results, own]), DIMENSIONS), synthetic=True)
    ceilings = {r["method"]: r["ceiling_mean"] for r in records[:4]}
    assert ceilings["federated"] == pytest.approx(0.5)
    assert ceilings["centralised"] == pytest.approx(oracle(0.95)[0], abs=1e-6)
    assert ceilings["local-only"] is None


def test_the_caption_says_what_ceilings_and_constants_are(make_study: Callable[..., Path]) -> None:
    results = read_study(make_study())
    caption = headline_caption(headline_records(summarise(results, DIMENSIONS), synthetic=True))
    assert (
        "Ceiling: the best causal linear filter that knows the test client's own generative parameters (local-only: "
        "those of one training client; a model may exceed that one)."
    ) in caption
    assert "With some constant series, counted as 0: mean predictor." in caption
    assert "mean predictor's is 0" not in caption
    zero = results[results["kind"] == "attainable"].assign(method="mean predictor", ccc=0.0)
    own = headline_caption(headline_records(summarise(pd.concat([results, zero]), DIMENSIONS), synthetic=True))
    assert own == caption + " The mean predictor's is 0, that of any constant."
    measured = results[(results["kind"] == "measured") & (results["method"] == "federated")]
    caption = headline_caption(headline_records(summarise(measured, DIMENSIONS), synthetic=True))
    assert "eiling" not in caption
    assert "constant" not in caption
    assert "ocal-only" not in caption


def test_the_caption_explains_what_the_table_has_alone(make_study: Callable[..., Path]) -> None:
    results = read_study(make_study())
    caption = headline_caption(headline_records(summarise(results, DIMENSIONS), synthetic=True))
    assert "Local-only: each training client's own model" in caption
    assert "too few" not in caption
    federated = results[results["method"].isin(["federated"]) | (results["kind"] == "attainable")]
    caption = headline_caption(headline_records(summarise(federated, DIMENSIONS), synthetic=True))
    assert "Ceiling: the best causal linear filter that knows the test client's own generative parameters." in caption
    assert "ocal-only" not in caption
    two = results[results["client"].isin(CLIENTS[:2])]
    assert "(-: too few clients)" in headline_caption(headline_records(summarise(two, DIMENSIONS), synthetic=True))


def test_a_constant_local_model_is_flagged_beside_a_mean_that_is_not_0(make_study: Callable[..., Path]) -> None:
    results = read_study(make_study(ceilings=False))
    local = results[results["method"] == "local-only"]
    flat = local["model"] == "P1"
    local = local.assign(ccc=local["ccc"].mask(flat, 0.0), constant=flat)
    records = headline_records(summarise(local, DIMENSIONS), synthetic=True)
    assert records[0]["constant_clients"] == len(CLIENTS)
    assert records[0]["ccc_mean"] > 0.1
    assert "With some constant series, counted as 0: local-only." in headline_caption(records)


def test_the_summary_file_holds_the_records(make_study: Callable[..., Path], tmp_path: Path) -> None:
    records = headline_records(summarise(read_study(make_study()), DIMENSIONS), synthetic=True)
    write_summary(tmp_path / "summary.csv", records)
    read = pd.read_csv(tmp_path / "summary.csv")
    assert read["synthetic"].all()
    assert read["ccc_mean"].tolist() == pytest.approx([r["ccc_mean"] for r in records])
    assert read["ccc_mean_sd"].isna().all()


def private_table(study: Path, width: int = 100) -> str:
    opened = open_study(study)
    summary = summarise(opened.results, DIMENSIONS)
    return printed(headline_table(summary, True, "toy", privacy=opened.privacy), width)


def rows_of(text: str, method: str) -> list[list[str]]:
    """Cells of a method's rows."""
    return [
        cells.split() for cells in re.findall(rf"^ *{re.escape(method)} +((?:[-\d]|inf|unknown).*)", text, re.MULTILINE)
    ]


@pytest.mark.parametrize("width", [80, 100])
def test_private_rows_carry_their_epsilon(make_private_study: Callable[..., Path], width: int) -> None:
    text = private_table(make_private_study(guarantee(2.0), guarantee(8.4359)), width)
    assert max(map(len, text.splitlines())) <= width
    assert "…" not in text
    assert all(re.fullmatch(r"\d\.\d{3}", cells[-1]) for cells in rows_of(text, "federated + DP"))
    assert "SYNTHETIC" in text.splitlines()[0]
    heading = " ".join(text[: text.index("arousal")].split())
    for word in ("epsilon", "for one", "subject"):
        assert word in heading
    assert [cells[0] for cells in rows_of(text, "federated + DP")] == ["8.436", "8.436"]
    for method in ("mean predictor", "local-only", "centralised", "federated"):
        assert [cells[0] for cells in rows_of(text, method)] == ["-", "-"]
    assert "of the weakest run (federated + DP at delta 0.0125); -: none." in " ".join(text.split())


def test_a_table_without_privacy_says_nothing_of_it(make_study: Callable[..., Path]) -> None:
    assert "psilon" not in private_table(make_study())


def test_infinite_unknown_and_simulated_epsilons_are_said(make_private_study: Callable[..., Path]) -> None:
    simulated = "simulation only: the noise is reproducible"
    study = make_private_study(guarantee(math.inf, remarks=(simulated,)))
    text = private_table(study)
    assert [cells[0] for cells in rows_of(text, "federated + DP")] == ["inf", "inf"]
    assert "Epsilon inf is no guarantee at all." in " ".join(text.split())
    assert f"federated + DP: {simulated}." in " ".join(text.split())
    write_privacy(study / "seed-0", {})
    text = private_table(study)
    assert [cells[0] for cells in rows_of(text, "federated + DP")] == ["unknown", "unknown"]
    assert "Epsilon unknown: a run did not keep its guarantee." in " ".join(text.split())
    assert "inf" not in text


def test_two_private_methods_fit_and_keep_their_own_epsilon(make_private_study: Callable[..., Path]) -> None:
    def of(epsilon: float) -> Guarantee:
        return guarantee(epsilon, unit="window")

    study = make_private_study(of(2.0))
    results = study / "seed-0" / "results.csv"
    lines = results.read_text().splitlines(keepends=True)
    copied = [
        line.replace("federated + DP", "centralised + DP", 1) for line in lines if line.startswith("federated + DP,")
    ]
    results.write_text("".join(lines + copied))
    write_privacy(study / "seed-0", {PRIVATE_FEDERATED: of(2.0), PRIVATE_CENTRALISED: of(3.5)})
    for width in (80, 100):
        text = private_table(study, width)
        assert max(map(len, text.splitlines())) <= width
        assert "…" not in text
        assert all(re.fullmatch(r"\d\.\d{3}", cells[-1]) for cells in rows_of(text, "centralised + DP"))
        assert [cells[0] for cells in rows_of(text, "centralised + DP")] == ["3.5", "3.5"]
        assert [cells[0] for cells in rows_of(text, "federated + DP")] == ["2", "2"]
        assert "window" in text[: text.index("arousal")]


def test_the_summary_file_holds_epsilon_unit_and_remarks(
    make_private_study: Callable[..., Path], tmp_path: Path
) -> None:
    study = open_study(
        make_private_study(guarantee(math.inf, remarks=("simulation only: this",)), guarantee(0.1 + 0.2))
    )
    records = headline_records(summarise(study.results, DIMENSIONS), True, study.privacy)
    plain = headline_records(summarise(study.results, DIMENSIONS), True)
    keys = ("epsilon", "delta", "unit", "privacy_remarks")
    assert [dict(record, **dict.fromkeys(keys)) for record in records] == [
        dict(record, **dict.fromkeys(keys)) for record in plain
    ]
    assert {record["epsilon"] for record in plain} == {None, "unknown"}
    write_summary(tmp_path / "summary.csv", records)
    read = pd.read_csv(tmp_path / "summary.csv").set_index("method")
    assert read.loc[PRIVATE_FEDERATED, "epsilon"].tolist() == [math.inf] * 2
    assert read.loc[PRIVATE_FEDERATED, "delta"].tolist() == [0.0125] * 2
    assert read.loc[PRIVATE_FEDERATED, "unit"].tolist() == ["subject"] * 2
    assert read.loc[PRIVATE_FEDERATED, "privacy_remarks"].tolist() == ["simulation only: this"] * 2
    assert read.loc["federated", list(keys)].isna().all(axis=None)
