from contextlib import nullcontext
from dataclasses import replace
from typing import Any

import pytest

from data_prep.synthetic_faces import SyntheticFacesConfig, draw_faces
from experiments import face_training
from experiments.face_settings import DivisionConfig, FaceConfig, divide
from tff_affect.anonymizer import federated, game
from tff_affect.anonymizer.config import AnonymizerConfig
from tff_affect.face_set import FaceSet
from tff_affect.learning import runtime

FACES = draw_faces(SyntheticFacesConfig(people=20, images=1, size=16))
SPLIT = divide(FACES, DivisionConfig(), 0)


def test_in_one_place_development_people_are_others(monkeypatch: pytest.MonkeyPatch) -> None:
    given: list[Any] = []
    monkeypatch.setattr(game, "train", lambda *arguments: given.append(arguments))
    config = FaceConfig(anonymizer=AnonymizerConfig("entropy"))
    face_training.train_on(FACES, SPLIT, config, 4)
    train, development, settings, seed, _ = given[0]
    assert (train.people, development.people) == (SPLIT.train, SPLIT.development)
    assert (settings, seed) == (config.anonymizer, 4)


def test_federated_some_training_people_are_public_and_the_others_clients(monkeypatch: pytest.MonkeyPatch) -> None:
    met: list[tuple[FaceSet, FaceSet]] = []
    monkeypatch.setattr(federated, "train_federated", lambda *arguments: met.append(arguments[:2]))
    monkeypatch.setattr(runtime, "local_runtime", nullcontext)
    config = FaceConfig(anonymizer=AnonymizerConfig("federated"))
    for seed in (0, 0, 1):
        face_training.train_on(FACES, SPLIT, config, seed)
    for clients, public in met:
        assert set(clients.people) | set(public.people) == set(SPLIT.train)
        assert not set(clients.people) & set(public.people)
        assert len(public.people) == round(0.3 * len(SPLIT.train))
    assert met[0][1].people == met[1][1].people != met[2][1].people
    few = replace(config, federated=replace(config.federated, public=0.01))
    face_training.train_on(FACES, SPLIT, few, 0)
    assert len(met[-1][1].people) == 2
