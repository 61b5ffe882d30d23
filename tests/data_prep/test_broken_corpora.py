"""Every damaged AVEC or MuSe folder is one clear `InputError` that says where, and leaves nothing behind."""

import shutil

import numpy as np
import pandas as pd
import pytest

from data_prep.convert import convert
from data_prep.inspect import inspect_source
from data_prep.layouts.registry import write_layout
from data_prep.source import SourceOptions
from data_prep.synthetic import SyntheticConfig
from tff_affect.errors import InputError

CONFIG = SyntheticConfig(subjects=4, seconds=4.0, seed=8, bad_trackers=())


@pytest.fixture(scope="module")
def pristine(tmp_path_factory):
    place = tmp_path_factory.mktemp("corpora")
    return {name: write_layout(name, place / name, CONFIG) for name in ("avec2016", "avec2018", "muse")}


def put(file, lines):
    file.write_text("\n".join(lines) + "\n")


def lines(change):
    return lambda file: put(file, change(file.read_text().splitlines()))


def cell(line, column, value, separator=","):
    """Replaces one cell of one line (one-based)."""

    def change(rows):
        cells = rows[line - 1].split(separator)
        cells[column] = value
        return [*rows[: line - 1], separator.join(cells), *rows[line:]]

    return lines(change)


def arff_row(offset, change):
    """Changes one row after ``@DATA``."""

    def edit(rows):
        at = rows.index("@DATA") + 1 + offset
        return [*rows[:at], change(rows[at]), *rows[at + 1 :]]

    return lines(edit)


def arff_cell(offset, column, value):
    return arff_row(offset, lambda row: ",".join([*row.split(",")[:column], value, *row.split(",")[column + 1 :]]))


def frame(change, separator=","):
    def edit(file):
        change(pd.read_csv(file, sep=separator)).to_csv(file, sep=separator, index=False)

    return edit


def text(change):
    return lambda file: file.write_text(change(file.read_text()))


def binary(file):
    file.write_bytes(bytes(range(256)) * 9)


def latin(file):
    file.write_bytes(file.read_bytes() + "é".encode("latin-1"))


def lead_out(file):
    outside = next(place for place in file.parents if place.name == "package").with_name("outside.csv")
    shutil.move(file, outside)
    file.symlink_to(outside)


def loop(file):
    file.unlink()
    file.symlink_to(file.name)


def keep_header(rows):
    return rows[: rows.index("@DATA") + 1]


def twin(name):
    return lambda file: shutil.copy(file, file.with_name(name))


