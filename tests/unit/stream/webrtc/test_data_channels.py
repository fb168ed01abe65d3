"""Data channels through a whole connection: clock, status, advice and motion."""

import json
import time

import numpy as np
import pytest
from listening_session import ListeningSession, WhipServer
from webrtc_client import Pictures, WhipClient, until

from mapcast_client.v1 import ingest_pb2
from stream.webrtc import guidance


async def test_the_clock_is_told_and_the_status_comes_by_itself(
    server: WhipServer, session: ListeningSession
) -> None:
    client = WhipClient(server.http, session.whip_path, Pictures())
    await client.publish()
    await client.say(client.status, json.dumps({"type": "clock", "sent_ms": 12.5}))
    answer = await client.hear("clock", sent_ms=12.5)
    assert abs(float(str(answer["server_ms"])) - time.time() * 1e3) < 10_000
    offset = {"type": "offset", "offset_ms": 0.0, "round_trip_ms": 1.0}
    await client.say(client.status, json.dumps(offset))
    await client.say(client.status, "nonsense")
    assert "not JSON" in str((await client.hear("error"))["error"])
    status = await client.hear("status", session=session.id, guidance="")
    assert status.keys() == {
        *("type", "session", "state", "reason", "tracking", "guidance"),
        *("frames", "fused", "dropped", "fps", "latency_ms"),
    }
    await client.stop()


async def test_black_pictures_and_a_turned_phone_are_told_to_the_person(
    server: WhipServer, session: ListeningSession
) -> None:
    pictures = Pictures(320, 240)
    client = WhipClient(server.http, session.whip_path, pictures)
    await client.publish()
    pictures.is_black = True
    covered = await client.hear("status", guidance=guidance.COVERED)
    assert "one shade" in str(covered["reason"])
    pictures.is_black = False
    await client.hear("status", guidance="")
    session.map_frame.camera.width_px, session.map_frame.camera.height_px = 320, 240
    pictures.width, pictures.height = 240, 320
    await until(lambda: session.frames[-1][2:] == (240, 320))
    client.heard.clear()
    await client.hear("status", guidance=guidance.TURNED)
    await client.stop()


async def test_motion_reaches_a_session_with_an_imu_before_its_frames(server: WhipServer) -> None:
    session = await server.open(ingest_pb2.SENSOR_MONO_IMU)
    client = WhipClient(server.http, session.whip_path, Pictures())
    await client.publish()
    offset = {"type": "offset", "offset_ms": 0.0, "round_trip_ms": 1.0}
    await client.say(client.status, json.dumps(offset))
    await client.say(client.status, json.dumps({"type": "clock", "sent_ms": 1}))
    await client.hear("clock")  # and so it has heard of the offset
    now_ms = time.time() * 1e3 - 50
    text = json.dumps({"type": "imu", "t_ms": now_ms, "a": [0, 0, 9.8], "g": [1, 2, 3]})
    await client.say(client.imu, text)
    await client.say(client.imu, np.array([[now_ms + 5, 0, 0, 9.8, 1, 2, 3]]).tobytes())
    await until(lambda: len(session.samples) == 2)
    assert [sample.az for sample in session.samples] == [9.8, 9.8]
    assert session.samples[1].capture_ns - session.samples[0].capture_ns == pytest.approx(
        5e6, abs=1e3
    )
    await client.say(client.imu, "nonsense")
    await client.hear("error")
    await client.stop()


async def test_motion_that_no_sensor_measures_is_refused_and_the_video_goes_on(
    server: WhipServer,
) -> None:
    session = await server.open(ingest_pb2.SENSOR_MONO_IMU)
    client = WhipClient(server.http, session.whip_path, Pictures())
    await client.publish()
    await client.say(client.status, json.dumps({"type": "clock", "sent_ms": 1}))
    await client.hear("clock")  # errors are told on this channel
    glitch = {"type": "imu", "t_ms": time.time() * 1e3, "a": [0, 0, 1e6], "g": [0, 0, 0]}
    await client.say(client.imu, json.dumps(glitch))
    assert "az is 1e+06" in str((await client.hear("error"))["error"])
    assert server.metric("mapcast_webrtc_imu_total", outcome="refused") == 1
    frames = len(session.frames)
    await until(lambda: len(session.frames) > frames + 3)
    await client.stop()


async def test_the_status_goes_to_channels_that_are_open(
    server: WhipServer, session: ListeningSession
) -> None:
    client = WhipClient(server.http, session.whip_path, Pictures())
    await client.publish()
    await client.hear("status")
    (publisher,) = server.publishers
    client.status.close()
    await until(lambda: not publisher._status_channels)
    again = client.peer.createDataChannel("status")
    again.on("message", lambda text: client.heard.append(json.loads(text)))
    client.heard.clear()
    await client.hear("status")
    await client.stop()


async def test_motion_for_a_session_without_an_imu_is_counted_and_ignored(
    server: WhipServer, session: ListeningSession
) -> None:
    client = WhipClient(server.http, session.whip_path, Pictures())
    await client.publish()
    await client.say(client.imu, "nonsense")
    await until(lambda: server.metric("mapcast_webrtc_imu_total", outcome="ignored") == 1)
    assert session.samples == []
    await client.stop()
