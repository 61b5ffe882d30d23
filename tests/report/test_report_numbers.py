"""The report of a study that has everything: its numbers against its CSVs and the study, and what it must not tell."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from html_page import Page, ShownTable, Tables, section
from sample_full_study import CLIENTS, DIMENSIONS, EVERYBODY, write_full_study

from tff_affect.evaluation.fairness import ccc_by_group, read_groups
from tff_affect.evaluation.per_client import read_study, summarise
from tff_affect.evaluation.personalised import gains, read_personalised
from tff_affect.report.html import write_report
from tff_affect.report.report_files import ReportOptions
from tff_affect.report.study import CohortFacts

FACTS = CohortFacts("toy cohort", True, 13, 25.0)
NUMBER = re.compile(r"-?\d[\d,]*(?:\.\d+)?(?:e-?\d+)?")
FILES = "<code>figures/([\\w-]+\\.csv)</code>"


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The study with its report, whose folder has a name that nothing else has."""
    study = write_full_study(tmp_path_factory.mktemp("somebodys") / "unpublished-folder")
    write_report(study, FACTS, options=ReportOptions(groups=True))
    return study


@pytest.fixture(scope="module")
def page(study: Path) -> str:
    return (study / "report.html").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def tables(page: str) -> list[ShownTable]:
    return Tables(page).found


def shown_as(value: object, shown: str) -> bool:
    """Whether a number of a CSV, to the digits shown, is the one shown."""
    if not isinstance(value, float | int | np.number) or isinstance(value, bool):
        return shown == str(value)
    text = shown.replace(",", "")
    digits = len(text.split(".")[1].split("e")[0]) if "." in text else 0
    return f"{float(value):.{digits}f}" == text or float(f"{float(value):.4g}") == float(text)


def test_every_number_of_every_table_is_in_its_csv(study: Path, tables: list[ShownTable]) -> None:
    compared = 0
    for table in tables:
        frame = pd.read_csv(study / table.csv)
        assert len(table.rows) == len(frame), table.csv
        for cells, row in zip(table.rows, frame.to_dict("records"), strict=True):
            for cell, sources in zip(cells, table.sources, strict=True):
                values = [row[source] for source in sources if source != "suppressed"]
                found = NUMBER.findall(cell)
                if isinstance(values[0], str):
                    assert cell == values[0]
                elif not found:
                    assert cell in ("-", "not shown", "inf", "unknown"), (table.csv, cell)
                    assert all(not np.isfinite(value) for value in values), (table.csv, cell, values)
                else:
                    values = [100 * value for value in values] if cell.endswith("%") else values
                    assert all(map(shown_as, values, found)), (table.csv, cell, values)
                    compared += len(found)
    assert compared > 300


def test_the_tables_are_those_expected(tables: list[ShownTable]) -> None:
    assert sorted(Path(table.csv).stem for table in tables) == [
        "data-quality-clients", "epsilon-ledger", "groups", "headline", "participation",
        "personalisation", "personalisation-clients", "run-cost", "test-clients-arousal", "test-clients-valence",
    ]  # fmt: skip


def test_the_headline_is_the_mean_over_clients_of_the_mean_over_seeds(study: Path) -> None:
    frame = pd.read_csv(study / "figures" / "headline.csv").set_index(["dimension", "method"])
    results = read_study(study).query("kind == 'measured'")
    for dimension in DIMENSIONS:
        for method in ("centralised", "federated", "federated + DP"):
            rows = results[(results["dimension"] == dimension) & (results["method"] == method)]
            expected = rows.groupby("client")["ccc"].mean().mean()
            assert frame.loc[(dimension, method), "ccc_mean"] == pytest.approx(expected, abs=1e-9)
    assert frame.loc[("arousal", "federated + DP"), "epsilon"] == 8.4359


def test_each_client_has_its_own_numbers_under_another_name(study: Path) -> None:
    frame = pd.read_csv(study / "figures" / "test-clients-arousal.csv")
    rows = read_study(study).query("kind == 'measured' and dimension == 'arousal' and method == 'federated'")
    assert sorted(frame["ccc federated"]) == pytest.approx(sorted(rows.groupby("client")["ccc"].mean()), abs=1e-9)
    assert frame["client"].str.fullmatch(r"client \d\d").all()
    assert frame["client"].is_unique


def test_every_figure_has_its_numbers_and_its_drawing(study: Path, page: str) -> None:
    drawn = page.count("<svg")
    files = {file.name for file in (study / "figures").iterdir()}
    assert drawn == len([name for name in files if name.endswith(".svg")]) == 14
    for name in files:
        if name.endswith(".svg"):
            assert name.replace(".svg", ".csv") in files
            content = (study / "figures" / name).read_text(encoding="utf-8")
            assert content.startswith("<svg xmlns")
            assert "SYNTHETIC" in content
    assert set(re.findall(FILES, page)) == {name for name in files if name.endswith(".csv")}