GOLD = "ratings_gold_standard/arousal/dev_1.arff"
VALENCE = "ratings_gold_standard/valence/dev_1.arff"
SHAPE = "features_video_geometric/arousal/dev_1.arff"
AVEC_2016 = {
    "label file missing": (VALENCE, lambda f: f.unlink(), r"valence.dev_1.*missing"),
    "feature file missing": (SHAPE, lambda f: f.unlink(), r"dev_1.*missing.*labels"),
    "all labels of a subject missing": (
        "ratings_gold_standard",
        lambda d: [f.unlink() for f in d.rglob("dev_1.*")],
        "dev_1",
    ),
    "valence missing": ("ratings_gold_standard/valence", shutil.rmtree, r"valence: the folder is missing"),
    "no labels at all": (
        "ratings_gold_standard/arousal",
        lambda d: [f.unlink() for f in d.iterdir()],
        "arousal: .*train_1.arff, found none",
    ),
    "no features": ("features_video_geometric", shutil.rmtree, r"features_video_<set>"),
    "an empty set": (
        "features_video_geometric/arousal",
        lambda d: [f.unlink() for f in d.iterdir()],
        "features_video_geometric.arousal: .*found none",
    ),
    "gold cut in a row": (GOLD, text(lambda t: t.rstrip().rsplit(",", 1)[0]), r"dev_1.arff, line \d+"),
    "gold cut in the header": (GOLD, text(lambda t: t[:70]), "dev_1.arff.*ARFF"),
    "gold without rows": (GOLD, lines(keep_header), "dev_1.arff.*no data rows"),
    "gold of one row": (GOLD, lines(lambda r: r[: r.index("@DATA") + 2]), "dev_1.arff.*two rows"),
    "a cell too many": (GOLD, arff_row(3, lambda row: row + ",1"), r"dev_1.arff, line \d+"),
    "text among the labels": (GOLD, arff_cell(6, 2, "happy"), r"dev_1.arff, line \d+"),
    "a label beyond reason": (GOLD, arff_cell(6, 2, "1e5"), "arousal.*reaches 100000"),
    "an infinite label": (GOLD, arff_cell(6, 2, "1e999"), r"dev_1.arff, line \d+.*infinite"),
    "times going back": (GOLD, arff_cell(9, 1, "0.01"), r"dev_1.arff, line \d+.*increase, found 0.01"),
    "a time missing": (GOLD, arff_cell(9, 1, "?"), r"dev_1.arff, line \d+.*increase"),
    "dimensions of different length": (VALENCE, lines(lambda r: r[:-5]), "valence.dev_1.arff.*different times"),
    "dimensions of different times": (VALENCE, arff_cell(99, 1, "4.9"), "valence.dev_1.arff.*different times"),
    "features without times": (SHAPE, text(lambda t: t.replace("frameTime", "moment")), "dev_1.arff.*column of times"),
    "features elsewhere in time": (
        SHAPE,
        lambda f: [arff_cell(k, 1, repr(90 + k / 25))(f) for k in range(100)],
        "dev_1.arff.*only 0 % of the label times",
    ),
    "features at a doubtful pace": (
        SHAPE,
        lambda f: [arff_cell(k, 1, repr(3.0 * k))(f) for k in range(100)],
        "dev_1.arff.*milliseconds",
    ),
    "text in an attribute of text": (
        "features_video_geometric/arousal/train_1.arff",
        lambda f: (text(lambda t: t.replace("AU02 NUMERIC", "AU02 STRING"))(f), arff_cell(2, 3, "smile")(f)),
        r"train_1.arff, line 27: attribute 'AU02'.*'smile'",
    ),
    "a feature renamed": (SHAPE, text(lambda t: t.replace("AU12", "AU99")), "dev_1.arff.*AU12"),
    "a feature never there": (
        SHAPE,
        lambda f: [arff_cell(k, 2, "?")(f) for k in range(100)],
        "dev_1.arff.*AU01.*missing",
    ),
    "a feature twice": (SHAPE, text(lambda t: t.replace("AU12", "AU10")), "dev_1.arff"),
    "binary": (SHAPE, binary, "dev_1.arff.*binary"),
    "another encoding": (GOLD, latin, r"dev_1.arff, line \d+.*UTF-8"),
    "empty": (GOLD, lambda f: f.write_text(""), "dev_1.arff.*empty"),
    "a link out of the folder": (SHAPE, lead_out, "dev_1.arff.*out of the folder"),
    "a loop of links": (GOLD, loop, "ratings_gold_standard.arousal"),
    "a subject twice": (GOLD, twin("dev_01.csv"), "found both dev_01.csv and dev_1.arff; keep one"),
    "a folder where a file belongs": (GOLD, lambda f: (f.unlink(), f.mkdir()), "dev_1.arff"),
}
LABEL_2018 = "labels/gs_1/valence/train_1.csv"
UNITS_2018 = "features/video/AU/train_1_4.0_0.04.csv"
AVEC_2018 = {
    "label file missing": (LABEL_2018, lambda f: f.unlink(), "valence.train_1.*missing"),
    "no video features": ("features/video", shutil.rmtree, "features.video: the folder is missing"),
    "no feature set": ("features/video/AU", shutil.rmtree, "features/video/<set>"),
    "a label that is text": (LABEL_2018, cell(8, 2, "calm"), "train_1.csv, line 8.*'calm'"),
    "raters where a gold standard belongs": (
        LABEL_2018,
        frame(lambda f: f.assign(FM1=0.1)),
        "train_1.csv.*GoldStandard, FM1",
    ),
    "a short row": (LABEL_2018, lines(lambda r: [*r[:9], "train_1,0.4", *r[10:]]), "train_1.csv, line 10"),
    "a header inside": (LABEL_2018, lines(lambda r: [*r[:9], r[0], *r[9:]]), "train_1.csv, line 10"),
    "times going back": (LABEL_2018, cell(30, 1, "0.01"), "train_1.csv, line 30.*increase"),
    "a feature that is text": (UNITS_2018, cell(12, 4, "smile", ";"), r"train_1_4.0_0.04.csv, line 12.*'smile'"),
    "only names and times": (
        UNITS_2018,
        frame(lambda f: f[["name", "timeStamp"]], ";"),
        "train_1_4.0_0.04.csv.*values",
    ),
    "feature times in minutes": (
        UNITS_2018,
        frame(lambda f: f.assign(timeStamp=f["timeStamp"] / 60), ";"),
        "train_1_4.0_0.04.csv.*label times",
    ),
    "a column twice": (UNITS_2018, text(lambda t: t.replace("AU02", "AU01", 1)), "line 1.*AU01"),
    "one label, all missing": (
        LABEL_2018,
        frame(lambda f: f.assign(GoldStandard=np.nan)),
        "train_1.*no frame is valid",
    ),
}
UNITS_MUSE = "features/fau_intensity/2.csv"
MUSE = {
    "label file missing": ("labels/valence/2.csv", lambda f: f.unlink(), "valence.2.csv.*missing"),
    "feature file missing": (UNITS_MUSE, lambda f: f.unlink(), "fau_intensity.2.csv.*missing"),
    "embeddings only": ("features/fau_intensity", shutil.rmtree, r"features: none of the sets \(facenet\).*identify"),
    "no labels": ("labels", shutil.rmtree, "labels or label_segments"),
    "empty labels": ("labels", lambda d: [f.unlink() for f in d.rglob("*.csv")], "labels: .*found none"),
    "a wrong partition": ("partition.csv", text(lambda t: t.replace("2,train", "2,training")), "line 3.*'training'"),
    "a subject twice": ("partition.csv", lines(lambda r: [*r, r[1]]), "partition.csv, line 6.*twice"),
    "a subject without partition": ("partition.csv", lines(lambda r: [r[0], *r[2:]]), "1.csv.*partition.csv"),
    "partition without its column": ("partition.csv", cell(1, 1, "Fold"), "partition.csv, line 1.*'proposal'"),
    "times going back": (UNITS_MUSE, cell(40, 0, "10"), "2.csv, line 40.*increase"),
    "a time missing": ("labels/arousal/2.csv", cell(40, 0, ""), "2.csv, line 40.*increase"),
    "times of doubtful unit": (
        UNITS_MUSE,
        frame(lambda f: f.assign(timestamp=np.arange(len(f)) * 2.0)),
        "2.csv.*steps by 2: .*milliseconds",
    ),
    "dimensions of different times": (
        "labels/valence/2.csv",
        lines(lambda r: r[:-3]),
        "valence.2.csv.*different times",
    ),
    "a label that is text": ("labels/valence/2.csv", cell(5, 1, "n.a."), "valence.2.csv, line 5.*'n.a.'"),
    "two values": ("labels/valence/2.csv", frame(lambda f: f.assign(other=1.0)), "valence.2.csv.*value, other"),
    "a unit missing": (UNITS_MUSE, frame(lambda f: f.drop(columns="AU12_r")), "2.csv.*AU12"),
    "a unit twice": (UNITS_MUSE, frame(lambda f: f.assign(AU12=1.0)), "2.csv.*both AU12"),
    "an intensity beyond the scale": (UNITS_MUSE, cell(7, 2, "55"), "2.csv.*AU01.*0-5"),
    "an infinite intensity": (UNITS_MUSE, cell(7, 2, "inf"), "2.csv, line 7"),
    "binary": (UNITS_MUSE, binary, "2.csv.*binary"),
    "UTF-16": ("labels/arousal/2.csv", lambda f: f.write_text(f.read_text(), encoding="utf-16"), "2.csv.*UTF-16"),
    "empty file": ("partition.csv", lambda f: f.write_text(""), "partition.csv.*empty"),
    "header only": (UNITS_MUSE, lines(lambda r: r[:1]), "2.csv.*no rows"),
    "a link out of the folder": (UNITS_MUSE, lead_out, "2.csv.*out of the folder"),
}
CASES = [
    (name, fault, *case)
    for name, faults in (("avec2016", AVEC_2016), ("avec2018", AVEC_2018), ("muse", MUSE))
    for fault, case in faults.items()
]


