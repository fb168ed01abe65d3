"""WHIP from the offer to the frames, as publishers do it."""

import asyncio
import re
import time

import numpy as np
from listening_session import ListeningSession, WhipServer
from webrtc_client import SDP, Pictures, WhipClient, until

from mapcast_client.v1 import ingest_pb2

TRICKLE = {"Content-Type": "application/trickle-ice-sdpfrag"}


async def test_frames_arrive_with_capture_times_that_increase(
    server: WhipServer, session: ListeningSession
) -> None:
    client = WhipClient(server.http, session.whip_path, Pictures(320, 240))
    await client.publish()
    response = client.response
    assert response.status_code == 201
    assert response.headers["Content-Type"].startswith("application/sdp")
    assert client.resource.startswith(session.whip_path + "/")
    assert re.fullmatch('"[0-9a-f]+"', response.headers["ETag"])
    assert "x-google-start-bitrate=2000" in response.text
    await until(lambda: len(session.frames) >= 30)
    indices, capture_ns, widths, heights = zip(*session.frames, strict=True)
    assert indices == tuple(range(len(indices)))
    assert set(zip(widths, heights, strict=True)) == {(320, 240)}
    assert all(np.diff(capture_ns) > 0)
    assert abs(capture_ns[-1] - time.time_ns()) < 5e9
    assert session.newest.encoding == ingest_pb2.IMAGE_ENCODING_I420
    assert len(session.newest.data) == 320 * 240 * 3 // 2
    assert await client.stop() == 200
    assert session.sender is None
    assert not session.is_over, "another publisher may go on"


async def test_the_general_endpoint_opens_a_session_and_its_delete_finishes_it(
    server: WhipServer,
) -> None:
    client = WhipClient(server.http, "/whip?name=walk", Pictures())
    await client.publish()
    (session,) = server.registry.sessions()
    assert session.sensor == ingest_pb2.SENSOR_MONO
    await until(lambda: len(session.frames) > 3)
    assert await client.stop() == 200
    assert session.is_over


async def test_a_publisher_that_closes_before_it_says_so_is_heard_all_the_same(
    server: WhipServer,
) -> None:
    client = WhipClient(server.http, "/whip", Pictures())
    await client.publish()
    (session,) = server.registry.sessions()
    await client.peer.close()
    await until(lambda: session.sender is None)
    assert (await server.http.delete(client.resource)).status_code == 200
    assert session.is_over
    assert (await server.http.delete(client.resource)).status_code == 404


async def test_a_late_goodbye_does_not_end_what_another_publisher_goes_on_with(
    server: WhipServer,
) -> None:
    first = WhipClient(server.http, "/whip", Pictures())
    await first.publish()
    (session,) = server.registry.sessions()
    await first.peer.close()
    await until(lambda: session.sender is None)
    second = WhipClient(server.http, session.whip_path, Pictures())
    await second.publish()
    assert await first.stop() == 200
    assert not session.is_over
    assert await second.stop() == 200


async def test_of_two_goodbyes_at_once_one_is_heard(server: WhipServer) -> None:
    client = WhipClient(server.http, "/whip", Pictures())
    await client.publish()
    leaving = [server.http.delete(client.resource) for _ in range(2)]
    answers = await asyncio.gather(*leaving)
    assert sorted(answer.status_code for answer in answers) == [200, 404]
    await client.peer.close()


async def test_trickled_candidates_are_taken_for_the_right_offer_only(
    server: WhipServer, session: ListeningSession
) -> None:
    client = WhipClient(server.http, session.whip_path, Pictures())
    offer = await client.offer()
    bare = "".join(line for line in offer.splitlines(True) if not line.startswith("a=candidate"))
    client.response = await server.http.post(session.whip_path, content=bare, headers=SDP)
    credentials = "".join(re.findall("a=ice-(?:ufrag|pwd):.*\r\n", offer)[:2])
    candidates = "".join(re.findall("a=candidate:.*\r\n", offer))
    fragment = f"{credentials}m=video 9 UDP/TLS/RTP/SAVPF 97\r\na=mid:0\r\n{candidates}"
    etag = {"If-Match": client.response.headers["ETag"]}

    async def patch(headers: dict[str, str], body: str = fragment) -> int:
        response = await server.http.patch(client.resource, content=body, headers=headers)
        return response.status_code

    assert await patch(TRICKLE) == 428
    assert await patch(TRICKLE | {"If-Match": '"other"'}) == 412
    assert await patch(TRICKLE | {"If-Match": "*"}) == 422
    assert await patch(SDP | etag) == 415
    assert await patch(TRICKLE | etag, "nonsense") == 400
    assert await patch(TRICKLE | etag, "a=candidate:nonsense") == 400
    restart = "a=ice-ufrag:other\r\na=ice-pwd:0123456789012345678901\r\n"
    assert await patch(TRICKLE | etag, restart) == 422
    assert await patch(TRICKLE | etag) == 204
    answer = type(client.peer.localDescription)(client.response.text, "answer")
    await client.peer.setRemoteDescription(answer)
    await until(lambda: len(session.frames) > 3)
    await client.stop()
    assert await patch(TRICKLE | etag) == 404
