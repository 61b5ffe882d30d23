"""Weights and a description come back as they were, and whatever is damaged or not numbers is refused in one line."""

from __future__ import annotations

import hashlib
import io
import json
import pickle
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tff_affect.errors import InputError
from tff_affect.saved_weights import WEIGHTS, SavedKind, Weights

KIND = SavedKind("reader", "reader.json", 3, "'read train'")


class Network:
    """What is saved of one."""

    def __init__(self, *weights: np.ndarray) -> None:
        self._weights = list(weights)

    def get_weights(self) -> list[np.ndarray]:
        """In its order."""
        return self._weights


RNG = np.random.default_rng(0)
NETWORKS = {
    "head": Network(*(RNG.random((2, 3), np.float32) + place for place in range(12))),
    "body": Network(np.float32(4), np.zeros((0, 2), np.float32), np.arange(3)),
}
DESCRIPTION = {"config": {"rate": 0.1, "sides": (3, 4)}, "facts": {"people": 3, "näme": None}}


def both(content: Mapping[str, Any], weights: Weights) -> tuple[Mapping[str, Any], Weights]:
    return content, weights


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    KIND.save(tmp_path, NETWORKS, DESCRIPTION)
    return tmp_path


def test_what_is_saved_comes_back(saved: Path) -> None:
    content, weights = KIND.load(saved, both)
    assert content["config"] == {"rate": 0.1, "sides": [3, 4]}
    assert content["facts"] == DESCRIPTION["facts"]
    assert weights.keys() == NETWORKS.keys()
    for name, network in NETWORKS.items():
        for found, expected in zip(weights[name], network.get_weights(), strict=True):
            np.testing.assert_array_equal(found, expected)
            assert found.dtype == np.asarray(expected).dtype
    assert {entry.name for entry in saved.iterdir()} == {"reader.json", WEIGHTS}


def test_the_description_is_written_last(saved: Path, tmp_path: Path) -> None:
    (saved / "reader.json").unlink()
    (saved / "reader.json").mkdir()
    with pytest.raises(InputError, match="cannot write here"):
        KIND.save(saved, {}, {})
    with pytest.raises(InputError, match="there is no reader here; name the folder that 'read train' wrote"):
        KIND.load(saved, both)
    with pytest.raises(InputError, match="cannot write here"):
        KIND.save(tmp_path / "missing", NETWORKS, DESCRIPTION)


@given(data=st.data())
def test_a_flipped_bit_is_found_wherever_it_is(data: st.DataObject, tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.mktemp("flipped")
    KIND.save(folder, NETWORKS, DESCRIPTION)
    file = folder / data.draw(st.sampled_from(["reader.json", WEIGHTS]))
    whole = bytearray(file.read_bytes())
    at, bit = data.draw(st.integers(0, len(whole) - 1)), data.draw(st.integers(0, 7))
    whole[at] ^= 1 << bit
    file.write_bytes(whole)
    try:
        content, _ = KIND.load(folder, both)
    except InputError as error:
        said = str(error)
    else:
        # White space, or the name of the digest itself: nothing that is read has changed.
        assert {name: content[name] for name in DESCRIPTION} == json.loads(json.dumps(DESCRIPTION))
        return
    assert "\n" not in said
    assert folder.name in said


@pytest.mark.parametrize("kept", [0, 1, 50, -1])
def test_cut_weights_are_refused(kept: int, saved: Path) -> None:
    (saved / WEIGHTS).write_bytes((saved / WEIGHTS).read_bytes()[:kept])
    with pytest.raises(InputError, match="damaged or not of this reader"):
        KIND.load(saved, both)
    (saved / WEIGHTS).unlink()
    with pytest.raises(InputError, match="weights cannot be read: No such file"):
        KIND.load(saved, both)


def test_weights_of_another_folder_are_refused(saved: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    other = tmp_path_factory.mktemp("other")
    KIND.save(other, {"head": NETWORKS["head"]}, DESCRIPTION)
    (saved / WEIGHTS).write_bytes((other / WEIGHTS).read_bytes())
    with pytest.raises(InputError, match="not of this reader"):
        KIND.load(saved, both)


class Harmful:
    """Leaves a mark where it is unpickled."""

    marked: ClassVar[list[int]] = []

    def __reduce__(self) -> tuple[Any, ...]:
        return self.marked.append, (1,)


def archive(**arrays: np.ndarray) -> bytes:
    stream = io.BytesIO()
    np.savez(stream, **arrays)
    return stream.getvalue()


def single(array: np.ndarray) -> bytes:
    stream = io.BytesIO()
    np.save(stream, array)
    return stream.getvalue()


@pytest.mark.parametrize(
    "content",
    [
        archive(**{"head/00": np.array([Harmful()], object)}),
        pickle.dumps([Harmful()]),
        single(np.zeros(3)),
        archive(**{"head/00": np.array(["1.0"])}),
        archive(**{"head/first": np.zeros(3)}),
        archive(head=np.zeros(3)),
        archive(**{"head/00": np.zeros(300)})[:-300],
        b"",
        b"no archive",
    ],
    ids=["objects", "pickle", "one array", "words", "no place", "no network", "cut", "empty", "text"],
)
def test_what_is_no_archive_of_numbers_is_refused_though_its_digest_fits(content: bytes, saved: Path) -> None:
    (saved / WEIGHTS).write_bytes(content)
    edited(saved, weights_sha256=hashlib.sha256(content).hexdigest())
    with pytest.raises(InputError, match="expected weights as 'read train' writes them"):
        KIND.load(saved, both)
    assert not Harmful.marked


def edited(folder: Path, **changes: Any) -> None:
    file = folder / "reader.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), **changes}))


def test_edited_descriptions_are_refused(saved: Path) -> None:
    edited(saved, config={"rate": 0.2, "sides": [3, 4]})
    with pytest.raises(InputError, match="found it changed; train it again"):
        KIND.load(saved, both)
    edited(saved, config={"rate": 0.1, "sides": [3, 4]})
    KIND.load(saved, both)
    edited(saved, format=2)
    with pytest.raises(InputError, match="of format 3; train it again with this version"):
        KIND.load(saved, both)
    for text, said in (("[]", "of format 3"), ("{", "not valid JSON"), ("\xff", "not valid JSON")):
        (saved / "reader.json").write_bytes(text.encode("latin-1"))
        with pytest.raises(InputError, match=said):
            KIND.load(saved, both)


@pytest.mark.parametrize(
    "error", [KeyError("config"), TypeError("None"), ValueError("3"), IndexError(), AttributeError()]
)
def test_what_does_not_fit_is_said_to_be_changed(error: Exception, saved: Path) -> None:
    def rebuilt(content: Mapping[str, Any], weights: Weights) -> None:
        raise error

    with pytest.raises(InputError, match="found it changed"):
        KIND.load(saved, rebuilt)


def test_a_folder_of_before_digests_of_descriptions_is_read(saved: Path) -> None:
    file = saved / "reader.json"
    content = json.loads(file.read_text())
    del content["description_sha256"]
    file.write_text(json.dumps(content))
    assert KIND.load(saved, both)[0]["facts"] == DESCRIPTION["facts"]