@pytest.mark.parametrize(
    ("name", "fault", "place", "damage", "message"), CASES, ids=[f"{name}: {fault}" for name, fault, *_ in CASES]
)
def test_a_damaged_folder(name, fault, place, damage, message, pristine, tmp_path):
    folder = tmp_path / "package"
    shutil.copytree(pristine[name], folder)
    damage(folder / place)
    before = sorted(path.name for path in tmp_path.iterdir())
    with pytest.raises(InputError, match=f"(?s){message}") as raised:
        convert(folder, tmp_path / "cohort")
    assert raised.value.exit_code == 2
    assert raised.value.file is not None
    assert "\n" not in str(raised.value).strip()
    assert sorted(path.name for path in tmp_path.iterdir()) == before
    found = inspect_source(folder)
    assert any(raised.value.reason in problem for problem in found.problems)


@pytest.mark.parametrize(
    ("name", "place", "options", "message"),
    [
        ("avec2016", "ratings_individual/valence/dev_1.csv", SourceOptions(fusion="mean"), "valence.dev_1.*missing"),
        ("avec2018", "labels/individual/valence/dev_1.csv", SourceOptions(fusion="mean"), "valence.dev_1.*missing"),
    ],
)
def test_a_rating_that_a_fusion_needs(name, place, options, message, pristine, tmp_path):
    folder = tmp_path / "package"
    shutil.copytree(pristine[name], folder)
    (folder / place).unlink()
    assert convert(folder, tmp_path / "as-distributed").subjects == ("train_1", "train_2", "dev_1")
    with pytest.raises(InputError, match=message):
        convert(folder, tmp_path / "fused", options)


