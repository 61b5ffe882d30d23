import re
import shutil
from collections.abc import Callable
from pathlib import Path
from xml.etree import ElementTree

import pandas as pd
import pytest

from tff_affect.config import PRIVATE_FEDERATED
from tff_affect.report import figure_data, plots, svg
from tff_affect.report.study import Study, open_study, overlapping_subjects, traces


def draw(study: Study, synthetic: bool = True) -> dict[str, str]:
    drawn = {
        "rounds": plots.rounds_plot(study.per_client, study.rounds, "arousal", synthetic),
        "clients": plots.clients_plot(study.results, "arousal", synthetic),
        "slopes": plots.slopes_plot(study.results, "arousal", synthetic),
        "traces": plots.traces_plot(traces(study, "arousal"), "arousal", "second", synthetic),
    }
    return {name: image for name, image in drawn.items() if image is not None}


@pytest.fixture
def study(make_study: Callable[..., Path]) -> Study:
    return open_study(make_study(2))


def test_plots_are_deterministic_well_formed_and_described(study: Study) -> None:
    first, second = draw(study), draw(study)
    assert first == second
    assert list(first) == ["rounds", "clients", "slopes", "traces"]
    for name, image in first.items():
        root = ElementTree.fromstring(image)
        assert root.get("role") == "img"
        names = {element.attrib["id"]: element.text for element in root.iter() if "id" in element.attrib}
        assert all(names[label] for label in root.attrib["aria-labelledby"].split())
        assert all(identifier.startswith(f"{name}-arousal-") for identifier in names)
        references = re.findall(r"(?:url\(|href=\")#([^)\"]+)", image)
        assert references
        assert set(references) <= set(names)
        assert not re.search(r"<metadata|\d{4}-\d\d-\d\dT|currentcolor", image)


def test_every_plot_says_synthetic_only_when_it_is(study: Study) -> None:
    for image in draw(study, synthetic=True).values():
        # Read out, as heading and as watermark.
        assert image.count("SYNTHETIC") >= 3
    for image in draw(study, synthetic=False).values():
        assert "SYNTHETIC" not in image


def longest_line(image: str, colour: str) -> int:
    """Points of the longest line of a colour."""
    paths = re.findall(rf'<path d="([^"]+)"[^>]*stroke: {colour.lower()}', image)
    return max(len(re.findall("[ML]", path)) for path in paths)


def until(study: Study, seed: int, last: int) -> Study:
    """The study, had the run of a seed stopped after a round."""
    cut = f"seed != {seed} or round <= {last}"
    return Study(**(vars(study) | {name: getattr(study, name).query(cut) for name in ("per_client", "rounds")}))


def test_mean_and_pooled_lines_end_where_the_first_run_stopped(study: Study) -> None:
    image = draw(until(study, seed=1, last=5))["rounds"]
    assert [longest_line(image, colour) for colour in (svg.SKY, svg.BLUE, svg.ORANGE)] == [11, 6, 6]
    shown = study.per_client.query("dimension == 'arousal' and round == 5")["ccc"].mean()
    assert f"their mean ends at {shown:.3f}, round 5, the last that all 2 runs reached." in image


def test_the_lines_of_one_run_end_together(make_study: Callable[..., Path]) -> None:
    image = draw(open_study(make_study()))["rounds"]
    assert [longest_line(image, colour) for colour in (svg.SKY, svg.BLUE, svg.ORANGE)] == [11, 11, 11]
    assert re.search(r"their mean ends at [-\d.]+, round 10\.<", image)


def test_only_development_clients_are_drawn_over_rounds(study: Study) -> None:
    tested = study.per_client.assign(partition="test")
    assert plots.rounds_plot(tested, study.rounds, "arousal", True) is None
    both = pd.concat([study.per_client, tested.assign(ccc=-1.0, round=99)])
    assert plots.rounds_plot(both, study.rounds, "arousal", True) == draw(study)["rounds"]


def test_the_paired_plot_states_the_test(study: Study) -> None:
    image = draw(study)["slopes"]
    # All seven clients gain, so that the exact two-sided p is 2 / 2^7.
    assert "federated higher: 7" in image
    assert "p = 0.016" in image


