from dataclasses import replace

import numpy as np
import pytest

pytest.importorskip("pycolmap", reason="refinement needs pycolmap: pip install 'mapcast[refine]'")

from refined_walk import errors, frames, relative, request, sequence, shaken, truth

from slam.camera import Camera
from slam.geometry import Mat4, distance, inverse
from slam.refine_messages import Picture, RefineRequest, RefineStart
from slam.refine_run import Refinement


def refinement(camera: Camera | None = None, free_intrinsics: bool = False) -> Refinement:
    return Refinement(RefineStart(camera or sequence().calibration.camera, free_intrinsics))


def test_keyframes_come_closer_to_the_truth() -> None:
    poses = shaken()

    result = refinement().run(request(poses))

    assert result.accepted, result.reason
    assert result.keyframes == tuple(frame.capture_ns for frame in frames())
    measured, before = np.median(errors(result.constraints, poses), axis=0)
    assert measured < 0.3 * before
    assert all(each.source == "refinement" for each in result.constraints)


def test_depth_holds_the_metric_scale() -> None:
    poses = stretched(truth(), 1.03)

    result = refinement().run(request(poses))

    assert result.accepted, result.reason
    assert scale(result.constraints) == pytest.approx(1.0, abs=0.01)


def test_without_depth_the_scale_of_the_session_stays() -> None:
    poses = stretched(shaken(0.002, 0.001), 1.7)

    result = refinement().run(request(poses, is_monocular=True))

    assert result.accepted, result.reason
    assert scale(result.constraints) == pytest.approx(1.7, abs=0.05)


def test_free_intrinsics_are_found_and_offered() -> None:
    true = sequence().calibration.camera
    wrong = replace(true, fx_px=1.02 * true.fx_px, fy_px=1.02 * true.fy_px, distortion=(0.1,) * 4)
    free = refinement(wrong, free_intrinsics=True)

    found, again = free.run(request(truth())), free.run(RefineRequest((), truth(), is_whole=True))
    held = refinement(wrong).run(request(truth()))

    assert found.offer is not None
    assert found.offer.camera.fx_px == pytest.approx(true.fx_px, rel=0.008)
    assert found.offer.camera.distortion[0] == pytest.approx(0.1 / 1.02**2, rel=0.016)
    assert found.offer.keyframes == len(frames())
    assert 0.05 < found.offer.reprojection_px < found.reprojection_px[1]
    assert again.accepted
    assert again.offer is None, "it is known by now"
    assert held.offer is None
    for given, free_too in zip(held.constraints, found.constraints, strict=True):
        assert distance(given.first_from_second, free_too.first_from_second) < 1e-5


def test_a_camera_that_few_keyframes_tell_is_withheld() -> None:
    true = sequence().calibration.camera
    wrong = replace(true, fx_px=1.02 * true.fx_px, fy_px=1.02 * true.fy_px)
    few = RefineRequest(request(truth()).pictures[:9], truth(), is_whole=True)

    found = refinement(wrong, free_intrinsics=True).run(few)

    assert found.accepted, found.reason
    assert found.offer is None
    assert found.why_no_offer == "it rests on 9 keyframes, at least 10 are needed"


def test_a_camera_is_not_replaced_by_that_of_fewer_keyframes_unless_these_are_all() -> None:
    true = sequence().calibration.camera
    wrong = replace(true, fx_px=1.02 * true.fx_px, fy_px=1.02 * true.fy_px)
    free, poses = refinement(wrong, free_intrinsics=True), truth()
    pictures = request(poses).pictures
    blank = Picture(sorted(poses)[1], np.zeros_like(pictures[0].gray), None, 0.0)
    free.run(RefineRequest((*pictures, blank), poses, is_whole=True))
    free._known = replace(free._known, camera=wrong)  # so that the same is news again

    del poses[pictures[3].capture_ns]
    fewer = free.run(RefineRequest((), poses, is_whole=True))
    del poses[blank.capture_ns]
    everything = free.run(RefineRequest((), poses, is_whole=True))

    assert fewer.why_no_offer == "it rests on 11 keyframes, at least 12 are needed"
    assert everything.offer is not None
    assert everything.offer.keyframes == 11


def test_a_place_that_the_tracker_did_not_recognise_becomes_a_constraint() -> None:
    poses = {frame.capture_ns: truth()[frame.capture_ns] for frame in frames()}
    late = [key for key in poses if key >= 9 * 6 * 1_000_000_000 // 30]
    drift = np.eye(4)
    drift[:3, 3] = 0.4, -0.1, 0.2
    for key in late:
        poses[key] = drift @ poses[key]

    result = refinement().run(request(poses))

    across = [
        each for each in result.constraints if (each.second_ns in late) != (each.first_ns in late)
    ]
    assert result.loops >= 2
    assert len(across) >= result.loops
    for each in across:
        assert distance(each.first_from_second, relative(truth(), each)) < 0.03


def test_only_new_keyframes_are_looked_at() -> None:
    poses, whole = shaken(), request(shaken())
    run = refinement()
    run.run(RefineRequest(whole.pictures[:8], poses))

    result = run.run(RefineRequest(whole.pictures[8:], poses))

    assert result.new_keyframes == len(frames()) - 8
    assert len(result.keyframes) == len(frames())


def test_keyframes_that_are_gone_are_forgotten() -> None:
    run, whole = refinement(), request(shaken())
    run.run(whole)
    gone = whole.pictures[3].capture_ns
    left = {key: pose for key, pose in shaken().items() if key != gone}

    result = run.run(RefineRequest((), left, is_whole=True))

    assert gone not in result.keyframes
    assert not any(gone in (each.first_ns, each.second_ns) for each in result.constraints)


@pytest.mark.parametrize("count", [0, 1])
def test_too_few_keyframes_are_a_reason(count: int) -> None:
    result = refinement().run(RefineRequest(request(shaken()).pictures[:count], shaken()))

    assert not result.accepted
    assert "no points in common" in result.reason
    assert result.constraints == ()


def test_pictures_without_features_do_no_harm() -> None:
    poses = shaken()
    black = [
        replace(each, gray=np.zeros_like(each.gray)) if index % 4 == 0 else each
        for index, each in enumerate(request(poses).pictures)
    ]

    result = refinement().run(RefineRequest(tuple(black), poses, is_whole=True))

    assert result.accepted, result.reason
    assert black[4].capture_ns not in result.keyframes


def stretched(poses: dict[int, Mat4], factor: float) -> dict[int, Mat4]:
    result = {}
    for frame in frames():
        result[frame.capture_ns] = poses[frame.capture_ns].copy()
        result[frame.capture_ns][:3, 3] *= factor
    return result


def scale(constraints: tuple) -> float:
    """Of measured distances over true ones, where there is some distance."""
    pairs = [
        (np.linalg.norm(each.first_from_second[:3, 3]), np.linalg.norm(true[:3, 3]))
        for each in constraints
        for true in [inverse(truth()[each.first_ns]) @ truth()[each.second_ns]]
    ]
    lengths = np.array([pair for pair in pairs if pair[1] > 0.05])
    return float(np.median(lengths[:, 0] / lengths[:, 1]))