def test_the_drawn_clients_are_sorted_and_spread_over_seeds(study: Path) -> None:
    frame = pd.read_csv(study / "figures" / "clients-arousal.csv")
    assert frame["federated"].is_monotonic_increasing
    rows = read_study(study).query("kind == 'measured' and dimension == 'arousal' and method == 'federated'")
    by_seed = rows.pivot(index="client", columns="seed", values="ccc")
    assert sorted(frame["lowest_seed"]) == pytest.approx(sorted(by_seed.min(axis=1)), rel=1e-5)
    assert sorted(frame["highest_seed"]) == pytest.approx(sorted(by_seed.max(axis=1)), rel=1e-5)


def test_no_id_and_no_place_is_in_anything_that_is_passed_on(study: Path, page: str) -> None:
    files = [page, *(file.read_text(encoding="utf-8") for file in (study / "figures").iterdir())]
    secret = [rf"(?<![\w.-]){client}(?![\w.])" for client in EVERYBODY]
    secret += [re.escape(name) for name in ("somebody", "/home", "unpublished-folder", "private corpora", "cohort-7")]
    for content in files:
        without_drawings = re.sub(r"<(?:g|path|use|clipPath|defs)\b[^>]*>", "", content)
        found = [name for name in secret if re.search(name, without_drawings)]
        assert found == []
        assert str(study.parent) not in content
        assert study.parent.name not in content


def test_the_search_for_ids_would_find_them(study: Path, tmp_path: Path) -> None:
    text = write_report(study, FACTS, tmp_path / "own", ReportOptions(own_names=True)).read_text(encoding="utf-8")
    assert all(re.search(rf"(?<![\w.-]){client}(?![\w.])", text) for client in (*CLIENTS, "P99"))
    assert "Clients are shown by their ids." in text
    assert "client 01" not in text
    assert not list((tmp_path / "own").glob("*.part"))


def test_names_are_those_of_the_study_and_tell_nothing(study: Path, page: str, tmp_path: Path) -> None:
    again = write_report(study, FACTS, tmp_path / "again", ReportOptions(groups=True)).read_text(encoding="utf-8")
    assert again == page
    known = pd.read_csv(study / "quality.csv").query("feature == 'valid'").set_index("client")["missing"]
    shown = pd.read_csv(study / "figures" / "data-quality-clients.csv").set_index("client")["not_valid"]
    names = {client: shown.index[(shown - missing).abs().argmin()] for client, missing in known.items()}
    assert len(set(names.values())) == len(EVERYBODY)
    assert [names[client] for client in sorted(EVERYBODY)] != sorted(names.values())


def test_sections_say_what_they_are_about(page: str) -> None:
    assert "Each client was on both sides" not in section(page, "People who took part, and new ones")
    groups = section(page, "Groups")
    assert "language: arousal" in groups
    assert groups.count("<td>not shown</td>") > 0
    assert "fine-tuned" in section(page, "Personalisation")
    assert "lowest to its highest seed" in section(page, "Per test client")
    assert "with most missing" not in section(page, "Data quality")
    again = section(page, "Run it again")
    assert "tff-affect train OUT --config config.yaml --cohort COHORT" in again
    assert f"toy cohort, contents SHA-256 {'ab' * 32}" in again
    assert "tff_affect 9.8.7" in again
    assert "settings_from: see PATH" in again


def test_the_page_can_be_used_by_ear_and_by_keyboard(page: str) -> None:
    found = Page(page)
    assert not found.open
    assert {"main", "nav", "header", "footer", "caption"} <= set(found.tags)
    assert found.tags.count("caption") == found.tags.count("table")
    assert found.tags.count("h1") == 1
    attributes = set(found.attributes)
    assert ("lang", "en-GB") in attributes
    targets = {value[1:] for name, value in found.attributes if name == "href" and value}
    identifiers = [value for name, value in found.attributes if name == "id"]
    assert "content" in targets
    assert targets <= set(identifiers)
    assert len(identifiers) == len(set(identifiers))
    headings = re.findall(r'<section id="([\w-]+)"', page)
    assert re.findall(r'<li><a href="#([\w-]+)"', page) == headings
    assert found.attributes.count(("role", "img")) == page.count("<svg")
    scrolled = re.findall(r'<div class="wide"([^>]*)>', page)
    assert all("tabindex" in each and "aria-label" in each for each in scrolled)


def test_it_is_small(study: Path) -> None:
    assert (study / "report.html").stat().st_size < 3e6


COLOURS = re.compile(r"--([\w-]+): (#[0-9a-f]{6});")
TEXT = ("ink", "soft", "link")
GROUNDS = ("page", "panel")


def luminance(colour: str) -> float:
    """Relative luminance of WCAG 2.2."""
    parts = np.array([int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)])
    linear = np.where(parts <= 0.04045, parts / 12.92, ((parts + 0.055) / 1.055) ** 2.4)
    return float(linear @ [0.2126, 0.7152, 0.0722])


