"""The cohort on disk: what is damaged is refused, and the message says where."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sample_cohort import FRAME_RATE

from tff_affect import cohort as cohort_module
from tff_affect.cohort import Cohort, file_sha256
from tff_affect.errors import InputError

WriteSmall = Callable[[], Cohort]
SUBJECT = "P2"


def edit_json(path: Path, change: Callable[[dict[str, Any]], Any]) -> None:
    file = path / "cohort.json"
    content = json.loads(file.read_text())
    change(content)
    file.write_text(json.dumps(content))


def subject_json(path: Path, **changes: Any) -> None:
    edit_json(path, lambda content: content["subjects"][1].update(changes))


def manifest_json(**changes: Any) -> Callable[[Path], None]:
    return lambda path: edit_json(path, lambda content: content.update(changes))


def entry_json(**changes: Any) -> Callable[[Path], None]:
    return lambda path: subject_json(path, **changes)


def without(*keys: str) -> Callable[[Path], None]:
    def change(path: Path) -> None:
        edit_json(path, lambda content: [content.pop(key) for key in keys])

    return change


def text_json(text: str | bytes) -> Callable[[Path], None]:
    content = text if isinstance(text, bytes) else text.encode()
    return lambda path: (path / "cohort.json").write_bytes(content) and None


def sign(path: Path) -> None:
    """Makes the manifest's hash agree with the damaged table, so that the content itself is judged."""
    subject_json(path, sha256=file_sha256(path / "subjects" / f"{SUBJECT}.parquet"))


def damage_bytes(change: Callable[[bytes], bytes]) -> Callable[[Path], None]:
    def apply(path: Path) -> None:
        file = path / "subjects" / f"{SUBJECT}.parquet"
        file.write_bytes(change(file.read_bytes()))
        sign(path)

    return apply


def damage_table(change: Callable[[pd.DataFrame], pd.DataFrame | None]) -> Callable[[Path], None]:
    """``change`` edits the table in place or returns a new one."""

    def apply(path: Path) -> None:
        file = path / "subjects" / f"{SUBJECT}.parquet"
        frame = pd.read_parquet(file)
        changed = change(frame)
        (frame if changed is None else changed).to_parquet(file)
        sign(path)

    return apply


def put(column: str, row: int | slice, value: object) -> Callable[[Path], None]:
    def change(frame: pd.DataFrame) -> None:
        frame.iloc[row, frame.columns.get_loc(column)] = value

    return damage_table(change)


def double_column(path: Path) -> None:
    file = path / "subjects" / f"{SUBJECT}.parquet"
    table = pq.read_table(file)
    pq.write_table(table.append_column("AU01", table["AU01"]), file)
    sign(path)


def link_out(path: Path) -> None:
    outside = path.parent / "outside.parquet"
    file = path / "subjects" / f"{SUBJECT}.parquet"
    file.rename(outside)
    file.symlink_to(outside)


def link_loop(path: Path) -> None:
    file = path / "subjects" / f"{SUBJECT}.parquet"
    file.unlink()
    file.symlink_to(file.name)


def repeat_subject(path: Path) -> None:
    edit_json(
        path, lambda content: content["subjects"].append({**content["subjects"][1], "file": "subjects/x.parquet"})
    )


