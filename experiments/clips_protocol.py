"""The protocol of the film clips: real people, one label for each clip they saw (docs/real-clips.md).

Settings are those of ``configs/clips.yaml``: five folds by subject, a whole session in one window, CCC loss. The labels
are what each person said, so that there are no raters and no delay.
"""

from __future__ import annotations

from experiments.protocol import Protocol

CLIPS = Protocol(
    name="clips",
    title="film clips: a label for each clip, folds by subject",
    settings="clips.yaml",
    window_seconds=None,
    fusion=None,
    fixed=("data.window", "data.hop", "data.target", "data.target_delay", "split.scheme", "model.name", "postprocess"),
    searches_delay=False,
    remark=(
        "Labels are self-reports. Learning rates were chosen on development subjects with one GRU, some of whom are "
        "test subjects of other folds; they are not tuned for each variant."
    ),
)
