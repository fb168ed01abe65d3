# SPDX-License-Identifier: Apache-2.0
"""Write deltas.json: messages as the server encodes them, for the viewer's unit tests."""

import base64
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
from mapcast_client.delta import (
    DeltaHead,
    Status,
    encode_keyframes,
    encode_mesh,
    encode_status,
    encode_trajectory,
)
from mapcast_client.pose_rows import IDENTITY, KeyframeRow, TrajectoryRow, placed
from mapcast_client.rows import MeshRow

OUTPUT = Path(__file__).with_name("deltas.json")
BLOCKS = ((0, 0, 0), (-3, 7, 1), (100, -200, 12))


def main() -> None:
    rng = np.random.default_rng(1)
    rows = [_row(block, 7 + i, rng) for i, block in enumerate(BLOCKS)]
    tombstone = MeshRow(BLOCKS[0], b"", b"", b"")
    head = DeltaHead("room", 5, 9, 9, 0.02, sum(row.content_hash() for row in rows) % 2**64)
    after = replace(head, revision=10, complete_through=10, map_hash=_hash_without(rows, BLOCKS[0]))
    keyframe = KeyframeRow(33, (0.5, 1.0, 2.0, 0.0, 0.0, 0.6, 0.8), 1.0, 9)
    moved = KeyframeRow(33, (0.25, 1.5, 2.0, 0.48, 0.0, 0.64, 0.6), 1.125, 10)
    poses = [_pose(i, keyframe) for i in range(3)]
    status = Status("active", "", "tracking", 41, 40, 1, 29.5, 83.25, 3, 24, 2, False, 0)
    # Revisions without a pattern: zstd then stores them as they are, at any offset.
    revisions = rng.integers(2**63, size=len(rows))
    messages = {
        compression: {
            "mesh": encode_mesh(rows, revisions, head, compression),
            "removal": encode_mesh([tombstone], [10], after, compression),
            "trajectory": encode_trajectory(poses, head, compression),
            "earlier": _without_hangs(encode_trajectory(poses, head, "none")),
            "keyframes": encode_keyframes([keyframe], head, compression),
            "correction": encode_keyframes([moved], after, compression),
            "status": encode_status(status, head, compression),
        }
        for compression in ("none", "lz4", "zstd")
    }
    document = {
        "rows": [
            {
                "block": row.block,
                "vertices": list(row.vertices),
                "colors": list(row.colors),
                "triangles": np.frombuffer(row.triangles, "<u2").tolist(),
            }
            for row in rows
        ],
        "poses": {
            "tracked": [placed(pose, {33: keyframe}).world_from_camera for pose in poses],
            "corrected": [placed(pose, {33: moved}).world_from_camera for pose in poses],
        },
        "messages": {
            compression: {
                layer: base64.b64encode(message).decode() for layer, message in layers.items()
            }
            for compression, layers in messages.items()
        },
    }
    OUTPUT.write_text(json.dumps(document) + "\n")


def _row(block: tuple[int, int, int], vertices: int, rng: np.random.Generator) -> MeshRow:
    return MeshRow(
        block,
        rng.integers(249, size=3 * vertices, dtype=np.uint8).tobytes(),
        rng.integers(256, size=3 * vertices, dtype=np.uint8).tobytes(),
        rng.integers(vertices, size=3 * 8, dtype=np.uint16).tobytes(),
    )


def _pose(i: int, keyframe: KeyframeRow) -> TrajectoryRow:
    """A frame that hangs on the keyframe; the second is that keyframe."""
    seen = IDENTITY if i == 1 else (0.5 * i, -0.125, 0.75, 0.8, 0.0, 0.0, 0.6)
    row = TrajectoryRow(i, 33 * i, IDENTITY, "tracking", i == 1, 9, keyframe.capture_ns, seen)
    return placed(row, {keyframe.capture_ns: keyframe})


def _without_hangs(message: bytes) -> bytes:
    """The message as servers sent it that knew nothing of hanging frames."""
    table = pa.ipc.open_stream(message).read_all()
    sink = pa.BufferOutputStream()
    earlier = table.drop_columns(["keyframe_ns", "keyframe_from_camera"])
    with pa.ipc.new_stream(sink, earlier.schema) as stream:
        stream.write_table(earlier)
    return sink.getvalue().to_pybytes()


def _hash_without(rows: list[MeshRow], block: tuple[int, int, int]) -> int:
    return sum(row.content_hash() for row in rows if row.block != block) % 2**64


if __name__ == "__main__":
    main()
