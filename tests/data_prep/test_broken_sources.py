"""Every broken source is one clear `InputError` that says where, and leaves nothing behind."""

import shutil

import numpy as np
import pandas as pd
import pytest

from data_prep.column_map import ColumnMap
from data_prep.convert import convert
from data_prep.layouts.recola_writer import write_recola_layout
from data_prep.recola_layout import ANNOTATION, FEATURES, METADATA, TIMINGS
from data_prep.source import SourceOptions
from data_prep.synthetic import SyntheticConfig
from tff_affect.errors import InputError

CONFIG = SyntheticConfig(subjects=3, seconds=4.0, seed=8, bad_trackers=())
AROUSAL = ANNOTATION / "arousal" / "P102.csv"
VALENCE = ANNOTATION / "valence" / "P102.csv"
ARFF = FEATURES / "P102.arff"
TIMING = TIMINGS / "P102.csv"


@pytest.fixture(scope="module")
def pristine(tmp_path_factory):
    return write_recola_layout(tmp_path_factory.mktemp("recola") / "recola", CONFIG)


def lines_of(file):
    return file.read_text().splitlines()


def put(file, lines):
    file.write_text("\n".join(lines) + "\n")


def cell(line, column, value):
    """Replaces one ``;`` cell of one line (one-based)."""

    def change(file):
        lines = lines_of(file)
        cells = lines[line - 1].split(";")
        cells[column] = value
        lines[line - 1] = ";".join(cells)
        put(file, lines)

    return change


def loop(file):
    file.unlink()
    file.symlink_to(file.name)


def folder_loop(folder):
    shutil.rmtree(folder)
    folder.symlink_to(folder.name)


def copy_to(name):
    return lambda file: shutil.copy(file, file.with_name(name))


def column(position, value):
    def change(file):
        lines = [line.split(";") for line in lines_of(file)]
        for cells in lines[1:]:
            cells[position] = value
        put(file, [";".join(cells) for cells in lines])

    return change


def without_column(position):
    return lambda file: put(file, [";".join(np.delete(line.split(";"), position).tolist()) for line in lines_of(file)])


def data_row(offset, change):
    """Changes one row after ``@DATA``."""

    def edit(file):
        lines = lines_of(file)
        at = lines.index("@DATA") + 1 + offset
        lines[at] = change(lines[at])
        put(file, lines)

    return edit


