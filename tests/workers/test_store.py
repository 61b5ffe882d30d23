"""The store of a worker: what is in it, what is left out, and what of it others may know."""

from __future__ import annotations

import ast
import json
import logging
import subprocess
import sys
import zlib
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sample_store import FRAMES, uneven_cohort

from tff_affect.cohort import Cohort
from tff_affect.cohort_catalog import CATALOG, catalog
from tff_affect.errors import InputError, RunError
from tff_affect.workers import store
from tff_affect.workers.store import build_store, check_of, packed


@pytest.fixture(scope="module")
def cohort(tmp_path_factory: pytest.TempPathFactory) -> Cohort:
    return uneven_cohort(tmp_path_factory.mktemp("cohorts") / "uneven")


def test_a_file_holds_the_raw_table_and_the_subjects_own_moments(cohort: Cohort, tmp_path: Path) -> None:
    build_store(cohort.path, tmp_path / "store")
    for subject, frames in FRAMES.items():
        content, table = (tmp_path / "store" / f"{subject}.f32").read_bytes(), cohort.load(subject)
        assert len(content) == 4 * (1 + 4 * 3 + frames * 6 + 1)
        assert int.from_bytes(content[:4], "little") == frames
        mean, deviation = np.frombuffer(content[4:52], "<f8").reshape(2, 3)
        trusted = table.features[table.trusted].astype(np.float64)
        np.testing.assert_allclose(mean, trusted.mean(axis=0), rtol=1e-12)
        constant = trusted.std(axis=0) < 1e-8
        assert constant.any() == (subject == "P2")
        np.testing.assert_allclose(deviation, np.where(constant, 1.0, trusted.std(axis=0)), rtol=1e-12)
        rows = np.frombuffer(content[52:-4], "<f4").reshape(frames, 6)
        np.testing.assert_array_equal(rows[:, :3], table.features)
        np.testing.assert_array_equal(rows[:, 3:5], table.labels)
        np.testing.assert_array_equal(rows[:, 5], table.trusted)
        words = [int.from_bytes(content[i : i + 4], "little") for i in range(0, len(content), 4)]
        assert words[-1] == sum(w * (2 * i + 1) for i, w in enumerate(words[:-1])) % 2**32


def test_the_catalogue_tells_what_a_study_needs_and_nothing_else(cohort: Cohort, tmp_path: Path) -> None:
    manifest = build_store(cohort.path, tmp_path / "store")
    text = (tmp_path / "store" / CATALOG).read_text(encoding="utf-8")
    assert catalog(text, "a worker") == manifest
    content = json.loads(text)
    assert set(content) == {
        "format", "name", "features", "feature_scale", "frame_rate", "time_unit", "labels", "synthetic", "subjects",
    }  # fmt: skip
    assert all(set(s) == {"subject", "partition", "groups", "frames", "sha256"} for s in content["subjects"])
    for hidden in ("parquet", "generator", "of no concern", "without a face", str(tmp_path)):
        assert hidden not in text
    assert {e.subject: e.frames for e in manifest.subjects} == FRAMES
    for entry in manifest.subjects:
        known = cohort.entry(entry.subject)
        assert (entry.partition, dict(entry.groups), entry.sha256) == (known.partition, known.groups, known.sha256)
    assert (manifest.features, manifest.labels) == (cohort.manifest.features, cohort.manifest.labels)
    assert manifest.synthetic


def test_a_damaged_or_missing_table_is_left_out_and_named(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    cohort = uneven_cohort(tmp_path / "cohort")
    table = cohort.path / "subjects" / "P2.parquet"
    content = bytearray(table.read_bytes())
    content[len(content) // 2] ^= 1
    table.write_bytes(content)
    (cohort.path / "subjects" / "P3.parquet").unlink()
    with caplog.at_level(logging.WARNING):
        manifest = build_store(cohort.path, tmp_path / "store")
    assert [e.subject for e in manifest.subjects] == ["P1", "P10"]
    assert sorted(f.name for f in (tmp_path / "store").iterdir()) == ["P1.f32", "P10.f32", CATALOG]
    said = [record.getMessage() for record in caplog.records]
    assert len(said) == 2
    assert "subject P2: the file was altered" in said[0]
    assert "subject P3: the subject's table is missing" in said[1]
    for name in ("P1", "P10"):
        (cohort.path / "subjects" / f"{name}.parquet").unlink()
    with pytest.raises(InputError, match="expected a subject whose table can be read, found none"):
        build_store(cohort.path, tmp_path / "store")
    assert list((tmp_path / "store").iterdir()) == []


def test_a_share_holds_its_subjects_and_nothing_of_an_earlier_store(cohort: Cohort, tmp_path: Path) -> None:
    build_store(cohort.path, tmp_path)
    manifest = build_store(cohort.path, tmp_path, ["P10", "P1", "P10"])
    assert [e.subject for e in manifest.subjects] == ["P10", "P1"]
    assert sorted(f.name for f in tmp_path.iterdir()) == ["P1.f32", "P10.f32", CATALOG]
    with pytest.raises(InputError, match="subject P4: the cohort has no such subject"):
        build_store(cohort.path, tmp_path, ["P1", "P4"])
    assert catalog((tmp_path / CATALOG).read_bytes(), "") == manifest


def test_without_its_catalogue_there_is_no_store(
    cohort: Cohort, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    build_store(cohort.path, tmp_path)
    monkeypatch.setattr(store, "packed", lambda table: (_ for _ in ()).throw(OSError(28, "No space left on device")))
    with pytest.raises(RunError, match="cannot write the worker's store: No space left"):
        build_store(cohort.path, tmp_path)
    assert not (tmp_path / CATALOG).exists()


@pytest.mark.parametrize("subject", ["P2", "P3"])
def test_the_check_tells_every_flipped_bit(cohort: Cohort, subject: str) -> None:
    content = packed(cohort.load(subject))[:-4]
    right = check_of(content)
    # By linearity: a flip of bit b of word i adds or takes 2**b (2 i + 1).
    step = max(1, len(content) // 150)
    for place in [*range(0, 64), *range(64, len(content), step)]:
        for bit in range(8):
            flipped = bytearray(content)
            flipped[place] ^= 1 << bit
            assert check_of(bytes(flipped)) != right


@given(st.binary(min_size=4, max_size=400).map(lambda b: b[: len(b) // 4 * 4]))
def test_the_check_is_that_of_its_definition(content: bytes) -> None:
    words = [int.from_bytes(content[i : i + 4], "little") for i in range(0, len(content), 4)]
    assert check_of(content) == sum(w * (2 * i + 1) for i, w in enumerate(words)) % 2**32


def test_words_that_change_places_are_told(cohort: Cohort) -> None:
    content = packed(cohort.load("P3"))[:-4]
    swapped = content[:52] + content[56:60] + content[52:56] + content[60:]
    assert zlib.crc32(swapped) != zlib.crc32(content)
    assert check_of(swapped) != check_of(content)


def test_a_store_is_built_without_tensorflow() -> None:
    code = "import sys, tff_affect.workers.store; sys.exit(any(n.split('.')[0] == 'tensorflow' for n in sys.modules))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_only_what_knows_the_cohort_is_used() -> None:
    allowed = ("cohort", "config", "errors", "atomic", "staging", "progress", "scaling", "workers")
    names = [
        node.module
        for node in ast.walk(ast.parse(Path(store.__file__).read_text(encoding="utf-8")))
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("tff_affect.")
    ]
    assert names
    assert all(name.split(".")[1].startswith(allowed) for name in names)
