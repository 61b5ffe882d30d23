"""From a run's weights to a folder that can be handed over: model, ``model.json`` and ``MODEL_CARD.md``.

The network is written in operations that all formats share, read back, compared with the trained Keras network on
windows with missing frames, and timed; only then does the folder take its name. No subject, path or recording is in it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from tff_affect import __version__
from tff_affect.cohort import check_destination, new_folder
from tff_affect.config import ModelConfig
from tff_affect.errors import InputError
from tff_affect.export.description import FILES, ModelDescription, model_files, require_format
from tff_affect.export.source import RunChoice, TrainedRun, read_trained_run
from tff_affect.run_folder import file_name

EXPORTS = "exports"
"""Folder of a run in which exports lie by default."""


def export_run(
    folder: Path, kind: str, choice: RunChoice, out: Path | None = None, streaming: bool = False
) -> tuple[Path, ModelDescription]:
    """Exports one trained network.

    Args:
        folder: A study's, or that of one of its runs.
        kind: One of ``FORMATS``.
        choice: Which network.
        out: Where to, a new folder; by default ``exports/<method>-<format>`` in the run's.
        streaming: As a model of one frame with explicit states; TensorFlow Lite alone.

    Returns:
        The folder and what its ``model.json`` says.

    Raises:
        InputError: If there is no such network, the format cannot hold it, or the folder is not new.
        RunError: If what was written predicts something else than the trained network.
    """
    require_format(kind)
    run = read_trained_run(folder, choice)
    if streaming:
        check_streaming(run.config.model, run.config.data.target, kind)
    place = out or run.folder / EXPORTS / f"{file_name(run.method)}-{kind}{'-streaming' if streaming else ''}"
    check_destination(place)
    from tff_affect.report.model_card import write_model_card

    with new_folder(place) as temporary:
        described = _written(run, kind, streaming, temporary)
        described.write(temporary)
        write_model_card(temporary, run.study, run.facts, described)
    return place, described


def check_streaming(model: ModelConfig, target: str, kind: str) -> None:
    """Refuses to go frame by frame where a network cannot.

    Raises:
        InputError: For another format than TensorFlow Lite, a network that looks ahead, or one target per window.
    """
    from tff_affect.models.registry import architecture

    if kind != "tflite":
        raise InputError(f"--streaming: a model of one frame is written as tflite alone, found {kind!r}; leave it out")
    if not architecture(model).causal:
        raise InputError(
            f"--streaming: {model.name} reads the window in both directions and cannot go frame by frame; leave "
            "--streaming out, or train simple_rnn, lstm, gru or tcn"
        )
    if target == "window":
        raise InputError(
            "--streaming: with data.target=window there is one prediction for each whole window; leave --streaming out"
        )


def _written(run: TrainedRun, kind: str, streaming: bool, folder: Path) -> ModelDescription:
    from tff_affect.export.checks import largest_difference, measured_latency, probe_windows
    from tff_affect.export.formats import OPSET, open_model, write_model
    from tff_affect.export.network import PortableNetwork, trained_model

    try:
        trained = trained_model(run.config.model, run.shape, run.weights)
    except ValueError as error:
        raise InputError(
            "the weights are not of the network that the configuration names; train into a new folder", file=run.folder
        ) from error
    network = PortableNetwork(trained, run.config.model, run.shape)
    write_model(network, run.shape, kind, streaming, folder)
    files = model_files(folder, FILES[kind])
    described = replace(
        describe(run, kind, streaming, files),
        size_bytes=sum((folder / name).stat().st_size for name in files),
        states=tuple(network.state_sizes) if streaming else (),
        opset=OPSET if kind == "onnx" else None,
    )
    apply = open_model(folder, described)
    facts = run.facts
    windows = probe_windows(run.shape, facts.feature_scale, run.config.data.scaling != "none")
    return replace(
        described,
        parity=largest_difference(apply, trained, windows, kind),
        latency=measured_latency(apply, windows, facts.frame_rate, facts.time_unit),
    )


def describe(run: TrainedRun, kind: str, streaming: bool, files: Mapping[str, str]) -> ModelDescription:
    """What has to be known of a run's network to apply it, before anything is measured."""
    facts, data = run.facts, run.config.data
    return ModelDescription(
        format=kind,
        streaming=streaming,
        files=files,
        architecture=_architecture(run.config.model),
        features=tuple(facts.features),
        feature_scale=facts.feature_scale,
        labels=tuple(facts.labels),
        frame_rate=facts.frame_rate,
        time_unit=facts.time_unit,
        window=data.window,
        hop=data.hop,
        target=data.target,
        scaling=data.scaling,
        delay=run.delay,
        cohort=facts.name,
        synthetic=facts.synthetic,
        method=run.method,
        mean=() if run.scaling is None else tuple(run.scaling.mean.tolist()),
        deviation=() if run.scaling is None else tuple(run.scaling.deviation.tolist()),
        post_processing={} if run.chain is None else run.chain.to_json(list(facts.labels)),
        seed=run.seed,
        fold=run.fold,
        version=__version__,
    )


def _architecture(model: ModelConfig) -> dict[str, Any]:
    from tff_affect.models.registry import architecture

    return asdict(architecture(model).resolve(model))
