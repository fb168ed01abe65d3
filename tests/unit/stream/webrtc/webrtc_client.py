"""A WHIP publisher made of aiortc itself, and one that is not there any more."""

import asyncio
import json
from collections.abc import Callable

import httpx
import numpy as np
from aiortc import (
    RTCConfiguration,
    RTCDataChannel,
    RTCPeerConnection,
    RTCSessionDescription,
    VideoStreamTrack,
)
from av import VideoFrame

SDP = {"Content-Type": "application/sdp"}
FRAME_S = 1 / 30
TIMEOUT_S = 20.0


class Pictures(VideoStreamTrack):
    """Pictures of moving stripes, or black ones; their size may change while they play."""

    def __init__(self, width: int = 320, height: int = 240) -> None:
        super().__init__()
        self.width, self.height, self.is_black = width, height, False
        self._played = 0

    async def recv(self) -> VideoFrame:
        pts, time_base = await self.next_timestamp()
        luma = np.zeros((self.height * 3 // 2, self.width), np.uint8)
        if not self.is_black:
            luma += np.roll(np.arange(self.width), 4 * self._played).astype(np.uint8)
        frame = VideoFrame.from_ndarray(luma, format="yuv420p")
        frame.pts, frame.time_base = pts, time_base
        self._played += 1
        return frame


class WhipClient:
    """Publishes pictures to an endpoint."""

    def __init__(self, http: httpx.AsyncClient, path: str, pictures: Pictures) -> None:
        self._http = http
        self._path = path
        self.peer = RTCPeerConnection(RTCConfiguration(iceServers=[]))
        self.peer.addTrack(pictures)
        self.status = self.peer.createDataChannel("status")
        self.imu = self.peer.createDataChannel("imu", ordered=False, maxRetransmits=0)
        self.heard: list[dict[str, object]] = []
        self.status.on("message", lambda text: self.heard.append(json.loads(text)))
        self.response: httpx.Response

    async def offer(self) -> str:
        await self.peer.setLocalDescription(await self.peer.createOffer())
        return self.peer.localDescription.sdp

    async def publish(self, timeout_s: float = TIMEOUT_S) -> None:
        self.response = await self._http.post(self._path, content=await self.offer(), headers=SDP)
        self.response.raise_for_status()
        answer = RTCSessionDescription(self.response.text, "answer")
        await self.peer.setRemoteDescription(answer)
        await until(lambda: self.peer.connectionState == "connected", timeout_s)

    @property
    def resource(self) -> str:
        return self.response.headers["Location"]

    async def say(self, channel: RTCDataChannel, message: str | bytes) -> None:
        await until(lambda: channel.readyState == "open")
        channel.send(message)

    async def hear(self, kind: str, **values: object) -> dict[str, object]:
        """Wait for a message of a kind with such values."""

        def matches(message: dict[str, object]) -> bool:
            return message["type"] == kind and values.items() <= message.items()

        await until(lambda: any(map(matches, self.heard)))
        return next(message for message in reversed(self.heard) if matches(message))

    async def stop(self) -> int:
        """Say goodbye; returns the status code."""
        response = await self._http.delete(self.resource)
        await self.peer.close()
        return response.status_code

    async def vanish(self) -> None:
        """End without a word, as a phone out of reach."""
        for transceiver in self.peer.getTransceivers():
            agent = transceiver.receiver.transport.transport._connection
            for protocol in agent._protocols:
                protocol.transport.abort()
        await self.peer.close()


async def an_offer() -> str:
    """An offer of video that nobody follows up."""
    peer = RTCPeerConnection(RTCConfiguration(iceServers=[]))
    peer.addTrack(Pictures())
    peer.createDataChannel("status")
    await peer.setLocalDescription(await peer.createOffer())
    offer = peer.localDescription.sdp
    await peer.close()
    return offer


async def until(condition: Callable[[], bool], timeout_s: float = TIMEOUT_S) -> None:
    """Wait for a condition."""
    async with asyncio.timeout(timeout_s):
        while not condition():
            await asyncio.sleep(0.01)
