import json
import math
import re
import shutil
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path

import pandas as pd
import pytest
from html_page import section
from sample_study import CLIENTS, DIMENSIONS, guarantee, write_privacy

from tff_affect.config import PRIVATE_FEDERATED, WITHOUT_PRIVACY
from tff_affect.errors import InputError
from tff_affect.evaluation.per_client import read_results, read_study, summarise, write_results
from tff_affect.privacy.guarantee import Guarantee
from tff_affect.report import html
from tff_affect.report.html import write_report
from tff_affect.report.report_files import ReportOptions
from tff_affect.report.study import CohortFacts

FACTS = CohortFacts("toy <b>cohort</b>", True, 12, 25.0)


class Tags(HTMLParser):
    """Collects tags, attributes and identifiers."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.attributes: set[str] = set()
        self.identifiers: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.attributes |= {name for name, _ in attrs}
        self.identifiers += [value for name, value in attrs if name == "id" and value]


def parse(text: str) -> Tags:
    tags = Tags()
    tags.feed(text)
    return tags


def test_the_report_stands_alone(make_study: Callable[..., Path]) -> None:
    path = write_report(make_study(2), FACTS)
    text = path.read_text()
    tags = parse(text)
    assert not tags.tags & {"script", "link", "iframe", "img", "object", "embed", "base"}
    assert not {name for name in tags.attributes if name.startswith("on") or name in ("src", "srcset")}
    assert all(target.startswith("#") for target in re.findall(r'href="(.*?)"', text))
    assert "http" not in text
    assert "@import" not in text
    assert not re.search(r"url\((?!#)", text)
    assert len(tags.identifiers) == len(set(tags.identifiers))
    assert text.count("<svg") == 8
    assert str(path.parent) not in text
    assert "somebody" not in text
    assert "cohort: COHORT" in text


def test_names_and_files_are_escaped(make_study: Callable[..., Path]) -> None:
    study = make_study()
    results = study / "seed-0" / "results.csv"
    results.write_text(results.read_text().replace("P16", "<i>P16"))
    text = write_report(study, FACTS, options=ReportOptions(own_names=True)).read_text()
    assert "toy &lt;b&gt;cohort&lt;/b&gt;" in text
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in text
    assert "&lt;i&gt;P16" in text
    assert not re.search(r"<script|<i>|<b>", text)


def test_the_table_shows_the_summary(make_study: Callable[..., Path]) -> None:
    study = make_study(2)
    text = write_report(study, FACTS).read_text()
    summary = summarise(read_study(study), DIMENSIONS).query("kind == 'measured'")
    assert summary["method"].tolist() == list(WITHOUT_PRIVACY) * 2
    for row in summary.to_dict("records"):
        numbers = f"{row['ccc_mean']:.3f}", f"[{row['ccc_low']:.3f}, {row['ccc_high']:.3f}]", f"{row['ccc_pooled']:.3f}"
        cells = "".join(f"<td>{number}</td>" for number in numbers)
        assert '<th scope="row">' + row["method"] + f"</th>{cells}" in text
    assert text.count('<th scope="row">client ') == len(CLIENTS) * len(DIMENSIONS)
    assert "nan" not in re.sub(r"<pre>.*?</pre>|<svg.*?</svg>", "", text, flags=re.DOTALL).lower().split()


def test_post_processed_numbers_have_rows_and_tables_of_their_own(make_study: Callable[..., Path]) -> None:
    study = make_study()
    plain = write_report(study, FACTS, options=ReportOptions(own_names=True)).read_text()
    results = read_results(study / "seed-0" / "results.csv")
    added = results.query("kind == 'measured' and method == 'federated'").assign(kind="post-processed", ccc=0.875)
    write_results(study / "seed-0" / "results.csv", pd.concat([results, added]).to_dict("records"))
    text = write_report(study, FACTS, options=ReportOptions(own_names=True)).read_text()
    for dimension in DIMENSIONS:
        assert f">{dimension}, post-processed</th>" in text
        assert f"SYNTHETIC data. Test clients, {dimension}, post-processed</span>" in text
    cells = "<td>-</td><td>-</td><td>-</td><td>0.875</td>"
    assert text.count(f'<tr><th scope="row">P16</th>{cells}') == 2
    assert "Post-processed numbers rest on a chain fitted on development clients" in text
    assert "estimate continuous arousal and valence from" in text
    assert "ost-processed" not in plain
    drawings = [re.findall(r"<svg.*?</svg>", page, flags=re.DOTALL) for page in (plain, text)]
    assert drawings[0] == drawings[1]


def test_synthetic_is_said_only_when_it_is(make_study: Callable[..., Path]) -> None:
    study = make_study(ceilings=False)
    assert "SYNTHETIC data." in write_report(study, FACTS).read_text()
    assert "SYNTHETIC" not in write_report(study, CohortFacts("corpus", False, 12, 25.0)).read_text()


def test_the_same_study_gives_the_same_bytes(make_study: Callable[..., Path]) -> None:
    study = make_study()
    assert write_report(study, FACTS).read_bytes() == write_report(study, FACTS).read_bytes()
    assert sorted(entry.name for entry in study.iterdir()) == [
        "config.yaml",
        "environment.json",
        "figures",
        "report.html",
        "seed-0",
    ]


def test_only_results_are_needed(make_study: Callable[..., Path], tmp_path: Path) -> None:
    run = tmp_path / "run"
    run.mkdir()
    shutil.copy(make_study() / "seed-0" / "results.csv", run)
    text = write_report(run, FACTS).read_text()
    assert text.count("<svg") == 4
    assert "<summary>Configuration" not in text
    assert "The configuration was not kept" in text
    assert "The split of subjects was not kept" in text
    assert "no test client took part in training" not in text


def test_a_leak_between_subjects_is_said(make_study: Callable[..., Path]) -> None:
    study = make_study()
    split = {"train": ["P1", "P16"], "development": [], "test": CLIENTS}
    (study / "seed-0" / "split.json").write_text(json.dumps(split))
    text = write_report(study, FACTS, options=ReportOptions(own_names=True)).read_text()
    assert "<strong>Not subject-independent:</strong> P16" in text
    assert "no test client took part in training" not in text


@pytest.mark.parametrize(
    ("file", "content"),
    [
        ("environment.json", b"{"),
        ("environment.json", b"[]"),
        ("config.yaml", b"\xff\xfe"),
        ("seed-0/per_client.csv", b"round,client\n1,a\n"),
        ("seed-0/rounds.csv", b""),
        ("seed-0/predictions/federated/P16.parquet", b"PAR1"),
    ],
)
def test_a_spoilt_file_is_named_and_no_report_is_left(
    make_study: Callable[..., Path], file: str, content: bytes
) -> None:
    study = make_study()
    for client in CLIENTS[1:]:
        (study / "seed-0" / "predictions" / "federated" / f"{client}.parquet").unlink()
    (study / file).write_bytes(content)
    before = sorted(entry.name for entry in study.iterdir())
    with pytest.raises(InputError) as caught:
        write_report(study, FACTS)
    assert caught.value.file == str(study / file)
    assert sorted(entry.name for entry in study.iterdir()) == before


@pytest.fixture
def without_figures(monkeypatch: pytest.MonkeyPatch) -> None:
    """Text alone: drawing takes seconds."""
    monkeypatch.setattr(html, "figure_sections", lambda study, facts: iter(()))
    monkeypatch.setattr(html, "curve_figures", lambda data, synthetic: ())


def limits_with(study: Path, config: str) -> str:
    (study / "config.yaml").write_text(config)
    text = write_report(study, FACTS).read_text()
    return section(text, "Limits")


@pytest.mark.usefixtures("without_figures")
@pytest.mark.parametrize(("scaling", "said"), [("subject", True), ("federated", False), ("none", False)])
def test_scaling_by_subject_is_called_transductive(make_study: Callable[..., Path], scaling: str, said: bool) -> None:
    limits = limits_with(make_study(), f"data:\n  window: 100\n  scaling: {scaling}\n  target_delay: 0.0\n")
    sentence = "standardised per subject, over the whole recording, test clients included (transductive). No labels"
    assert (sentence in limits) == said


@pytest.mark.usefixtures("without_figures")
@pytest.mark.parametrize(("loss", "said"), [("ccc", True), ("mse", False)])
def test_the_batches_of_the_ccc_loss_are_a_limit(make_study: Callable[..., Path], loss: str, said: bool) -> None:
    limits = limits_with(make_study(), f"training:\n  batch_size: 16\n  loss: {loss}\n")
    assert ("do not minimise the same objective" in limits) == said


@pytest.mark.usefixtures("without_figures")
def test_local_only_says_who_chose_its_stopping_point(make_study: Callable[..., Path]) -> None:
    study = make_study()
    assert "stopping point is chosen on development clients" in limits_with(study, "")
    results = study / "seed-0" / "results.csv"
    kept = [line for line in results.read_text().splitlines(keepends=True) if not line.startswith("local-only")]
    results.write_text("".join(kept))
    assert "stopping point" not in limits_with(study, "")


@pytest.mark.usefixtures("without_figures")
def test_a_simulation_is_not_called_a_deployment(make_study: Callable[..., Path]) -> None:
    text = " ".join(write_report(make_study(), FACTS).read_text().split())
    assert "This is a simulation on one machine, which holds every recording" in text
    assert "evaluation statistics and, with federated scaling, sums of features would leave them" in text
    assert "its recording stays with it" not in text


@pytest.mark.usefixtures("without_figures")
def test_privacy_is_a_section_of_its_own(make_private_study: Callable[..., Path]) -> None:
    study = make_private_study(guarantee(8.4359, remarks=("simulation only: <the> noise",)), guarantee(2.0))
    (study / "config.yaml").write_text("privacy:\n  settings_from: this cohort\n  force: false\n")
    text = write_report(study, FACTS).read_text()
    said = section(text, "Privacy")
    assert "SYNTHETIC data." in said
    assert "can tell of one subject: epsilon" in said
    assert (
        "<h3>federated + DP</h3> <p><strong>epsilon 8.436 at delta 0.0125 for one subject (zero-out)</strong>" in said
    )
    for entry in (
        ("noise", "1.25 x clipping norm 0.75; Gaussian mechanism"),
        ("rounds", "11; all 8 clients"),
        ("accounting", "accountant of the tests"),
        ("trust", "server trusted by the tests"),
        ("settings chosen", "this cohort"),
    ):
        assert '<tr><th scope="row">{}</th><td>{}</td></tr>'.format(*entry) in said
    assert "<li>tables of the tests</li> <li>hyper-parameters: chosen on this cohort</li>" in said
    assert '<p class="remark" role="note">simulation only: &lt;the&gt; noise</p>' in said
    assert "2 runs, epsilon 2 to 8.436, the largest is named" in said
    assert "centralised, federated. No epsilon holds once these are released." in said
    assert "Epsilon of each training client" not in said
    results = section(text, "Results")
    assert "federated + DP: simulation only: &lt;the&gt; noise." in results
    assert ">epsilon for one subject</th>" in results
    assert results.count('<th scope="row">federated + DP</th><td>8.436</td>') == len(DIMENSIONS)
    assert results.count('<th scope="row">federated</th><td>-</td>') == len(DIMENSIONS)


@pytest.mark.usefixtures("without_figures")
def test_without_privacy_there_is_no_such_section(make_study: Callable[..., Path]) -> None:
    text = write_report(make_study(), FACTS).read_text()
    assert section(text, "Results")
    assert not section(text, "Privacy")
    assert "for one subject" not in text


@pytest.mark.usefixtures("without_figures")
def test_infinite_and_unknown_epsilons_are_said(make_private_study: Callable[..., Path]) -> None:
    study = make_private_study(guarantee(math.inf))
    text = write_report(study, CohortFacts("corpus", False, 12, 25.0)).read_text()
    assert "SYNTHETIC" not in text
    assert "epsilon inf, no guarantee at all, at delta" in section(text, "Privacy")
    assert '<th scope="row">federated + DP</th><td>inf</td>' in text
    assert "Epsilon inf is no guarantee at all." in section(text, "Results")
    (study / "seed-0" / "privacy.json").unlink()
    text = write_report(study, FACTS).read_text()
    assert "epsilon unknown: 1 of 1 runs kept no privacy.json" in section(text, "Privacy")
    assert '<th scope="row">federated + DP</th><td>unknown</td>' in text


@pytest.mark.usefixtures("without_figures")
def test_windows_show_the_epsilon_of_each_client(make_private_study: Callable[..., Path]) -> None:
    def of(**clients: float) -> Guarantee:
        return guarantee(max(clients.values()), unit="window", per_client=clients)

    study = make_private_study(of(P1=3.0, P2=math.inf))
    said = section(write_report(study, FACTS, options=ReportOptions(own_names=True)).read_text(), "Privacy")
    assert "can tell of one window" in said
    assert '<tr><th scope="row">P2</th><td>inf</td></tr> <tr><th scope="row">P1</th><td>3</td></tr>' in said
    for seed, stated in enumerate((of(P1=3.0, P2=1.0), of(P1=2.0, P3=2.5))):
        run = study / f"seed-{seed}"
        run.mkdir(exist_ok=True)
        shutil.copy(study / "seed-0" / "results.csv", run / "copy.csv").rename(run / "results.csv")
        write_privacy(run, {PRIVATE_FEDERATED: stated})
    said = section(write_report(study, FACTS, options=ReportOptions(own_names=True)).read_text(), "Privacy")
    assert re.findall(r'data-sources="\w+">([\w ]+ epsilon|runs)<', said) == [
        "largest epsilon",
        "smallest epsilon",
        "runs",
    ]
    assert '<tr><th scope="row">P1</th><td>3</td><td>2</td><td>2</td></tr>' in said
    assert '<tr><th scope="row">P3</th><td>2.5</td><td>2.5</td><td>1</td></tr>' in said


def test_figures_show_both_federated_methods(make_private_study: Callable[..., Path]) -> None:
    text = write_report(make_private_study(), FACTS).read_text()
    tags = parse(text)
    assert len(tags.identifiers) == len(set(tags.identifiers))
    assert text.count("<svg") == 12
    stated = "federated + DP: epsilon 8.436 at delta 0.0125 for one subject (zero-out)."
    captions = [stated in caption for caption in re.findall(r"<figcaption>(.*?)</figcaption>", text, flags=re.DOTALL)]
    assert captions == [False, True, True, False, False]
    assert section(text, "Federated against local-only")
    assert ">PCC federated</th>" in text


def test_figures_show_the_private_method_where_it_is_the_only_one(make_private_study: Callable[..., Path]) -> None:
    study = make_private_study(alone=True)
    text = write_report(study, FACTS).read_text()
    assert text.count("<svg") == 10
    curve, *captions = re.findall(r"<figcaption>(.*?)</figcaption>", text, flags=re.DOTALL)
    assert "Each mark is a private method" in curve
    assert all("federated + DP: epsilon 8.436" in caption for caption in captions)
    assert all(caption.startswith("SYNTHETIC data.") for caption in captions)
    assert "by federated + DP CCC." in captions[3]
    assert section(text, "Federated + DP against local-only")
    assert ">PCC federated + DP</th>" in text
    shutil.rmtree(study / "seed-0" / "predictions")
    assert write_report(study, FACTS).read_text().count("<svg") == 8
    # What an earlier report drew and this one does not is gone.
    assert not list((study / "figures").glob("traces-*"))
