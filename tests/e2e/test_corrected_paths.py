"""What the tracker corrects reaches sender and subscribers: their paths are the server's."""

import asyncio
from itertools import pairwise

import httpx
import numpy as np
import pytest

from mapcast_client import AsyncClient, AsyncSession, CorrectedPath, Map
from mapcast_client.poses import matrix_of_vector, pose_matrix
from mapcast_client.v1 import ingest_pb2
from mapcast_client.v1.ingest_pb2 import FrameResult
from replay.opening import open_sequence
from slam.geometry import Mat4, distance, inverse
from slam.trajectory import Trajectory

pytestmark = pytest.mark.asyncio(loop_scope="module")

FRAMES = 150
VOXEL_M = 0.04
EQUAL = 1e-6
"""Metres, and entries of rotation matrices."""
STEP_ERROR = 0.03
"""Of the tracked motion between two frames, metres plus radians: noise, but no jump."""


async def test_paths_of_sender_and_subscriber_end_as_the_servers(
    client: AsyncClient, http: httpx.AsyncClient
) -> None:
    sequence = open_sequence(f"rendered:frames={FRAMES}")
    calibration = sequence.calibration.to_message()
    tracked = ingest_pb2.FusionSettings(voxel_size_m=VOXEL_M, no_alignment=True)  # it moves more
    session = await client.open(calibration, "walk", "lossless", fusion=tracked)
    following = asyncio.create_task(_followed(client, session.id))
    sent_path = CorrectedPath()
    correcting = asyncio.create_task(_correct(sent_path, session))
    for frame in sequence.frames():
        await session.send(frame)
    finished = await session.finish()
    results = [result async for result in session.results() if _has_pose(result)]
    for result in results:
        sent_path.add(result)
    async with asyncio.timeout(30):
        await correcting
        followed = await following
    tum = await http.get(f"/v1/sessions/{session.id}/trajectory.tum")
    path = Trajectory.from_tum(tum.text)

    assert len(path) > 0.9 * FRAMES
    assert {followed.epoch, sent_path.epoch} == {finished.epoch}
    told = {result.capture_ns: pose_matrix(result.world_from_camera) for result in results}
    assert _furthest(told, path) > 1e-3  # else nothing was corrected, and this shows nothing
    assert _furthest(_poses(followed), path) < EQUAL
    assert _furthest(sent_path.poses(), path) < EQUAL
    assert sequence.ground_truth is not None
    _assert_odometry_never_jumps(results, sequence.ground_truth)


def _has_pose(result: FrameResult) -> bool:
    return result.HasField("world_from_camera")


async def _followed(client: AsyncClient, session: str) -> Map:
    followed = Map()
    async for delta in client.follow(session):
        followed.apply(delta)
        status = followed.status
        is_finished = status is not None and status.state == "finished"
        if is_finished and followed.complete_through == followed.revision:
            return followed
    raise AssertionError("the subscription ended early")


async def _correct(path: CorrectedPath, session: AsyncSession) -> None:
    async for corrections in session.corrections():
        path.correct(corrections)


def _poses(followed: Map) -> dict[int, Mat4]:
    return {row.capture_ns: matrix_of_vector(row.world_from_camera) for row in followed.trajectory}


def _furthest(poses: dict[int, Mat4], path: Trajectory) -> float:
    """The largest difference of poses of the same instants; both have all of them."""
    assert sorted(poses) == path.capture_ns.tolist()
    matrices = [pose for _, pose in sorted(poses.items())]
    return float(np.abs(np.array(matrices) - path.world_from_camera).max())


def _assert_odometry_never_jumps(results: list[FrameResult], truth: Trajectory) -> None:
    true_poses = dict(zip(truth.capture_ns.tolist(), truth.world_from_camera, strict=True))
    for before, after in pairwise(results):
        step = inverse(pose_matrix(before.odom_from_camera)) @ pose_matrix(after.odom_from_camera)
        true_step = inverse(true_poses[before.capture_ns]) @ true_poses[after.capture_ns]
        assert distance(step, true_step) < STEP_ERROR
