"""The protocol of the AVEC challenges on RECOLA: every frame counts.

The CCC-centred gold standard, an annotation delay searched in each split, a post-processing chain (median filter,
centring, scaling, shift) of which each step is kept where it raises the CCC of development participants, and CCC both
pooled and per recording. Measured and post-processed numbers stand in tables of their own.
"""

from __future__ import annotations

from experiments.protocol import Protocol

AVEC = Protocol(
    name="avec",
    title="AVEC: every frame, annotation delay searched in each split",
    settings="avec.yaml",
    window_seconds=12.0,
    fusion="ccc_centred",
    fixed=("data.window", "data.hop", "data.target", "data.target_delay", "model.name", "postprocess"),
    searches_delay=True,
    remark=(
        "The annotation delay and the post-processing chain are fitted on training and development participants of "
        "each split."
    ),
)
