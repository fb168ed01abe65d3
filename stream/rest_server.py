"""REST: the server itself, its health and its metrics."""

import time
from collections.abc import Sequence
from importlib.metadata import version
from importlib.util import find_spec
from typing import Any

from fastapi import APIRouter, Response
from fastapi.responses import PlainTextResponse
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from stream.config import IceServer
from stream.http_guard import Token
from stream.registry import Registry


def server_router(registry: Registry, public_urls: Sequence[str]) -> APIRouter:
    """`/v1/server`, `/healthz`, `/readyz` and `/metrics`."""
    router = APIRouter()
    access, config = registry.access, registry.config

    @router.get("/v1/server", tags=["server"])
    async def get_server(token: Token) -> dict[str, Any]:
        """What this server can do, where others reach it, and its clock (Unix milliseconds).

        Needs no token; credentials of TURN servers are told to those who have one.
        """
        trusted = access.is_known(token)
        return {
            "version": version("mapcast"),
            "time_ms": time.time_ns() / 1e6,
            "access": "closed" if access.is_closed else "open",
            "webrtc": find_spec("aiortc") is not None,
            "public_urls": list(public_urls),
            "ice_servers": [
                _rtc_ice_server(server)
                for server in config.ice_servers
                if trusted or not server.credential
            ],
            "depth_models": registry.depth_models.names(),
        }

    @router.get("/healthz", tags=["health"])
    async def healthz() -> PlainTextResponse:
        """Whether the process answers."""
        return PlainTextResponse("ok\n")

    @router.get("/readyz", tags=["health"])
    async def readyz() -> Response:
        """Whether a session could be opened now."""
        over = sum(session.is_over for session in registry.sessions())
        used = len(registry.sessions()) - over
        if used >= config.max_sessions:
            return PlainTextResponse(f"{used} sessions are open, the limit\n", status_code=503)
        return PlainTextResponse("ready\n")

    @router.get("/metrics", tags=["health"])
    async def metrics(token: Token) -> Response:
        """Prometheus metrics. Server token."""
        access.require_server(token)
        registry.count_states()
        return Response(generate_latest(registry.metrics.registry), media_type=CONTENT_TYPE_LATEST)

    return router


def _rtc_ice_server(server: IceServer) -> dict[str, str]:
    """In the form that RTCPeerConnection takes."""
    if not server.credential:
        return {"urls": server.urls}
    return {"urls": server.urls, "username": server.username, "credential": server.credential}
