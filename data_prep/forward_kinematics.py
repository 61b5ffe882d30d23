"""Forward kinematics: from the angles of joints to their places."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

_AXES = "XYZ"


def forward_kinematics(
    parents: Sequence[int], offsets: np.ndarray, channels: Sequence[Sequence[str]], values: np.ndarray
) -> np.ndarray:
    """Places of all joints in the axes of the root's surroundings.

    A position channel takes the place of that axis of the joint's offset (not: is added to it), whichever joint it
    belongs to. Rotations apply in the order of their channels, each about the axes that the earlier ones have turned;
    the place comes before them.

    Args:
        parents: Of each joint, the number of its parent, a lower one; -1 for a root.
        offsets: ``[joint, 3]`` from the parent, at rest, in its axes.
        channels: Of each joint, names such as ``Xposition`` and ``Zrotation``.
        values: ``[time, channel]`` of all joints' channels, joint after joint: in the offsets' unit, and degrees.

    Returns:
        ``[time, joint, 3]`` in the offsets' unit. What hangs below a NaN is NaN.
    """
    from scipy.spatial.transform import Rotation

    places = np.empty((len(values), len(parents), 3))
    # As matrices: a product of scipy's rotations refuses NaN.
    turns: list[np.ndarray] = []
    first = 0
    for joint, (parent, names) in enumerate(zip(parents, channels, strict=True)):
        own = values[:, first : first + len(names)]
        first += len(names)
        local = np.broadcast_to(offsets[joint], (len(values), 3)).copy()
        for column, name in enumerate(names):
            if name.endswith("position"):
                local[:, _AXES.index(name[0])] = own[:, column]
        turned = [column for column, name in enumerate(names) if name.endswith("rotation")]
        order = "".join(names[column][0] for column in turned)
        rotation = Rotation.from_euler(order, own[:, turned], degrees=True) if order else Rotation.identity(len(values))
        turn = rotation.as_matrix()
        if parent >= 0:
            local = places[:, parent] + np.einsum("tij,tj->ti", turns[parent], local)
            turn = turns[parent] @ turn
        places[:, joint] = local
        turns.append(turn)
    return places
