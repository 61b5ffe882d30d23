"""Settings of differential privacy that do not go together."""

from __future__ import annotations

import math

import pytest

from tff_affect.errors import InputError
from tff_affect.privacy_config import PrivacyConfig


def private(**changes: object) -> PrivacyConfig:
    return PrivacyConfig(**({"noise_multiplier": 1.0} | changes))


def test_there_is_no_privacy_unless_noise_is_named() -> None:
    assert not PrivacyConfig().enabled
    assert PrivacyConfig(noise_multiplier=0).enabled
    assert private().enabled


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"noise_multiplier": -0.1}, "privacy.noise_multiplier: expected at least 0"),
        ({"noise_multiplier": math.nan}, "privacy.noise_multiplier"),
        ({"noise_multiplier": math.inf}, "privacy.noise_multiplier"),
        ({"clipping_norm": math.inf}, "without clipping no amount of noise protects"),
        ({"clipping_norm": 0.0}, "privacy.clipping_norm: expected a number above 0, found 0"),
        ({"clipping_norm": -1.0}, "privacy.clipping_norm"),
        ({"clipping_norm": math.nan}, "privacy.clipping_norm"),
        ({"level": "client"}, "privacy.level: expected one of user, window, found 'client'"),
        ({"mechanism": "laplace"}, "privacy.mechanism"),
        ({"sampling": "shuffled"}, "privacy.sampling"),
        ({"adjacency": "edge"}, "privacy.adjacency"),
        ({"settings_from": "somewhere"}, "privacy.settings_from"),
        ({"delta": 0.0}, "privacy.delta: expected a number between 0 and 1, found 0"),
        ({"delta": 1.0}, "privacy.delta"),
        ({"delta": math.nan}, "privacy.delta"),
        ({"restart_every": -1}, "privacy.restart_every"),
        ({"clip_learning_rate": 0.0}, "privacy.clip_learning_rate"),
        ({"target_quantile": 0.0}, "privacy.target_quantile"),
        ({"target_quantile": 1.0}, "privacy.target_quantile"),
        ({"level": "window", "mechanism": "adaptive"}, "level window has a fixed clipping norm, found 'adaptive'"),
        ({"mechanism": "tree", "adjacency": "zero-out"}, "'passes' and privacy.mechanism 'tree' go together"),
        ({"sampling": "passes"}, "'passes' and privacy.mechanism 'tree' go together"),
        ({"mechanism": "tree", "sampling": "passes"}, "set privacy.adjacency=zero-out"),
        ({"mechanism": "local"}, "set privacy.adjacency=replace-one"),
        ({"sampling": "fixed-size"}, "set privacy.adjacency=replace-one"),
        ({"mechanism": "local", "adjacency": "replace-one", "reproducible_noise": True}, "draw noise of their own"),
        ({"mechanism": "distributed", "reproducible_noise": True}, "draw noise of their own"),
    ],
)
def test_what_does_not_go_together_is_named(changes: dict, message: str) -> None:
    with pytest.raises(InputError) as caught:
        private(**changes)
    assert message in str(caught.value)


@pytest.mark.parametrize(
    "changes",
    [
        {"noise_multiplier": 0.0, "clipping_norm": math.inf},
        {"mechanism": "tree", "sampling": "passes", "adjacency": "zero-out"},
        {"mechanism": "local", "adjacency": "replace-one"},
        {"mechanism": "local", "sampling": "fixed-size", "adjacency": "replace-one"},
        {"mechanism": "distributed"},
        {"mechanism": "adaptive", "adjacency": "replace-one"},
        {"level": "window", "adjacency": "replace-one"},
        {"reproducible_noise": True},
        {"delta": 0.5, "force": True},
    ],
)
def test_what_goes_together_is_accepted(changes: dict) -> None:
    assert private(**changes).enabled


def test_without_privacy_mechanism_and_sampling_need_not_fit() -> None:
    assert not PrivacyConfig(mechanism="tree").enabled
