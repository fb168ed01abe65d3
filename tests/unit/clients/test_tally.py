import json
from dataclasses import replace

import numpy as np
import pytest

from clients.cli.files import write_json
from clients.cli.map_frame import MapFrame
from clients.cli.progress import console, print_report, replay_line
from clients.cli.tally import Percentiles, Report, Tally, tracking_name
from mapcast_client.errors import FrameError, InputError
from mapcast_client.v1 import ingest_pb2
from mapcast_client.v1.ingest_pb2 import FrameResult, Pose, StageTimes

REPORT = Report(
    frames=10,
    tracked=9,
    ate_live_rmse_m=0.0123,
    ate_final_rmse_m=None,
    frames_per_s=42.5,
    latency_ms=Percentiles(20.0, 80.0),
    stage_ms={"decode": 1.0, "track": 15.0, "fuse": 2.0, "mesh": 4.0},
    blocks=1234,
    triangles=567890,
    delta_bytes=12_300_000,
    dropped=1,
    map_hash="18446744073709551615",
)


def fused(index: int, latency_ms: float = 10.0, mesh_ms: float = 0.0) -> FrameResult:
    return FrameResult(
        index=index,
        capture_ns=index * 10,
        status=FrameResult.STATUS_FUSED,
        tracking=ingest_pb2.TRACKING_STATE_TRACKING,
        world_from_camera=Pose(tx=index, qw=1),
        latency_ms=latency_ms,
        stages=StageTimes(decode_ms=1, track_ms=index + 1, fuse_ms=2, mesh_ms=mesh_ms),
    )


def dropped(index: int) -> FrameResult:
    return FrameResult(index=index, status=FrameResult.STATUS_DROPPED, latency_ms=999)


def test_counts() -> None:
    tally = Tally()
    for result in (fused(0), dropped(1), fused(2)):
        tally.add_result(result, now_s=1.0)
    lost = FrameResult(index=3, tracking=ingest_pb2.TRACKING_STATE_LOST)
    lost.status = FrameResult.STATUS_NOT_FUSED
    tally.add_result(lost, now_s=2.0)
    assert (tally.tracked, tally.dropped, tally.state) == (2, 1, "lost")


def test_speed_is_answers_without_drops_over_the_time_they_took() -> None:
    tally = Tally()
    assert tally.frames_per_s == 0
    tally.add_sent(now_s=10.0)
    tally.add_sent(now_s=11.0)
    for index in range(4):
        tally.add_result(fused(index), now_s=10.5 + index / 2)
    tally.add_result(dropped(4), now_s=12.0)
    assert tally.frames_per_s == pytest.approx(4 / 2.0)


def test_latency_leaves_out_dropped_frames() -> None:
    tally = Tally()
    for latency_ms in (10, 20, 30):
        tally.add_result(fused(0, latency_ms), now_s=0)
    tally.add_result(dropped(1), now_s=0)
    assert tally.latency_ms() == Percentiles(20.0, 29.0)
    assert Tally().latency_ms() == Percentiles(0.0, 0.0)


def test_stage_medians_are_over_the_frames_that_had_the_stage() -> None:
    tally = Tally()
    for index, mesh_ms in enumerate((0, 6, 0, 8, 0)):
        tally.add_result(fused(index, mesh_ms=mesh_ms), now_s=0)
    assert tally.stage_ms() == {"decode": 1.0, "track": 3.0, "fuse": 2.0, "mesh": 7.0}


def test_live_trajectory_is_in_the_order_of_time_and_only_of_posed_frames() -> None:
    tally = Tally()
    for result in (fused(2), dropped(1), fused(0)):
        tally.add_result(result, now_s=0)
    trajectory = tally.live_trajectory()
    assert trajectory.capture_ns.tolist() == [0, 20]
    assert trajectory.world_from_camera[1][:3, 3].tolist() == [2, 0, 0]
    assert np.shape(Tally().live_trajectory().world_from_camera) == (0, 4, 4)


def test_tracking_names() -> None:
    assert tracking_name(ingest_pb2.TRACKING_STATE_RELOCALIZED) == "relocalized"
    assert tracking_name(99) == "unknown"