OF_MANIFEST: dict[str, tuple[Callable[[Path], Any], str]] = {
    "no manifest": (lambda path: (path / "cohort.json").unlink(), "not a cohort"),
    "manifest is a folder": (lambda p: ((p / "cohort.json").unlink(), (p / "cohort.json").mkdir()), "not a cohort"),
    "not JSON": (text_json('{"format": '), "not valid JSON"),
    "not UTF-8": (text_json(b'{"name": "\xff"}'), "UTF-8"),
    "JSON too deep": (text_json("[" * 200_000), "cannot be read"),
    "JSON number too long": (text_json('{"frame_rate": ' + "9" * 5000 + "}"), "cannot be read"),
    "a list": (text_json("[1, 2]"), "expected a JSON object, found a list"),
    "wrong format": (manifest_json(format="tff_affect cohort 99"), "expected format"),
    "no format": (without("format"), "expected format"),
    "no features entry": (without("features"), "'features' is missing"),
    "no subjects entry": (without("subjects"), "'subjects' is missing"),
    "no subject": (manifest_json(subjects=[]), "at least one subject"),
    "subjects as a mapping": (manifest_json(subjects={"P1": 1}), "wrong type"),
    "subjects as null": (manifest_json(subjects=None), "wrong type"),
    "features as text": (manifest_json(features="AU01"), "wrong type"),
    "a feature that is a number": (manifest_json(features=["AU01", 6, "AU12"]), "wrong type"),
    "a name that cannot be written": (manifest_json(name="\ud800"), "wrong type"),
    "an empty name": (manifest_json(name=" "), "cohort name"),
    "synthetic as text": (manifest_json(synthetic="yes"), "wrong type"),
    "rate as text": (manifest_json(frame_rate="25"), "wrong type"),
    "rate as true": (manifest_json(frame_rate=True), "wrong type"),
    "rate too large for a float": (manifest_json(frame_rate=10**400), "wrong type"),
    "rate of nought": (manifest_json(frame_rate=0), "frame rate above 0"),
    "rate not a number": (manifest_json(frame_rate=float("nan")), "frame rate above 0"),
    "unknown scale": (manifest_json(feature_scale="0-10"), "feature scale among"),
    "unknown time unit": (manifest_json(time_unit="minute"), "time unit among"),
    "no feature": (manifest_json(features=[]), "at least one feature"),
    "a label dropped": (manifest_json(labels=[]), "'arousal' is not in the manifest"),
    "a column named twice": (manifest_json(labels=["valence", "AU01"]), "more than once"),
    "a reserved column": (manifest_json(features=["time", "AU06", "AU12"]), "cannot name a column"),
    "bad identifier": (entry_json(subject="../P2"), "no subject identifier"),
    "identifier too long": (entry_json(subject="P" * 65), "no subject identifier"),
    "entry as text": (manifest_json(subjects=["P1"]), "wrong type"),
    "frames as text": (entry_json(frames="200"), "wrong type"),
    "groups as a list": (entry_json(groups=["female"]), "wrong type"),
}

