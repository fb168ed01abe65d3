"""What WHIP refuses, with the status code and the reason."""

import re
import socket

import pytest
from listening_session import ListeningSession, WhipServer, whip_server
from webrtc_client import SDP, an_offer

from mapcast_client.v1 import ingest_pb2
from stream import whip
from stream.config import IceServer, ServerConfig


def without_video(offer: str) -> str:
    return re.sub(r"m=video.*?(?=m=|\Z)", "", offer, flags=re.DOTALL).replace(
        "BUNDLE 0 ", "BUNDLE "
    )


def with_av1_only(offer: str) -> str:
    offer = re.sub(r"a=(rtpmap|rtcp-fb|fmtp):(99|1\d\d|98).*\r\n", "", offer)
    return offer.replace("VP8/90000", "AV1/90000")


def with_high_profile_only(offer: str) -> str:
    offer = offer.replace("VP8/90000", "VP9/90000").replace("42e01f", "640c1f")
    return offer.replace("42001f", "640c1f")


@pytest.mark.parametrize(
    ("spoil", "status", "reason"),
    [
        (lambda _: "", 400, "not SDP"),
        (lambda _: '{"type": "offer"}', 400, "not SDP"),
        (lambda _: "v=0\r\nm=video", 400, "malformed"),
        (lambda _: "v=0\r\n", 400, "no video"),
        (lambda offer: offer + "m=audio 9 RTP/AVP 0\r\n" * 7, 400, "9 media sections, limit 8"),
        (without_video, 400, "no video, only application"),
        (with_av1_only, 406, "AV1; VP8 or H264 is needed"),
        (with_high_profile_only, 406, "baseline"),
        (lambda offer: offer.replace("a=sendrecv", "a=recvonly"), 400, "recvonly"),
        (lambda offer: re.sub("a=ice-ufrag:.*\r\n", "", offer), 400, "ICE credentials"),
        (lambda offer: re.sub("a=setup:.*\r\n", "", offer), 400, "DTLS"),
        (lambda offer: re.sub("a=fingerprint:.*\r\n", "", offer), 400, "DTLS"),
        (lambda offer: offer.replace("a=setup:actpass", "a=setup:nonsense"), 400, "malformed"),
        (lambda offer: offer.replace("a=rtcp-mux\r\n", ""), 400, "rtcp-mux"),
        (lambda offer: re.sub("a=group:BUNDLE.*\r\n", "", offer), 400, "bundled"),
        (lambda offer: offer.replace("a=fmtp:98", "a=fmtp:77"), 400, "malformed"),
        (lambda offer: re.sub("a=candidate:\\S+", "a=candidate:x y", offer), 400, "malformed"),
    ],
)
async def test_an_offer_that_does_not_do_is_refused_with_its_reason(
    server: WhipServer, session: ListeningSession, spoil, status: int, reason: str
) -> None:
    offer = await an_offer()
    spoilt = spoil(offer)
    assert spoilt != offer
    for path in (session.whip_path, "/whip"):
        response = await server.http.post(path, content=spoilt, headers=SDP)
        assert response.status_code == status, response.text
        assert reason in response.json()["error"]
    assert server.registry.sessions() == [session], "no session was opened for it"
    assert session.sender is None


async def test_other_content_is_refused(server: WhipServer, session: ListeningSession) -> None:
    async def status(**request: object) -> int:
        return (await server.http.post(session.whip_path, **request)).status_code

    assert await status(json={}) == 415
    assert await status(content="v=0") == 415
    assert await status(content=b"\xff\xfe", headers=SDP) == 400
    assert await status(content=b"v=0\r\n".ljust((64 << 10) + 1), headers=SDP) == 413
    assert await status(content=b"v=0\r\n".ljust(64 << 10), headers=SDP) == 400
    assert await status(content=b"v=0" * 200_000, headers=SDP) == 413


async def test_an_rgbd_session_takes_no_video_without_depth(server: WhipServer) -> None:
    session = await server.open(ingest_pb2.SENSOR_RGBD)
    refused = await server.http.post(session.whip_path, content=await an_offer(), headers=SDP)
    assert refused.status_code == 400
    assert "no depth" in refused.json()["error"]


async def test_unknown_sessions_and_resources(
    server: WhipServer, session: ListeningSession
) -> None:
    offer = await an_offer()
    unknown = await server.http.post("/v1/sessions/none/whip", content=offer, headers=SDP)
    assert unknown.status_code == 404
    assert (await server.http.delete(f"{session.whip_path}/none")).status_code == 404


@pytest.mark.parametrize("path", ["/whip", "/v1/sessions/s0/whip"])
async def test_the_endpoint_tells_what_it_takes(server: WhipServer, path: str) -> None:
    options = await server.http.options(path)
    assert options.status_code == 204
    assert options.headers["Accept-Post"] == "application/sdp"
    for method in ("GET", "PUT", "DELETE"):
        response = await server.http.request(method, path)
        assert response.status_code == 405
        assert response.headers["Allow"] == "POST, OPTIONS"


async def test_tokens_and_ice_servers() -> None:
    ice_servers = (
        IceServer("stun:127.0.0.1:9"),
        IceServer("turn:turn.example:3478", "ann", "secret"),
    )
    closed = ServerConfig(
        http_port=0,
        grpc_port=0,
        access="closed",
        api_token="a-server-token",
        ice_servers=ice_servers,
    )
    async with whip_server(closed) as server:
        session = await server.open()
        tokens = server.registry.access.tokens(session.id)

        async def status(path: str, token: str) -> int:
            headers = SDP | ({"Authorization": f"Bearer {token}"} if token else {})
            return (await server.http.post(path, content="", headers=headers)).status_code

        for path in (session.whip_path, "/whip"):
            assert await status(path, "") == 401
            assert await status(path, tokens.watch) == 403
            assert await status(path, "a-server-token") == 400, "allowed, and no SDP"
        assert await status(session.whip_path, tokens.publish) == 400
        assert await status("/whip", tokens.publish) == 403
        resource = f"{session.whip_path}/r"
        assert (await server.http.delete(resource)).status_code == 401
        assert (await server.http.patch(resource)).status_code == 401
        anonymous = (await server.http.options("/whip")).headers.get_list("Link")
        assert anonymous == ['<stun:127.0.0.1:9>; rel="ice-server"'], "credentials need a token"
        bearer = {"Authorization": f"Bearer {tokens.publish}"}
        links = (await server.http.options(session.whip_path, headers=bearer)).headers["Link"]
        assert 'username="ann"; credential="secret"; credential-type="password"' in links


async def test_without_a_free_udp_port_no_session_is_left_behind() -> None:
    with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as taken:
        taken.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        taken.bind(("::", 0))
        port = taken.getsockname()[1]
        config = ServerConfig(http_port=0, grpc_port=0, udp_port_min=port, udp_port_max=port)
        async with whip_server(config) as server:
            session = await server.open()
            for path in ("/whip", session.whip_path):
                refused = await server.http.post(path, content=await an_offer(), headers=SDP)
                assert refused.status_code == 503
                assert str(port) in refused.json()["error"]
            assert server.registry.sessions() == [session]
            assert session.sender is None


async def test_without_aiortc_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(whip, "find_spec", lambda name: None)
    async with whip_server() as server:
        response = await server.http.post("/whip", content="v=0", headers=SDP)
        assert response.status_code == 501
        assert "webrtc" in response.json()["error"]
