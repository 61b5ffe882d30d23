"""What the driver knows of a cohort that lies with workers."""

from __future__ import annotations

import itertools
import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from sample_cohort import small_manifest

from tff_affect.cohort import Cohort, CohortManifest, SubjectEntry
from tff_affect.errors import InputError
from tff_affect.remote_cohort import RemoteCohort

HOSTS = Path("hosts.yaml")
ENTRIES = {
    name: SubjectEntry(name, partition, {"site": "a"}, 100 + number, "", f"{number:064x}")
    for number, (name, partition) in enumerate(
        [("P1", "train"), ("P2", "train"), ("P3", "development"), ("P10", "test")]
    )
}


def share(*names: str, **changes: Any) -> CohortManifest:
    return replace(small_manifest(), provenance={}, subjects=tuple(ENTRIES[name] for name in names), **changes)


def merged(**shares: CohortManifest) -> RemoteCohort:
    return RemoteCohort.merge(shares, HOSTS)


def test_shares_are_joined_and_holders_kept() -> None:
    cohort = merged(b=share("P3", "P1"), a=share("P2", "P10", "P1"))
    assert cohort.subjects == ("P1", "P10", "P2", "P3")
    assert cohort.holders == {"P1": ("a", "b"), "P10": ("a",), "P2": ("a",), "P3": ("b",)}
    assert cohort.entry("P3") == ENTRIES["P3"]
    assert (cohort.path, cohort.manifest.features) == (HOSTS, small_manifest().features)
    assert cohort.manifest.synthetic


def test_the_hash_of_the_content_does_not_depend_on_who_holds_what() -> None:
    names, found = tuple(ENTRIES), set()
    for cut in itertools.product("abc", repeat=len(names)):
        shares = {w: share(*[n for n, at in zip(names, cut, strict=True) if at == w]) for w in set(cut)}
        found.add(merged(**shares).content_sha256)
    found.add(merged(a=share(*names), b=share("P3", "P1"), c=share(*reversed(names))).content_sha256)
    # Nor is it another than that of the same cohort on this machine.
    found.add(Cohort(Path("."), share(*sorted(names))).content_sha256)
    assert len(found) == 1
    assert merged(a=share("P1", "P2")).content_sha256 not in found
    other = replace(share(*names), labels=("arousal", "dominance"))
    assert merged(a=other).content_sha256 not in found


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"features": ("AU01", "AU06", "AU15")}, "features"),
        ({"features": ("AU06", "AU01", "AU12")}, "features"),
        ({"feature_scale": "arbitrary"}, "feature scale: '0-5' and 'arbitrary'"),
        ({"frame_rate": 30.0}, "frame rate: 25.0 and 30.0"),
        ({"time_unit": "step", "frame_rate": 25.0}, "time unit: 'second' and 'step'"),
        ({"labels": ("arousal",)}, "labels"),
        ({"synthetic": False}, "whether the data are SYNTHETIC: True and False"),
    ],
)
def test_workers_that_do_not_agree_are_named_with_what_differs(changes: Mapping[str, Any], words: str) -> None:
    with pytest.raises(InputError) as error:
        merged(a=share("P1"), b=share("P2"), c=share("P3", **changes))
    assert str(error.value).startswith(
        f"hosts.yaml: expected workers a and c to agree, found that they differ in {words}"
    )


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"sha256": "f" * 64}, "table"),
        ({"frames": 7}, "number of frames: 101 and 7"),
        ({"partition": "test"}, "partition: 'train' and 'test'"),
        ({"groups": {}}, "groups"),
    ],
)
def test_a_subject_is_the_same_everywhere(changes: Mapping[str, Any], words: str) -> None:
    other = replace(share(), subjects=(replace(ENTRIES["P2"], **changes),))
    with pytest.raises(InputError) as error:
        merged(a=share("P1"), b=share("P2"), c=other)
    said = f"hosts.yaml, subject P2: expected workers b and c to agree, found that they differ in {words}"
    assert str(error.value).startswith(said)


def test_names_are_joined_and_subjects_that_differ_in_case_are_refused() -> None:
    assert merged(a=share("P1", name="one"), b=share("P2", name="two")).manifest.name == "one + two"
    assert merged(a=share("P1"), b=share("P2")).manifest.name == small_manifest().name
    lower = replace(share(), subjects=(replace(ENTRIES["P1"], subject="p1"),))
    with pytest.raises(InputError, match="the subject is listed twice"):
        merged(a=share("P1"), b=lower)
    with pytest.raises(InputError, match=r"hosts\.yaml: expected at least one worker"):
        merged()


def test_it_is_the_same_after_it_was_kept() -> None:
    cohort = merged(a=share("P1", "P2"), b=share("P2", "P10"))
    again = RemoteCohort.from_json(json.loads(json.dumps(cohort.to_json())), Path("kept.json"))
    assert (again.manifest, again.holders) == (cohort.manifest, cohort.holders)
    assert (again.subjects, again.content_sha256) == (cohort.subjects, cohort.content_sha256)


@pytest.mark.parametrize(
    "change",
    [
        lambda kept: kept.pop("catalog"),
        lambda kept: kept.pop("holders"),
        lambda kept: kept["holders"].pop("P1"),
        lambda kept: kept["holders"].update(P7=["a"]),
        lambda kept: kept["holders"].update(P1=[]),
        lambda kept: kept["holders"].update(P1="a"),
        lambda kept: kept["holders"].update(P1=[1]),
        lambda kept: kept["catalog"].update(labels="arousal"),
    ],
)
def test_what_was_kept_and_damaged_is_refused(change: Any) -> None:
    kept = merged(a=share("P1", "P2")).to_json()
    change(kept)
    with pytest.raises(InputError, match=r"^kept\.json: "):
        RemoteCohort.from_json(kept, Path("kept.json"))
    with pytest.raises(InputError, match=r"^kept\.json: expected a kept cohort"):
        RemoteCohort.from_json([], Path("kept.json"))


def test_tables_are_not_read_here() -> None:
    cohort = merged(a=share("P1"), b=share("P1", "P2"))
    with pytest.raises(InputError, match=r"subject P1: expected a table on this machine, found it with a, b"):
        cohort.load("P1")
    with pytest.raises(InputError, match=r"hosts\.yaml, subject P9: no worker holds this subject"):
        cohort.entry("P9")