def contrast(first: str, second: str) -> float:
    low, high = sorted((luminance(first), luminance(second)))
    return (high + 0.05) / (low + 0.05)


def test_contrast_is_that_of_wcag() -> None:
    assert contrast("#000000", "#ffffff") == pytest.approx(21)
    assert contrast("#777777", "#ffffff") == pytest.approx(4.478, abs=1e-3)


def test_text_stands_out_in_light_and_dark(page: str) -> None:
    light, dark, _ = (dict(COLOURS.findall(block)) for block in re.findall(r":root \{(.*?)\}", page, flags=re.DOTALL))
    assert light["page"] != dark["page"]
    for colours in (light, dark):
        pairs = [(text, ground) for text in TEXT for ground in GROUNDS] + [("ink", "warn")]
        for text, ground in pairs:
            assert contrast(colours[text], colours[ground]) >= 4.5, (text, ground)
        assert contrast(colours["focus"], colours["page"]) >= 3


def test_numbers_are_those_of_the_study(study: Path) -> None:
    own = summarise(read_study(study), DIMENSIONS).query("kind == 'measured'")
    frame = pd.read_csv(study / "figures" / "headline.csv")
    for column in ("ccc_mean", "ccc_low", "ccc_high"):
        assert frame[column].tolist() == pytest.approx(own[column].tolist(), abs=1e-9)
    band = pd.read_csv(study / "figures" / "clients-arousal.csv").iloc[0]
    shown = frame[(frame["dimension"] == "arousal") & (frame["method"] == "federated")].iloc[0]
    assert [band["mean_low"], band["mean_high"]] == pytest.approx([shown["ccc_low"], shown["ccc_high"]], abs=1e-5)
    trained = read_study(study).query("kind == 'measured' and method != 'mean predictor'")
    groups = ccc_by_group(trained, read_groups(study / "groups.csv"), DIMENSIONS)
    found = pd.read_csv(study / "figures" / "groups.csv").drop(columns="synthetic")
    pd.testing.assert_frame_equal(found, groups, check_dtype=False, rtol=1e-9)
    way = gains(read_personalised(study))
    shown = pd.read_csv(study / "figures" / "personalisation.csv")
    assert sorted(shown["gain_low"]) == pytest.approx(sorted(way["gain_low"]), abs=1e-9)


def test_groups_are_shown_to_those_alone_who_ask(study: Path, tmp_path: Path) -> None:
    """Group means beside each client's CCC are a sum to be solved: who is in which group."""
    text = write_report(study, FACTS, tmp_path / "passed on").read_text(encoding="utf-8")
    words = section(text, "Groups")
    assert "<table" not in words
    assert "language" in words
    assert "French" not in text
    assert not list((tmp_path / "passed on" / "figures").glob("group*"))
    assert "pass it on to those alone who may know" in " ".join(
        section((study / "report.html").read_text(), "Groups").split()
    )


def with_other_ids(study: Path, place: Path, given: dict[str, str]) -> Path:
    """A copy of a study whose subjects have each other's ids, all tables in the order of these."""
    shutil.copytree(study, place, ignore=shutil.ignore_patterns("figures", "report.html"))
    for file in [*place.rglob("*.csv"), *place.rglob("split.json"), *place.rglob("privacy.json")]:
        text = re.sub(r"(?<![\w.])P\d+(?![\w.])", lambda found: given[found[0]], file.read_text())
        if file.suffix == ".csv" and (head := text.splitlines()[0].split(","))[0] and "client" in head:
            lines, place_of = text.splitlines(), head.index("client")
            text = "\n".join([lines[0], *sorted(lines[1:], key=lambda line: line.split(",")[place_of])]) + "\n"
        file.write_text(text)
    for file in sorted(place.rglob("P*.parquet")):
        file.rename(file.with_name(f"{given[file.stem]}.moved"))
    for file in place.rglob("*.moved"):
        file.rename(file.with_suffix(".parquet"))
    return place


def test_what_is_passed_on_is_the_same_whoever_has_which_id(study: Path, tmp_path: Path) -> None:
    """No number, line or order in a page or a file says how the ids behind the made-up names are ordered."""
    given = dict(zip(EVERYBODY, [*EVERYBODY[5:], *EVERYBODY[:5]], strict=True))
    other = with_other_ids(study, tmp_path / "other", given)
    names = {subject: f"client {place:02d}" for place, subject in enumerate(EVERYBODY)}
    write_report(study, FACTS, tmp_path / "a", ReportOptions(groups=True), names)
    write_report(other, FACTS, tmp_path / "b", ReportOptions(groups=True), {given[s]: n for s, n in names.items()})
    files = {file.relative_to(tmp_path / "a") for file in (tmp_path / "a").rglob("*.*")}
    assert files == {file.relative_to(tmp_path / "b") for file in (tmp_path / "b").rglob("*.*")}
    assert len(files) > 15
    for file in files:
        assert (tmp_path / "a" / file).read_bytes() == (tmp_path / "b" / file).read_bytes(), file