def test_json_has_the_documented_keys(tmp_path) -> None:
    path = tmp_path / "new" / "report.json"
    write_json(path, REPORT.to_json())
    written = json.loads(path.read_text())
    assert list(written) == [
        "frames",
        "tracked",
        "ate_live_rmse_m",
        "ate_final_rmse_m",
        "frames_per_s",
        "latency_ms",
        "stage_ms",
        "blocks",
        "triangles",
        "delta_bytes",
        "dropped",
        "map_hash",
        "sensor",
        "fused",
        "rejected",
        "rejection",
        "device",
        "map_frame",
        "true_scale",
        "keyframes",
        "corrections",
        "largest_correction_m",
        "offered_camera",
    ]
    assert written["latency_ms"] == {"p50": 20.0, "p95": 80.0}
    assert list(written["stage_ms"]) == ["decode", "track", "fuse", "mesh"]


def test_json_that_cannot_be_written_is_an_input_error(tmp_path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="cannot write"):
        write_json(tmp_path / "file" / "report.json", {})


def test_the_table_shows_every_figure() -> None:
    with console.capture() as capture:
        print_report(replace(REPORT, device="A [fast] one (cuda)"), "kitchen")
    shown = capture.get()
    for text in (
        "9 of 9 (100.0 %)",
        "0.0123 m RMSE",
        "no ground truth",
        "42.5 frames/s",
        "1,234 blocks",
        "A [fast] one (cuda)",
    ):
        assert text in shown


def test_a_replay_of_which_nothing_was_taken_is_no_success() -> None:
    replace(REPORT, rejected=REPORT.frames - 1, rejection="no room").require_a_frame()
    with pytest.raises(FrameError, match="all 10 frames were rejected: no room"):
        replace(REPORT, rejected=REPORT.frames, rejection="no room").require_a_frame()


def test_the_table_shows_how_far_keyframes_moved() -> None:
    report = replace(REPORT, keyframes=12, corrections=1345, largest_correction_m=0.0712)
    with console.capture() as capture:
        print_report(report, "kitchen")
    assert "12; moved 1,345 times, by up to 0.071 m" in capture.get()


def test_keyframes_that_move_are_counted_in_each_epoch_anew() -> None:
    def corrections(epoch: int, x_m: float) -> ingest_pb2.Corrections:
        pose = Pose(tx=x_m, qw=1)
        keyframe = ingest_pb2.KeyframePose(capture_ns=7, world_from_keyframe=pose, scale=1)
        return ingest_pb2.Corrections(epoch=epoch, keyframes=[keyframe])

    tally = Tally()
    for told in (corrections(1, 0), corrections(1, 0.25), corrections(1, 0.25), corrections(2, 9)):
        tally.add_corrections(told)
    assert (tally.moves.keyframes, tally.moves.corrections) == (1, 1)
    assert tally.moves.furthest_m == pytest.approx(0.25)


def test_the_table_of_a_monocular_replay_says_what_is_guessed() -> None:
    frame = MapFrame(
        units="unscaled",
        scale_source="none",
        depth_source="motion_stereo",
        camera_guessed=True,
        width_px=364,
        height_px=674,
        field_of_view_deg=65.0,
    )
    report = replace(
        REPORT,
        sensor="mono",
        fused=7,
        rejected=2,
        rejection="too [small]",
        map_frame=frame,
        ate_final_rmse_m=0.0456,
        true_scale=0.5,
    )
    with console.capture() as capture:
        print_report(report, "desk")
    shown = " ".join(capture.get().replace("│", " ").split())
    for text in (
        "2, the first because: too [small]",
        "motion stereo; 7 depth images in the map",
        "guessed from 364×674 (field of view 65° across the longer side)",
        "unknown: map units",
        "0.0456 m RMSE, scaled to fit",
        "0.500 m per unit of the map",
    ):
        assert text in shown
    assert json.loads(json.dumps(report.to_json()))["map_frame"]["camera_guessed"] is True


def test_a_posed_frame_without_depth_counts_as_tracked() -> None:
    tally = Tally()
    tracked = FrameResult(index=1, status=FrameResult.STATUS_TRACKED, world_from_camera=Pose(qw=1))
    refused = FrameResult(index=2, status=FrameResult.STATUS_REJECTED, reason="too small")
    later = FrameResult(index=3, status=FrameResult.STATUS_REJECTED, reason="too large")
    for result in (tracked, refused, later):
        tally.add_result(result, now_s=0)
    assert (tally.tracked, tally.rejected, tally.rejection) == (1, 2, "too small")


def test_the_line_fits_into_80_columns() -> None:
    tally = Tally(tracked=1234, state="relocalized")
    with console.capture() as capture:
        console.print(replay_line(tally, 12345, 0.0123), width=80)
    (line,) = capture.get().splitlines()
    assert "relocalized" in line
    assert "ATE 1.2 cm" in line
    assert "dropped 0" in line
