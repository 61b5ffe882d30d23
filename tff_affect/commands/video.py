"""``tff-affect data video``: level 1, from faces on video to action units."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from tff_affect.commands.data import FrameRate, Fusion, Labels, Pose
from tff_affect.commands.shared import AsJson, Out, Overwrite, Quiet, print_cohort
from tff_affect.errors import InputError


def data_video(
    videos: Annotated[Path, typer.Argument(help="A video, or a folder of videos named after their subjects.")],
    out: Out,
    units: Annotated[
        str, typer.Option("--units", help="Tiers or action units, separated by commas: A, or A,B, or A,AU25.")
    ] = "A",
    neutral: Annotated[
        str | None, typer.Option("--neutral", help="Seconds FROM-TO with a neutral face, such as 0-2.")
    ] = None,
    percentile: Annotated[
        float, typer.Option("--neutral-percentile", help="Without --neutral: percentile of each unit that is neutral.")
    ] = 10.0,
    labels: Labels = None,
    fusion: Fusion = None,
    frame_rate: FrameRate = None,
    pose: Pose = False,
    jobs: Annotated[int, typer.Option("--jobs", min=0, help="Videos at a time; 0: one a core.")] = 0,
    overwrite: Overwrite = False,
    quiet: Quiet = False,
    as_json: AsJson = False,
) -> None:
    """Follow the face in each video and write action-unit intensities as a cohort; images and landmarks are discarded.

    Runs on the processor. An interrupted run goes on with the same command.

    Example: tff-affect data video recordings cohorts/mine --neutral 0-2 --labels labels
    """
    from data_prep.facemesh import GeometryConfig
    from data_prep.inspect import inspect_source
    from data_prep.video import VideoConfig, convert_videos
    from tff_affect.progress import counted, make_progress

    geometry = GeometryConfig(
        units=tuple(units.split(",")), neutral_seconds=_span(neutral), neutral_percentile=percentile
    )
    config = VideoConfig(
        geometry=geometry, pose=pose, labels=labels, fusion=fusion, frame_rate=frame_rate, processes=jobs
    )
    with counted(make_progress(quiet), "Frames") as on_frames:
        cohort = convert_videos(videos, out, config, overwrite, on_frames)
    problems = inspect_source(out).problems
    print_cohort(cohort, as_json, problems=list(problems))
    for problem in () if as_json else problems:
        print(problem)


def _span(text: str | None) -> tuple[float, float] | None:
    if text is None:
        return None
    try:
        first, last = (float(part) for part in text.split("-"))
    except ValueError:
        raise InputError(f"--neutral: expected seconds FROM-TO, such as 0-2; found {text!r}") from None
    return first, last
