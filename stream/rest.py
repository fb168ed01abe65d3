"""HTTP: sessions, exports, health, metrics, the WebSocket of subscribers, and the viewer."""

import asyncio
import json
from typing import Any

import numpy as np
from fastapi import FastAPI, Request, Response, WebSocket, WebSocketDisconnect
from fastapi.responses import JSONResponse, PlainTextResponse
from fastapi.staticfiles import StaticFiles
from google.protobuf.json_format import MessageToDict
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from mapcast_client.errors import InputError, MapcastError
from stream.errors import ServerError, ServerFull, SessionBusy, SessionNotFound, WorkerDied
from stream.exports import CONTENT_TYPES, export_mesh, trajectory_tum
from stream.registry import Registry
from stream.session import Session
from stream.subscribe import Subscription

HTTP_STATUS = {
    SessionNotFound: 404,
    ServerFull: 503,
    SessionBusy: 409,
    WorkerDied: 409,
    InputError: 400,
    ServerError: 504,
}


def create_app(registry: Registry) -> FastAPI:
    """The HTTP side of a server."""
    app = FastAPI(title="mapcast", version="1", description="Live dense maps from any camera.")
    app.add_exception_handler(MapcastError, _explain)
    _add_sessions(app, registry)
    _add_health(app, registry)
    app.add_api_websocket_route(
        "/v1/sessions/{session_id}/subscribe", _subscribe_route(registry), name="subscribe"
    )
    if registry.config.web_dir is not None:
        app.mount("/", StaticFiles(directory=registry.config.web_dir, html=True))
    return app


async def _explain(request: Request, error: Exception) -> Response:
    status = next((code for kind, code in HTTP_STATUS.items() if isinstance(error, kind)), 500)
    return JSONResponse({"error": str(error)}, status_code=status)


def _info(session: Session) -> dict[str, Any]:
    info: dict[str, Any] = MessageToDict(
        session.info(), preserving_proto_field_name=True, always_print_fields_with_no_presence=True
    )
    info["tracking"] = info["tracking"].removeprefix("TRACKING_STATE_").lower()
    return info


def _add_sessions(app: FastAPI, registry: Registry) -> None:
    @app.get("/v1/sessions", tags=["sessions"])
    async def list_sessions() -> dict[str, Any]:
        """All sessions, oldest first; 64-bit integers are strings."""
        return {"sessions": [_info(session) for session in registry.sessions()]}

    @app.get("/v1/sessions/{session_id}", tags=["sessions"])
    async def get_session(session_id: str) -> dict[str, Any]:
        """One session."""
        return _info(registry.get(session_id))

    @app.delete("/v1/sessions/{session_id}", status_code=204, tags=["sessions"])
    async def delete_session(session_id: str) -> None:
        """End a session and forget its map."""
        await registry.remove(session_id, "the session was deleted")

    @app.post("/v1/sessions/{session_id}/finish", tags=["sessions"])
    async def finish_session(session_id: str) -> dict[str, Any]:
        """Process what was taken and take no more; the map stays."""
        session = registry.get(session_id)
        await session.finish()
        return _info(session)

    @app.get("/v1/sessions/{session_id}/map.{mesh_format}", tags=["exports"])
    async def get_map(session_id: str, mesh_format: str) -> Response:
        """The map as PLY, OBJ or GLB, in metres, with colours."""
        session = registry.get(session_id)
        data = await export_mesh(session, mesh_format)
        disposition = f'attachment; filename="{session.id}.{mesh_format}"'
        return Response(
            data,
            media_type=CONTENT_TYPES[mesh_format],
            headers={"Content-Disposition": disposition},
        )

    @app.get("/v1/sessions/{session_id}/trajectory.tum", tags=["exports"])
    async def get_trajectory(session_id: str) -> PlainTextResponse:
        """The corrected path: lines of time (s), tx ty tz (m), qx qy qz qw."""
        return PlainTextResponse(await trajectory_tum(registry.get(session_id)))


def _add_health(app: FastAPI, registry: Registry) -> None:
    @app.get("/healthz", tags=["health"])
    async def healthz() -> PlainTextResponse:
        """Whether the process answers."""
        return PlainTextResponse("ok\n")

    @app.get("/readyz", tags=["health"])
    async def readyz() -> Response:
        """Whether a session could be opened now."""
        over = sum(session.is_over for session in registry.sessions())
        used = len(registry.sessions()) - over
        if used >= registry.config.max_sessions:
            return PlainTextResponse(f"{used} sessions are open, the limit\n", status_code=503)
        return PlainTextResponse("ready\n")

    @app.get("/metrics", tags=["health"])
    async def metrics() -> Response:
        """Prometheus metrics."""
        registry.count_states()
        return Response(generate_latest(registry.metrics.registry), media_type=CONTENT_TYPE_LATEST)


def _subscribe_route(registry: Registry) -> Any:
    async def subscribe(socket: WebSocket, session_id: str) -> None:
        await socket.accept()
        stall_s = registry.config.subscriber_stall_timeout_s

        async def send(delta: bytes) -> None:
            async with asyncio.timeout(stall_s):
                await socket.send_bytes(delta)

        try:
            subscription = _subscription(dict(socket.query_params))
            with registry.follower(session_id, subscription) as follower:
                async with asyncio.TaskGroup() as tasks:
                    tasks.create_task(follower.follow(send))
                    tasks.create_task(_listen(socket, subscription))
        except* MapcastError as group:
            refusal = group.exceptions[0]
            await socket.close(_close_code(refusal), str(refusal)[:120])
        except* (WebSocketDisconnect, TimeoutError):
            pass  # it left, or reads nothing any more

    return subscribe


def _close_code(error: Exception) -> int:
    """The WebSocket's close code, as MAP_DELTA.md lists them."""
    codes = {SessionNotFound: 4404, ServerFull: 1013}
    return next((code for kind, code in codes.items() if isinstance(error, kind)), 4400)


def _subscription(query: dict[str, str]) -> Subscription:
    """Read the query string. Raises InputError, naming the parameter."""
    subscription = Subscription()
    if query.get("layers"):
        subscription.layers = tuple(query["layers"].split(","))
    subscription.compression = query.get("compression", subscription.compression)
    for name, kind in (
        ("since", int),
        ("epoch", int),
        ("max_bytes_per_s", float),
        ("max_messages_per_s", float),
    ):
        try:
            setattr(subscription, name, kind(query.get(name, 0)))
        except (ValueError, OverflowError):
            raise InputError(f"{name} is {query[name]!r:.40}, must be a number") from None
    return subscription


async def _listen(socket: WebSocket, subscription: Subscription) -> None:
    """Take what the subscriber changes. Raises InputError, WebSocketDisconnect."""
    while True:
        message = await socket.receive()
        if message["type"] == "websocket.disconnect":
            raise WebSocketDisconnect(message.get("code", 1005))
        try:
            wishes = json.loads(message.get("text") or "")
            if "viewpoint" in wishes:
                subscription.viewpoint = np.array(wishes["viewpoint"], np.float64)
            for name in ("max_bytes_per_s", "max_messages_per_s"):
                if name in wishes:
                    setattr(subscription, name, float(wishes[name]))
        except (ValueError, TypeError, OverflowError, RecursionError) as error:
            raise InputError(f"not a subscriber's message: {error}") from None
        subscription.check()


__all__ = ["create_app"]