RECOLA = {
    "missing label file": (AROUSAL, lambda f: f.unlink(), "P102"),
    "missing feature file": (ARFF, lambda f: f.unlink(), "P102"),
    "missing label folder": (ANNOTATION / "valence", shutil.rmtree, "valence"),
    "missing feature folder": (FEATURES, shutil.rmtree, "RECOLA-Video-features"),
    "no participants": (FEATURES, lambda f: [file.unlink() for file in f.iterdir()], "P16.arff"),
    "wrong separator": (AROUSAL, lambda f: f.write_text(f.read_text().replace(";", " ")), "P102.csv, line 1"),
    "text in numbers": (AROUSAL, cell(7, 2, "happy"), "P102.csv, line 7.*happy"),
    "infinite number": (VALENCE, cell(9, 1, "1e999"), "P102.csv, line 9"),
    "rater never rated": (VALENCE, column(3, "NaN"), "P102.csv.*FM3"),
    "missing rater column": (VALENCE, without_column(4), "P102.csv, line 1.*FF1"),
    "absurd rating": (VALENCE, cell(12, 5, "7.5"), "P102.csv, line 12.*7.5"),
    "short row": (AROUSAL, lambda f: put(f, [*lines_of(f), "4.04;0.1"]), "P102.csv, line 103"),
    "labels longer": (AROUSAL, lambda f: put(f, [*lines_of(f), "5;0;0;0;0;0;0"]), "P102"),
    "both labels longer": (ARFF, lambda f: put(f, lines_of(f)[:-2]), "P102.*found 101"),
    "labels shorter": (ARFF, lambda f: put(f, [*lines_of(f), *lines_of(f)[-2:]]), "P102.*found 101"),
    "time goes back": (AROUSAL, cell(30, 0, "0.01"), "P102.csv, line 30.*increase"),
    "time missing": (AROUSAL, cell(30, 0, ""), "P102.csv, line 30"),
    "valence has other times": (VALENCE, cell(102, 0, "4.5"), "P102.csv.*different times"),
    "another frame rate": (TIMING, column(0, "3"), "P102.csv.*increase"),
    "frame times in milliseconds": (
        TIMING,
        lambda f: put(f, ["time in seconds", *(str(40 * k + 4000) for k in range(100))]),
        "P102.csv.*far from any annotation",
    ),
    "too few frame times": (TIMING, lambda f: put(f, lines_of(f)[:-1]), "P102.csv.*found 99"),
    "empty file": (AROUSAL, lambda f: f.write_text(""), "P102.csv.*empty"),
    "header only": (AROUSAL, lambda f: put(f, lines_of(f)[:1]), "P102.csv.*no rows"),
    "two headers": (AROUSAL, lambda f: put(f, [lines_of(f)[0], *lines_of(f)]), "P102.csv, line 2"),
    "a column twice": (AROUSAL, cell(1, 2, "FM1"), "P102.csv, line 1.*FM1"),
    "wrong encoding": (AROUSAL, lambda f: f.write_bytes(f.read_bytes() + "é".encode("latin-1")), "P102.csv.*UTF-8"),
    "UTF-16": (AROUSAL, lambda f: f.write_text(f.read_text(), encoding="utf-16"), "P102.csv.*UTF-16"),
    "binary junk": (ARFF, lambda f: f.write_bytes(bytes(range(256)) * 9), "P102.arff"),
    "arff cut in a row": (ARFF, lambda f: f.write_text(f.read_text()[:-60]), "P102.arff"),
    "arff cut in the header": (ARFF, lambda f: f.write_text(f.read_text()[:90]), "P102.arff"),
    "arff without rows": (ARFF, lambda f: put(f, lines_of(f)[: lines_of(f).index("@DATA") + 1]), "P102.arff.*no data"),
    "text in arff": (ARFF, data_row(5, lambda row: row.replace(",", ",smile,", 1)), "P102.arff, line"),
    "feature never seen": (ARFF, lambda f: put(f, _blank_first(lines_of(f))), "P102.arff.*AU01"),
    "absurd scale": (ARFF, data_row(5, lambda row: "1e7" + row[row.index(",") :]), "P102.arff.*0-5"),
    "a feature renamed": (ARFF, lambda f: f.write_text(f.read_text().replace("_AU12 ", "_AU99 ")), "P102.arff.*AU12"),
    "no face feature": (
        FEATURES / "P101.arff",
        lambda f: f.write_text(f.read_text().replace("VIDEO_40_LLD_AU", "ComParE_")),
        "P101.arff.*VIDEO_40_LLD_AU1",
    ),
    "features twice": (ARFF, copy_to("P102.csv"), "P102.csv.*keep one"),
    "subject twice": (AROUSAL, copy_to("P0102.csv"), "P102.*keep one"),
    "metadata of somebody else": (METADATA, lambda f: f.write_text(f.read_text().replace("P102", "P92")), "P102"),
    "metadata lists a subject twice": (METADATA, lambda f: put(f, [*lines_of(f), lines_of(f)[2]]), "line 5.*P102"),
    "metadata without identifiers": (METADATA, cell(1, 0, "shoe size"), "line 1.*'id'"),
    "symlink loop": (AROUSAL, loop, "P102.csv"),
    "symlink loop of a folder": (FEATURES, folder_loop, "RECOLA-Video-features"),
    "a folder where a file belongs": (AROUSAL, lambda f: (f.unlink(), f.mkdir()), "P102.csv"),
}


def _blank_first(lines):
    at = lines.index("@DATA") + 1
    return [*lines[:at], *("?" + line[line.index(",") :] for line in lines[at:] if line)]


def expect_refusal(source, tmp_path, message, column_map=None, **options):
    before = sorted(path.name for path in tmp_path.iterdir())
    with pytest.raises(InputError, match=f"(?s){message}") as raised:
        convert(source, tmp_path / "cohort", SourceOptions(column_map, **options))
    assert raised.value.exit_code == 2
    assert raised.value.file is not None
    assert "\n" not in str(raised.value).strip()
    assert sorted(path.name for path in tmp_path.iterdir()) == before


@pytest.mark.parametrize("fault", RECOLA)
def test_broken_recola_folder(fault, pristine, tmp_path):
    folder = tmp_path / "recola"
    shutil.copytree(pristine, folder)
    place, damage, message = RECOLA[fault]
    damage(folder / place)
    expect_refusal(folder, tmp_path, message)


MAP = ColumnMap(
    subject="who",
    features=("AU01", "AU12"),
    labels={"valence": "v"},
    values={"valence": {"good": 1.0, "bad": -1.0}},
    order="t",
    groups={"gender": "sex"},
)


def good_table():
    return pd.DataFrame(
        {
            "who": ["a"] * 4 + ["b"] * 4,
            "t": [*range(4), *range(4)],
            "AU01": np.linspace(0, 4, 8),
            "AU12": 1.0,
            "v": ["good", "bad"] * 4,
            "sex": "x",
        }
    ).astype(object)


def at(row, name, value):
    def change(frame):
        frame.loc[row, name] = value
        return frame

    return change