def test_a_rater_who_never_rated_is_named_with_the_file(pristine, tmp_path):
    folder = tmp_path / "package"
    shutil.copytree(pristine["avec2018"], folder)
    frame(lambda f: f.assign(FM2=np.nan), ";")(folder / "labels/individual/arousal/dev_1.csv")
    with pytest.raises(InputError, match=r"dev_1.csv.*rater 2 of 6 has no rating"):
        convert(folder, tmp_path / "cohort", SourceOptions(fusion="ccc_centred"))


@pytest.mark.parametrize("name", ["avec2016", "avec2018"])
def test_an_unknown_feature_set_lists_the_known(name, pristine, tmp_path):
    with pytest.raises(InputError, match=r"no feature set 'audio'; found (video_geometric/arousal|AU/4.0_0.04)"):
        convert(pristine[name], tmp_path / "cohort", SourceOptions(feature_set="audio"))


def test_muse_with_test_subjects_only(pristine, tmp_path):
    """Labels are there, so they are read; without any labels nothing is left to read."""
    folder = tmp_path / "package"
    shutil.copytree(pristine["muse"], folder)
    text(lambda t: t.replace("train", "test").replace("devel", "test"))(folder / "partition.csv")
    cohort = convert(folder, tmp_path / "cohort")
    assert {entry.partition for entry in cohort.manifest.subjects} == {"test"}
    for file in folder.glob("labels/*/*.csv"):
        frame(lambda f: f.assign(value=np.nan))(file)
    with pytest.raises(InputError, match=r"no subject of partition.csv has labels"):
        convert(folder, tmp_path / "none")
