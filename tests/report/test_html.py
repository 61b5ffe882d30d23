import json
import re
import shutil
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path

import pytest
from sample_study import CLIENTS, DIMENSIONS

from tff_affect.errors import InputError
from tff_affect.evaluation.per_client import METHODS, read_study, summarise
from tff_affect.report.html import write_report
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
    assert not {name for name in tags.attributes if name.startswith("on") or name in ("src", "srcset", "href")}
    assert "http" not in text
    assert "@import" not in text
    assert not re.search(r"url\((?!#)", text)
    assert len(tags.identifiers) == len(set(tags.identifiers))
    assert text.count("<svg") == 8
    assert str(path.parent) not in text
    assert "/home/somebody" not in text
    assert "cohort: cohort-7" in text


def test_names_and_files_are_escaped(make_study: Callable[..., Path]) -> None:
    study = make_study()
    results = study / "seed-0" / "results.csv"
    results.write_text(results.read_text().replace("P16", "<i>P16"))
    text = write_report(study, FACTS).read_text()
    assert "toy &lt;b&gt;cohort&lt;/b&gt;" in text
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in text
    assert "&lt;i&gt;P16" in text
    assert not re.search(r"<script|<i>|<b>", text)


def test_the_table_shows_the_summary(make_study: Callable[..., Path]) -> None:
    study = make_study(2)
    text = write_report(study, FACTS).read_text()
    summary = summarise(read_study(study), DIMENSIONS).query("kind == 'measured'")
    assert summary["method"].tolist() == list(METHODS) * 2
    for row in summary.to_dict("records"):
        numbers = f"{row['ccc_mean']:.3f}", f"[{row['ccc_low']:.3f}, {row['ccc_high']:.3f}]", f"{row['ccc_pooled']:.3f}"
        cells = "".join(f"<td>{number}</td>" for number in numbers)
        assert '<th scope="row">' + row["method"] + f"</th>{cells}" in text
    assert all(f'<th scope="row">{client}</th>' in text for client in CLIENTS)
    assert "nan" not in re.sub(r"<pre>.*?</pre>|<svg.*?</svg>", "", text, flags=re.DOTALL).lower().split()


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
        "report.html",
        "seed-0",
    ]


def test_only_results_are_needed(make_study: Callable[..., Path], tmp_path: Path) -> None:
    run = tmp_path / "run"
    run.mkdir()
    shutil.copy(make_study() / "seed-0" / "results.csv", run)
    text = write_report(run, FACTS).read_text()
    assert text.count("<svg") == 4
    assert "Configuration" not in text
    assert "The split of subjects was not kept" in text
    assert "no test client took part in training" not in text


def test_a_leak_between_subjects_is_said(make_study: Callable[..., Path]) -> None:
    study = make_study()
    split = {"train": ["P1", "P16"], "development": [], "test": CLIENTS}
    (study / "seed-0" / "split.json").write_text(json.dumps(split))
    text = write_report(study, FACTS).read_text()
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
