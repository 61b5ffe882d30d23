import csv
import io

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sample_au_tables import openface

from data_prep.files import wide_csv
from data_prep.files.wide_csv import line_of_row, read_columns, read_header
from tff_affect.errors import InputError


@pytest.fixture
def strict_reads(monkeypatch):
    """Counts the reads of the slow path."""
    calls = []
    slow = wide_csv.read_delimited
    monkeypatch.setattr(wide_csv, "read_delimited", lambda file: calls.append(file) or slow(file))
    return calls


def put(tmp_path, content):
    file = tmp_path / "P1.csv"
    file.write_bytes(content.encode() if isinstance(content, str) else content)
    return file


def test_fast_path_equals_pandas(tmp_path, strict_reads):
    table = openface(frames=40, everything=True)
    assert len(table.columns) == 714
    file = tmp_path / "P1.csv"
    table.to_csv(file, index=False)
    found = read_columns(file, ["frame", "AU12_r", "AU45_r"])
    for name, values in found.items():
        np.testing.assert_array_equal(values, pd.read_csv(file, usecols=[name])[name].to_numpy(np.float64))
        assert values.dtype == np.float64
    assert not strict_reads


@pytest.mark.parametrize("end", ["\n", "\r\n", ""])
@pytest.mark.parametrize("start", ["", "\ufeff", "\n\n", "\r\n"])
@pytest.mark.parametrize("separator", [",", ";", "\t", ", "])
def test_dialects_of_csv(tmp_path, strict_reads, separator, start, end):
    rows = [["frame", "AU01_r", ""], ["1", "0.5", "x"], ["2", "nan", "y"]]
    file = put(tmp_path, start + (end or "\n").join(separator.join(row) for row in rows) + end)
    assert read_header(file) == ("frame", "AU01_r", "")
    found = read_columns(file, ["AU01_r", "frame"])
    np.testing.assert_array_equal(found["frame"], [1, 2])
    np.testing.assert_array_equal(found["AU01_r"], [0.5, np.nan])
    assert not strict_reads


@pytest.mark.parametrize("text", ["nan", "NaN", "-nan", "-nan(ind)", "1.#QNAN", "NA", "", "null", "-1.#IND", "n/a"])
@pytest.mark.parametrize("blank", ["", " "])
def test_missing_values(tmp_path, text, blank):
    found = read_columns(put(tmp_path, f"a,{blank}b\n1,{blank}{text}\n2,{blank}3\n"), ["b"])["b"]
    np.testing.assert_array_equal(found, [np.nan, 3])


def test_quoted_cells_take_the_strict_path(tmp_path, strict_reads):
    file = put(tmp_path, 'input,"AU01"\n"a, b.mp4",0.5\n"c.mp4",0.25\n')
    np.testing.assert_array_equal(read_columns(file, ["AU01"])["AU01"], [0.5, 0.25])
    assert len(strict_reads) == 1


def test_text_in_columns_that_are_not_read_is_nobodys_business(tmp_path, strict_reads):
    file = put(tmp_path, "a,path\n1,C:\\Vid\xe9o\n".encode("latin-1"))
    np.testing.assert_array_equal(read_columns(file, ["a"])["a"], [1])
    assert not strict_reads


BROKEN = {
    "ragged row": (b"a,b\n1,2\n3\n", "line 3: expected 2 cells"),
    "row too long": (b"a,b\n1,2,3\n", "line 2: expected 2 cells"),
    "truncated last row": (b"a,b,c\n1,2,3\n4,5", "line 3"),
    "text in a number": (b"a,b\n1,2\nhappy,2\n", "line 3.*happy"),
    "two headers": (b"a,b\n1,2\na,b\n3,4\n", "line 3.*'a'"),
    "infinite": (b"a,b\n1,2\n-inf,2\n", "line 3.*-inf"),
    "overflow": (b"a,b\n\n1,2\n\n1e999,2\n", "line 5.*1e999"),
    "hexadecimal": (b"a,b\n0x1A,2\n", "line 2.*0x1A"),
    "binary": (bytes(range(256)) * 9, "binary"),
    "UTF-16": ("a,b\n1,2\n".encode("utf-16"), "UTF-16"),
    "latin-1 header": ("a,\xe9\n1,2\n".encode("latin-1"), "line 1: expected UTF-8"),
    "latin-1 cell": ("a,b\n1,2\n\xe9,2\n".encode("latin-1"), "line 3: expected UTF-8"),
    "empty": (b"", "the file is empty"),
    "blank": (b" \n\n", "the file is empty"),
    "only a mark": (b"\xef\xbb\xbf\n", "column names"),
    "header alone": (b"a,b\n", "no rows"),
    "a column twice": (b"a,b,a\n1,2,3\n", "line 1: column 'a' is named more than once"),
    "no such column": (b"b,c\n1,2\n", "line 1: column 'a' is missing; found b, c"),
    "open quote": (b'a,b\n1,"2\n3,4\n5,6\n', "P1.csv"),
}


@pytest.mark.parametrize("case", BROKEN)
def test_broken_files_are_named_with_their_line(tmp_path, case):
    content, message = BROKEN[case]
    file = put(tmp_path, content)
    with pytest.raises(InputError, match=message) as caught:
        read_columns(file, ["a", "b"])
    assert caught.value.file == str(file)


def test_missing_file_and_loop(tmp_path):
    loop = tmp_path / "P2.csv"
    loop.symlink_to(loop.name)
    for file in (tmp_path / "P1.csv", loop, tmp_path):
        with pytest.raises(InputError, match="cannot read the file"):
            read_header(file)


def test_line_of_row_counts_what_holds_no_row(tmp_path):
    file = put(tmp_path, "\na,b\n\n1,2\n\n\n3,4\n")
    assert [line_of_row(file, row) for row in range(3)] == [4, 7, None]


cells = st.one_of(st.just("nan"), st.floats(-1e6, 1e6, allow_nan=False).map(str), st.integers(-99, 99).map(str))


@settings(max_examples=40, deadline=None)
@given(
    rows=st.lists(st.tuples(cells, cells, cells), min_size=1, max_size=8),
    separator=st.sampled_from(",;\t"),
    blanks=st.integers(0, 2),
    gaps=st.sets(st.integers(0, 7)),
)
def test_any_numbers_come_back(tmp_path_factory, rows, separator, blanks, gaps):
    text = io.StringIO()
    writer = csv.writer(text, delimiter=separator)
    writer.writerow([" " * blanks + name for name in "abc"])
    for position, row in enumerate(rows):
        writer.writerow([" " * blanks + cell for cell in row])
        text.write("\r\n" if position in gaps else "")
    file = put(tmp_path_factory.mktemp("csv"), text.getvalue())
    found = read_columns(file, ["c", "a"])
    np.testing.assert_array_equal(found["a"], [float(row[0]) for row in rows])
    np.testing.assert_array_equal(found["c"], [float(row[2]) for row in rows])