OF_SUBJECT: dict[str, tuple[Callable[[Path], Any], str]] = {
    "listed twice": (repeat_subject, "listed twice"),
    "listed twice but for case": (entry_json(subject="p1"), "listed twice"),
    "the table of another": (entry_json(file="subjects/P1.parquet"), "another subject's table"),
    "unknown partition": (entry_json(partition="training"), "partition among"),
    "climbs out": (entry_json(file="../outside.parquet"), "inside the cohort"),
    "climbs out in the middle": (entry_json(file="subjects/../../x.parquet"), "inside the cohort"),
    "absolute": (entry_json(file="/etc/passwd"), "inside the cohort"),
    "backslashes": (entry_json(file="..\\outside.parquet"), "inside the cohort"),
    "no file named": (entry_json(file=""), "inside the cohort"),
    "a nought in the name": (entry_json(file="subjects/\0"), "leads out"),
    "name too long": (entry_json(file="x" * 300), "cannot read"),
    "a link out": (link_out, "through a link"),
    "a link to itself": (link_loop, "leads out|missing|cannot read"),
    "table is gone": (lambda path: (path / "subjects/P2.parquet").unlink(), "table is missing"),
    "table is a folder": (entry_json(file="subjects"), "table is missing"),
    "altered": (lambda path: (path / "subjects/P2.parquet").write_bytes(b"x"), "was altered"),
    "wrong hash": (entry_json(sha256="0" * 64), "was altered"),
    "truncated": (damage_bytes(lambda data: data[: len(data) // 2]), "not a readable Parquet"),
    "empty file": (damage_bytes(lambda data: b""), "not a readable Parquet"),
    "not Parquet": (damage_bytes(lambda data: b"time,AU01\n0,1\n"), "not a readable Parquet"),
    "garbled within": (damage_bytes(lambda data: data[:8] + bytes(200) + data[208:]), "not a readable Parquet"),
    "missing column": (damage_table(lambda frame: frame.drop(columns="AU06")), "'AU06' is missing"),
    "missing time": (damage_table(lambda frame: frame.drop(columns="time")), "'time' is missing"),
    "extra column": (damage_table(lambda frame: frame.assign(image="a.png")), "'image' is not in the manifest"),
    "column twice": (double_column, "'AU01' is there more than once"),
    "text column": (damage_table(lambda frame: frame.assign(AU06="1.5")), "expected numbers in column 'AU06'"),
    "valid as numbers": (damage_table(lambda frame: frame.assign(valid=1.0)), "true/false in column 'valid'"),
    "all missing": (put("AU12", slice(None), np.nan), "'AU12' is missing in every frame"),
    "infinite feature": (put("AU01", 3, np.inf), "'AU01' holds an infinite value"),
    "infinite label": (put("valence", 3, -np.inf), "'valence' holds an infinite value"),
    "beyond 32 bits": (damage_table(lambda frame: frame.assign(AU01=1e300)), "'AU01' holds an infinite value"),
    "time stands still": (put("time", 10, 9 / FRAME_RATE), "does not increase at frame 10"),
    "time runs back": (put("time", 10, 0.0), "does not increase at frame 10"),
    "time missing": (put("time", 10, np.nan), "'time' has missing values"),
    "another frame rate": (damage_table(lambda frame: frame.assign(time=frame["time"] * 2)), "frame rate of 25"),
    "absurd feature": (put("AU01", 7, 80.0), "'AU01' spans .* outside the scale 0-5"),
    "negative feature": (put("AU01", 7, -1.0), "'AU01' spans -1 .* outside the scale 0-5"),
    "absurd label": (put("arousal", 7, 1e6), "'arousal' reaches 1e"),
    "valid on a missing value": (put("valid", slice(None), True), "is marked valid but has missing values"),
    "no valid frame": (put("valid", slice(None), False), "no frame is valid"),
    "empty table": (damage_table(lambda frame: frame.iloc[:0]), "expected 200 frames|empty table"),
    "frames differ": (damage_table(lambda frame: frame.iloc[:150]), "expected 200 frames .* found 150"),
}


@pytest.mark.filterwarnings("ignore:overflow encountered in cast")
@pytest.mark.parametrize("case", OF_MANIFEST)
def test_a_damaged_manifest_is_refused(case: str, write_small: WriteSmall) -> None:
    path = write_small().path
    damage, reason = OF_MANIFEST[case]
    damage(path)
    with pytest.raises(InputError, match=reason) as caught:
        Cohort.open(path)
    assert str(caught.value.file).startswith(str(path))
    assert str(path) in str(caught.value)


@pytest.mark.filterwarnings("ignore:overflow encountered in cast")
@pytest.mark.parametrize("case", OF_SUBJECT)
def test_a_damaged_subject_is_refused_by_name(case: str, write_small: WriteSmall) -> None:
    path = write_small().path
    damage, reason = OF_SUBJECT[case]
    damage(path)
    with pytest.raises(InputError, match=reason) as caught:
        Cohort.open(path)
    assert caught.value.subject in {SUBJECT, "p1"}
    assert str(path) in str(caught.value)
    assert f"subject {caught.value.subject}" in str(caught.value)


def test_the_line_of_broken_json_is_named(write_small: WriteSmall) -> None:
    path = write_small().path
    (path / "cohort.json").write_text('{\n"name": "x",\n"format" 1}')
    with pytest.raises(InputError) as caught:
        Cohort.open(path)
    assert caught.value.line == 3


def test_every_subject_is_judged_on_opening_unless_told_not_to(write_small: WriteSmall) -> None:
    path = write_small().path
    (path / "subjects/P4.parquet").unlink()
    with pytest.raises(InputError, match="P4"):
        Cohort.open(path)
    lazy = Cohort.open(path, verify=False)
    assert lazy.load("P1").frames == 200
    with pytest.raises(InputError, match="table is missing"):
        lazy.load("P4")


@pytest.mark.parametrize("path", ["nowhere", "x" * 300, "nul\0byte"])
def test_no_folder_is_no_cohort(tmp_path: Path, path: str) -> None:
    with pytest.raises(InputError):
        Cohort.open(tmp_path / path)


def test_an_unknown_subject_is_named(small_cohort: Cohort) -> None:
    with pytest.raises(InputError, match="subject P9: the cohort has no such subject"):
        small_cohort.load("P9")


def test_an_unreadable_table_is_refused(write_small: WriteSmall, monkeypatch: pytest.MonkeyPatch) -> None:
    def denied(path: Path) -> str:
        raise PermissionError(13, "Permission denied", str(path))

    cohort = write_small()
    monkeypatch.setattr(cohort_module, "file_sha256", denied)
    with pytest.raises(InputError, match="Permission denied"):
        cohort.load(SUBJECT)


@given(data=st.data())
def test_no_flipped_byte_of_a_table_is_read_as_something_else(small_cohort: Cohort, data: st.DataObject) -> None:
    source = small_cohort.path / "subjects/P1.parquet"
    content = bytearray(source.read_bytes())
    position = data.draw(st.integers(0, len(content) - 1))
    content[position] ^= data.draw(st.integers(1, 255))
    other = source.parent / "flipped"
    other.write_bytes(content)
    try:
        entry = replace(small_cohort.entry("P1"), file="subjects/flipped")
        with pytest.raises(InputError, match="altered"):
            Cohort(small_cohort.path, replace(small_cohort.manifest, subjects=(entry,))).load("P1")
    finally:
        other.unlink()
