"""A catalogue that somebody sent is checked as a manifest is."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sample_cohort import small_manifest

from tff_affect.cohort import SubjectEntry
from tff_affect.cohort_catalog import catalog, catalog_content, catalog_text
from tff_affect.errors import InputError

ENTRY = SubjectEntry("P1", "train", {"gender": "female"}, 200, "subjects/P1.parquet", "0" * 64, {"kept": 1})


def content(**changes: Any) -> dict[str, Any]:
    entries = (ENTRY, replace(ENTRY, subject="P2", file="subjects/P2.parquet"))
    return catalog_content(replace(small_manifest(), subjects=entries)) | changes


def with_entry(**changes: Any) -> dict[str, Any]:
    return content(subjects=[content()["subjects"][0] | changes])


def without(key: str) -> dict[str, Any]:
    return {name: value for name, value in content().items() if name != key}


def test_it_says_what_the_manifest_does_without_provenance_quality_and_files() -> None:
    manifest = replace(small_manifest(), subjects=(ENTRY,))
    expected = replace(manifest, provenance={}, subjects=(replace(ENTRY, file="", quality={}),))
    assert catalog(catalog_text(manifest), "a worker") == expected
    assert catalog(catalog_text(manifest).encode(), "a worker") == expected
    assert catalog_text(expected) == catalog_text(manifest)


@pytest.mark.parametrize(
    ("sent", "reason"),
    [
        (
            content(format="tff_affect catalog 0"),
            "expected format 'tff_affect catalog 1', found 'tff_affect catalog 0'",
        ),
        (without("format"), "expected format"),
        (without("labels"), "the entry 'labels' is missing"),
        (without("subjects"), "expected a list of subjects"),
        (content(subjects={}), "expected a list of subjects"),
        (content(subjects=[]), "expected at least one subject"),
        (content(subjects=["P1"]), "an entry has the wrong type"),
        (content(synthetic="no"), "an entry has the wrong type"),
        (content(frame_rate=float("nan")), "expected a frame rate"),
        (content(frame_rate=10**400), "an entry has the wrong type"),
        (content(feature_scale="0-6"), "expected a feature scale"),
        (content(features=["AU01", "AU01"]), "named more than once"),
        (content(subjects=[*content()["subjects"], content()["subjects"][0]]), "the subject is listed twice"),
        (with_entry(subject="../P1"), "is no subject identifier"),
        (with_entry(partition="all"), "expected a partition"),
        (with_entry(frames=0), "expected at least one frame, found 0"),
        (with_entry(frames=-5), "expected at least one frame"),
        (with_entry(frames=10**400), "expected at most 2147483648 frames, found more"),
        (content(labels=["arousal", "v\n=cmd,x"]), "expected a plain name"),
        (content(name='a "name"'), "expected a plain name"),
        (with_entry(sha256="z" * 64), "expected a SHA-256"),
        (with_entry(sha256=""), "expected a SHA-256"),
        ([content()], "found no JSON object"),
    ],
)
def test_what_is_wrong_is_named_with_its_source(sent: Any, reason: str) -> None:
    with pytest.raises(InputError, match=r"^the catalogue of a worker") as error:
        catalog(json.dumps(sent), "the catalogue of a worker")
    assert reason in str(error.value)


@pytest.mark.parametrize("text", ["", "{", "[" * 100_000, b"\xff\xfe", b"\xc3("])
def test_what_is_no_json_is_refused(text: str | bytes) -> None:
    with pytest.raises(InputError, match="a worker: expected a catalogue, found no valid JSON"):
        catalog(text, "a worker")


ANY = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
)


@given(st.sampled_from(sorted(content())), ANY)
def test_nothing_but_a_manifest_or_a_clear_error_comes_of_any_json(key: str, sent: Any) -> None:
    for changed in (content(**{key: sent}), with_entry(**{key: sent, "groups": sent}), with_entry(frames=sent)):
        try:
            found = catalog(json.dumps(changed), "a worker")
        except InputError:
            continue
        assert catalog(catalog_text(found), "again") == found
