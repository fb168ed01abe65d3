"""Two hundred WebRTC publishers come and go; the server is left as it was."""

import asyncio
import gc
import threading
from dataclasses import dataclass

import httpx
import numpy as np
import psutil
from aiortc import RTCConfiguration, RTCPeerConnection, RTCSessionDescription, VideoStreamTrack
from av import VideoFrame

from stream.config import ServerConfig
from stream.server import serve

WARM_UP, PUBLISHERS = 20, 200
WIDTH, HEIGHT = 160, 120
SETTLE_S, POLL_S = 30.0, 0.05
GROWTH_LIMIT_MB = 8.0
"""Of the heap's fragments; a publisher's frame buffers alone are more, two hundred times."""


class Stripes(VideoStreamTrack):
    """A small still picture, again and again."""

    async def recv(self) -> VideoFrame:
        pts, time_base = await self.next_timestamp()
        luma = np.tile(np.arange(WIDTH, dtype=np.uint8), (HEIGHT * 3 // 2, 1))
        frame = VideoFrame.from_ndarray(luma, format="yuv420p")
        frame.pts, frame.time_base = pts, time_base
        return frame


@dataclass(frozen=True)
class Held:
    """What this process holds, the server and its publishers in it."""

    descriptors: int
    tasks: int
    threads: int

    @classmethod
    def now(cls) -> "Held":
        process = psutil.Process()
        return cls(process.num_fds(), len(asyncio.all_tasks()), threading.active_count())


async def frames(http: httpx.AsyncClient, session: str) -> int:
    return int((await http.get(f"/v1/sessions/{session}")).json()["frames"])


async def come_and_go(http: httpx.AsyncClient, session: str) -> None:
    """Publish until a frame has arrived, and leave."""
    peer = RTCPeerConnection(RTCConfiguration(iceServers=[]))
    peer.addTrack(Stripes())
    peer.createDataChannel("status")
    await peer.setLocalDescription(await peer.createOffer())
    offer, headers = peer.localDescription.sdp, {"Content-Type": "application/sdp"}
    before = await frames(http, session)
    answer = await http.post(f"/v1/sessions/{session}/whip", content=offer, headers=headers)
    answer.raise_for_status()
    await peer.setRemoteDescription(RTCSessionDescription(answer.text, "answer"))
    async with asyncio.timeout(SETTLE_S):
        while await frames(http, session) == before:
            await asyncio.sleep(POLL_S)
    (await http.delete(answer.headers["Location"])).raise_for_status()
    await peer.close()
    gc.collect()  # closed connections are cycles: what grows is then not just waiting for it


async def test_two_hundred_publishers_leave_nothing_behind() -> None:
    config = ServerConfig(http_port=0, grpc_port=0, keep_warm_worker=False)
    async with (
        serve(config) as server,
        httpx.AsyncClient(base_url=server.http_url, trust_env=False, timeout=30) as http,
    ):
        created = await http.post("/v1/sessions", json={"name": "soak"})
        session = created.json()["session"]
        for _ in range(WARM_UP):
            await come_and_go(http, session)
        before, before_bytes = Held.now(), psutil.Process().memory_info().rss
        for _ in range(PUBLISHERS):
            await come_and_go(http, session)
        async with asyncio.timeout(SETTLE_S):
            while Held.now() != before:
                await asyncio.sleep(POLL_S)
        grown_mb = (psutil.Process().memory_info().rss - before_bytes) / 1e6
    assert grown_mb < GROWTH_LIMIT_MB