def test_traces_show_best_median_and_worst(study: Study) -> None:
    chosen = traces(study, "arousal")
    ranked = study.results.query("method == 'federated' and dimension == 'arousal' and seed == 0")
    clients = ranked.sort_values("ccc", ascending=False)["client"].tolist()
    assert [t.place for t in chosen] == ["best", "median", "worst"]
    assert [t.client for t in chosen] == [clients[0], clients[3], clients[6]]
    assert list(chosen[0].frame) == ["time", "gold", "predicted"]
    assert chosen[0].frame["gold"].isna().sum() == 40


def test_both_federated_methods_are_drawn(make_private_study: Callable[..., Path]) -> None:
    study = open_study(make_private_study())
    assert draw(study)["slopes"].count("federated + DP") == 0
    clients = draw(study)["clients"]
    assert ">federated + DP</text>" in clients
    assert "federated CCC from" in clients
    private = plots.rounds_plot(study.per_client, study.rounds, "arousal", True, PRIVATE_FEDERATED)
    assert private is not None
    assert ">Arousal: development clients over rounds, federated + DP</text>" in private
    for method, image in (("federated", draw(study)["rounds"]), (PRIVATE_FEDERATED, private)):
        rows = study.per_client[study.per_client["method"] == method]
        last = rows.query("dimension == 'arousal' and round == 10")["ccc"]
        assert len(last) == 3
        assert f"their mean ends at {last.mean():.3f}, round 10." in image
        assert "3 development clients" in image


def test_the_private_method_takes_the_place_of_a_missing_one(make_private_study: Callable[..., Path]) -> None:
    study = open_study(make_private_study(alone=True))
    drawn = draw(study)
    assert list(drawn) == ["clients", "slopes", "traces"]
    means = study.results.query("method == @PRIVATE_FEDERATED and dimension == 'arousal'").set_index("client")["ccc"]
    assert f"federated + DP CCC from {means.min():.3f} ({means.idxmin()}) to {means.max():.3f}" in drawn["clients"]
    assert ">federated</text>" not in drawn["clients"] + drawn["slopes"]
    assert drawn["clients"].count(">federated + DP</text>") == 1
    assert "Federated + DP minus local-only: median difference" in drawn["slopes"]
    assert [t.client for t in traces(study, "arousal")][::2] == [means.idxmax(), means.idxmin()]
    without = study.results[study.results["method"] != "local-only"]
    assert plots.slopes_plot(without, "arousal", True) is None


def test_traces_need_predictions(make_private_study: Callable[..., Path]) -> None:
    folder = make_private_study(alone=True)
    shutil.rmtree(folder / "seed-0" / "predictions")
    study = open_study(folder)
    assert traces(study, "arousal") == []
    bare = study.results[study.results["method"] == "mean predictor"]
    assert traces(Study(**(vars(study) | {"results": bare})), "arousal") == []


def test_long_recordings_are_thinned_and_gaps_stay() -> None:
    frame = pd.DataFrame({"time": range(5000), "gold": [1.0] * 2500 + [None] * 2500, "predicted": 2.0})
    thin = figure_data.thinned(frame)
    assert len(thin) == 500
    assert thin["gold"].isna().sum() == 250
    assert thin["time"].iloc[0] == 4.5


def test_what_is_missing_is_not_drawn(study: Study) -> None:
    bare = study.results[study.results["method"] == "mean predictor"]
    assert plots.clients_plot(bare, "arousal", True) is None
    assert plots.slopes_plot(bare, "arousal", True) is None
    assert plots.traces_plot([], "arousal", "second", True) is None
    assert plots.rounds_plot(study.per_client.iloc[:0], study.rounds, "arousal", True) is None


def test_overlapping_subjects_are_found(study: Study) -> None:
    assert overlapping_subjects(study) == []
    leaky = Study(**(vars(study) | {"splits": ({"train": ["P1", "P2"], "development": ["P3"], "test": ["P2", "P3"]},)}))
    assert overlapping_subjects(leaky) == ["P2", "P3"]