TABLES = {
    "missing subject column": (lambda f: f.drop(columns="who"), "line 1.*'who' is missing"),
    "missing feature column": (lambda f: f.drop(columns="AU12"), "line 1.*'AU12' is missing"),
    "missing label column": (lambda f: f.drop(columns="v"), "line 1.*'v' is missing"),
    "missing group column": (lambda f: f.drop(columns="sex"), "line 1.*'sex' is missing"),
    "missing order column": (lambda f: f.drop(columns="t"), "line 1.*'t' is missing"),
    "text in a number": (at(2, "AU01", "much"), "line 4.*'AU01'.*much"),
    "decimal comma": (at(2, "AU01", "1,5"), "line 4.*1,5"),
    "unmapped label value": (at(5, "v", "so-so"), "line 7.*so-so"),
    "all features missing": (lambda f: f.assign(AU12=""), "subject a.*AU12"),
    "no label at all": (lambda f: f.assign(v="NA"), "subject a.*no frame is valid"),
    "intensity off the scale": (at(6, "AU01", 55), "subject b.*0-5"),
    "missing subject": (at(3, "who", ""), "line 5.*subject is missing"),
    "impossible subject": (at(3, "who", "../x"), "'../x' is no subject"),
    "time goes back": (at(6, "t", 0), "line 8.*increase"),
    "time missing": (at(6, "t", ""), "line 8.*increase"),
    "wrong step": (lambda f: f.assign(t=[*range(0, 40, 10)] * 2), "subject a.*frame rate"),
    "two groups": (at(6, "sex", "y"), "line 8.*subject b.*one group"),
    "no rows": (lambda f: f.iloc[:0], "no rows"),
    "subjects that differ by case": (lambda f: f.assign(who=["a"] * 4 + ["A"] * 4), "line 6.*differ by case"),
}


@pytest.mark.parametrize("fault", TABLES)
def test_broken_table(fault, tmp_path):
    damage, message = TABLES[fault]
    damage(good_table()).to_csv(tmp_path / "t.csv", index=False)
    expect_refusal(tmp_path / "t.csv", tmp_path, message, MAP)


def test_the_unbroken_sources_convert(pristine, tmp_path):
    good_table().to_csv(tmp_path / "t.csv", index=False)
    assert convert(tmp_path / "t.csv", tmp_path / "a", SourceOptions(MAP)).subjects == ("a", "b")
    assert len(convert(pristine, tmp_path / "b").subjects) == 3


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "empty"),
        (b"\x00\x01\x02" * 50, "UTF-8"),
        (b"\x89PNG\xff\xfe", "UTF-8"),
        (b"who;AU01\n\xe9;1\n", "line 2.*UTF-8"),
        (b'who,t,AU01,AU12,v,sex\n"a,0,1,1,good,x\n', "line 2"),
        (b"who,t,AU01,AU12,v,sex\na,0,1,1,good\n", "line 2.*6 cells"),
        (b"who,t,AU01,AU12,v,sex\na,0,1,1,good,x,9\n", "line 2.*6 cells"),
        (b"who,who,AU01,AU12,v,sex\na,0,1,1,good,x\n", "line 1.*'who'"),
    ],
    ids=["empty", "binary", "png", "latin-1", "quote", "short", "long", "twice"],
)
def test_broken_bytes(content, message, tmp_path):
    (tmp_path / "t.csv").write_bytes(content)
    expect_refusal(tmp_path / "t.csv", tmp_path, f"t.csv.*{message}", MAP)


def test_unknown_layouts(tmp_path):
    (tmp_path / "holiday").mkdir()
    (tmp_path / "loop").symlink_to("loop")
    for name in ("holiday", "nothing", "loop"):
        expect_refusal(tmp_path / name, tmp_path, f"{name}.*looked for")


def test_videos_are_sent_to_their_own_command(tmp_path):
    (tmp_path / "films").mkdir()
    (tmp_path / "films" / "anna.MP4").write_bytes(b"x")
    for place in (tmp_path / "films", tmp_path / "films" / "anna.MP4"):
        expect_refusal(place, tmp_path, "tff-affect data video")


def test_a_table_needs_a_map_and_a_cohort_needs_nothing(pristine, tmp_path):
    good_table().to_csv(tmp_path / "t.csv", index=False)
    expect_refusal(tmp_path / "t.csv", tmp_path, "clip_self_report")
    convert(pristine, tmp_path / "done")
    expect_refusal(tmp_path / "done", tmp_path, "cohort already")


def test_options_of_the_other_kind_of_source_are_refused(pristine, tmp_path):
    good_table().to_csv(tmp_path / "t.csv", index=False)
    expect_refusal(pristine, tmp_path, "column map is for generic tables.*recola", MAP)
    expect_refusal(tmp_path / "t.csv", tmp_path, "t.csv.*fusion is for sources with", MAP, fusion="ccc_centred")
    expect_refusal(tmp_path / "t.csv", tmp_path, "t.csv.*deltas are for RECOLA", MAP, deltas=True)
    options = SourceOptions(fusion="ccc_centred", deltas=True)
    assert len(convert(pristine, tmp_path / "r", options).subjects) == 3


def test_an_occupied_destination_is_kept(pristine, tmp_path):
    (tmp_path / "cohort").mkdir()
    (tmp_path / "cohort" / "thesis.txt").write_text("mine")
    expect_refusal(pristine, tmp_path, "not empty")
    assert (tmp_path / "cohort" / "thesis.txt").read_text() == "mine"
