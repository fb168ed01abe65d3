"""Where the coordinates of trackers, one after the other, lie in the world."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from slam.geometry import Mat4
from slam.growing_rows import GrowingRows
from slam.pose_graph_factors import Edge
from slam.pose_graph_keyframes import KeyframeTable
from slam.similarity import hung, scaled

_SIGMA_M, _SIGMA_RAD, _SIGMA_LOG_SCALE = 0.02, 0.01, 0.02
"""How well a tracker's first keyframe is known to lie where it was said to."""

SEGMENT_ROW = np.dtype(
    [
        ("world_from_tracker", np.float64, (4, 4)),
        ("metres_per_unit", np.float64),
        ("anchor", np.int64),
        ("anchor_from_tracker", np.float64, (4, 4)),
        ("anchor_scale", np.float64),
    ]
)


@dataclass(frozen=True, slots=True)
class Segment:
    """One tracker's coordinates, as they lay in the world when it began.

    Later, they lie where the anchor has gone, until keyframes of its own are in a solution.
    """

    world_from_tracker: Mat4
    metres_per_unit: float
    anchor: int = -1
    """The row of the last keyframe before; -1: there was none."""
    anchor_from_tracker: Mat4 | None = None
    """In lengths as seen from the anchor."""
    anchor_scale: float = 1.0
    """The anchor's scale then, in terms of which the segment's is 1."""

    def place(self, keyframes: KeyframeTable, segment_from_keyframe: Mat4) -> tuple[Mat4, float]:
        """(N, 4, 4) world_from_keyframe as the anchor is now, and their scale."""
        if self.anchor_from_tracker is None:
            return self.world_from_tracker @ segment_from_keyframe, 1.0
        anchor = keyframes.rows[self.anchor]
        relative = hung(self.anchor_from_tracker, 1.0 / self.anchor_scale, segment_from_keyframe)
        scale = float(anchor["scale"])
        world = hung(anchor["world_from_keyframe"], scale, relative)
        return world, scale / self.anchor_scale

    def rescaled(self, factor: float, centre_world: NDArray[np.float64]) -> "Segment":
        """The segment when all lengths are `factor` times as long, the world's about a centre."""
        anchored, lies = self.anchor_from_tracker, self.world_from_tracker.copy()
        lies[:3, 3] = centre_world + factor * (lies[:3, 3] - centre_world)
        return replace(
            self,
            world_from_tracker=lies,
            metres_per_unit=self.metres_per_unit * factor,
            anchor_from_tracker=None if anchored is None else scaled(anchored, factor),
        )

    def edge(self, keyframes: KeyframeTable, first: int) -> Edge | None:
        """What ties the segment's first keyframe to the anchor."""
        if self.anchor_from_tracker is None:
            return None
        root, root_from_anchor = keyframes.root(self.anchor)
        segment_from_first = keyframes.rows["segment_from_keyframe"][first]
        anchor_from_first = hung(
            self.anchor_from_tracker, 1.0 / self.anchor_scale, segment_from_first
        )
        return Edge(
            root,
            first,
            root_from_anchor @ anchor_from_first,
            _SIGMA_M,
            _SIGMA_RAD,
            is_robust=True,
            scale=1.0 / self.anchor_scale,
            sigma_log_scale=_SIGMA_LOG_SCALE,
        )


def segments_state(segments: list[Segment]) -> dict[str, NDArray[Any]]:
    """Segments as arrays."""
    table = GrowingRows(SEGMENT_ROW)
    for segment in segments:
        anchored = segment.anchor_from_tracker
        table.append(
            {
                "world_from_tracker": segment.world_from_tracker,
                "metres_per_unit": segment.metres_per_unit,
                "anchor": segment.anchor,
                "anchor_from_tracker": np.zeros((4, 4)) if anchored is None else anchored,
                "anchor_scale": segment.anchor_scale,
            }
        )
    return table.columns()


def segments_from(arrays: Mapping[str, NDArray[Any]]) -> list[Segment]:
    """Invert `segments_state`. Raises InputError if they are not such."""
    return [
        Segment(
            row["world_from_tracker"].copy(),
            float(row["metres_per_unit"]),
            int(row["anchor"]),
            row["anchor_from_tracker"].copy() if row["anchor"] >= 0 else None,
            float(row["anchor_scale"]),
        )
        for row in GrowingRows.from_columns(SEGMENT_ROW, arrays).rows
    ]
