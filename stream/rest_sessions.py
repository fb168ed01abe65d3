"""REST: sessions, from their creation to their exports."""

from typing import Any

from fastapi import APIRouter, Response
from fastapi.responses import PlainTextResponse
from google.protobuf.json_format import MessageToDict

from stream.exports import CONTENT_TYPES, export_mesh, picture_jpeg, trajectory_tum
from stream.http_guard import Token
from stream.links import camera_path, viewer_path, whip_path
from stream.new_session import NewSession
from stream.registry import Registry
from stream.session import Session


def sessions_router(registry: Registry) -> APIRouter:
    """`/v1/sessions` and what is below it, but for the streams."""
    router = APIRouter(prefix="/v1/sessions")
    _add_sessions(router, registry)
    _add_controls(router, registry)
    _add_exports(router, registry)
    return router


def session_info(session: Session) -> dict[str, Any]:
    """What lists and clients are told; 64-bit integers are strings."""
    info: dict[str, Any] = MessageToDict(
        session.info(), preserving_proto_field_name=True, always_print_fields_with_no_presence=True
    )
    for name, prefix in (("tracking", "TRACKING_STATE_"), ("sensor", "SENSOR_")):
        info[name] = info[name].removeprefix(prefix).lower()
    return info


def _add_sessions(router: APIRouter, registry: Registry) -> None:
    access = registry.access

    @router.get("", tags=["sessions"])
    async def list_sessions(token: Token) -> dict[str, Any]:
        """All sessions, oldest first; 64-bit integers are strings. Server token."""
        access.require_server(token)
        return {"sessions": [session_info(session) for session in registry.sessions()]}

    @router.post("", status_code=201, tags=["sessions"])
    async def create_session(wanted: NewSession, token: Token, response: Response) -> Any:
        """Open a session for a sender to come: WHIP, a WebSocket or gRPC. Server token."""
        access.require_server(token)
        session = await registry.open(wanted.to_message())
        tokens = access.tokens(session.id)
        response.headers["Location"] = f"/v1/sessions/{session.id}"
        return {
            "session": session.id,
            "publish_token": tokens.publish,
            "watch_token": tokens.watch,
            "whip_path": whip_path(session.id),
            "viewer_path": viewer_path(session.id, tokens),
            "camera_path": camera_path(session.id, tokens),
        }

    @router.get("/{session_id}", tags=["sessions"])
    async def get_session(session_id: str, token: Token) -> dict[str, Any]:
        """One session. Watch token."""
        access.require_watch(session_id, token)
        return session_info(registry.get(session_id))

    @router.delete("/{session_id}", status_code=204, tags=["sessions"])
    async def delete_session(session_id: str, token: Token) -> None:
        """End a session and forget its map and its recording. Publish token."""
        access.require_publish(session_id, token)
        await registry.delete(session_id)


def _add_controls(router: APIRouter, registry: Registry) -> None:
    def controlled(session_id: str, token: str) -> Session:
        registry.access.require_publish(session_id, token)
        return registry.get(session_id)

    @router.post("/{session_id}/finish", tags=["control"])
    async def finish_session(session_id: str, token: Token) -> dict[str, Any]:
        """Process what was taken and take no more; the map stays. Publish token."""
        session = controlled(session_id, token)
        await session.finish()
        return session_info(session)

    @router.post("/{session_id}/pause", tags=["control"])
    async def pause_session(session_id: str, token: Token) -> dict[str, Any]:
        """Drop frames until it is resumed. Publish token."""
        session = controlled(session_id, token)
        session.pause()
        return session_info(session)

    @router.post("/{session_id}/resume", tags=["control"])
    async def resume_session(session_id: str, token: Token) -> dict[str, Any]:
        """Take frames again. Publish token."""
        session = controlled(session_id, token)
        session.resume()
        return session_info(session)

    @router.post("/{session_id}/reset", tags=["control"])
    async def reset_session(session_id: str, token: Token) -> dict[str, Any]:
        """Start over with an empty map in a new epoch. Publish token."""
        session = controlled(session_id, token)
        await session.reset()
        return session_info(session)


def _add_exports(router: APIRouter, registry: Registry) -> None:
    def watched(session_id: str, token: str) -> Session:
        registry.access.require_watch(session_id, token)
        return registry.get(session_id)

    @router.get("/{session_id}/map.{mesh_format}", tags=["exports"])
    async def get_map(session_id: str, mesh_format: str, token: Token) -> Response:
        """The map as PLY, OBJ or GLB, with colours, in the session's `units`. Watch token."""
        session = watched(session_id, token)
        data = await export_mesh(session, mesh_format)
        disposition = f'attachment; filename="{session.id}.{mesh_format}"'
        return Response(
            data,
            media_type=CONTENT_TYPES[mesh_format],
            headers={"Content-Disposition": disposition},
        )

    @router.get("/{session_id}/trajectory.tum", tags=["exports"])
    async def get_trajectory(session_id: str, token: Token) -> PlainTextResponse:
        """The corrected path: lines of time (s), tx ty tz, qx qy qz qw. Watch token."""
        return PlainTextResponse(await trajectory_tum(watched(session_id, token)))

    @router.get("/{session_id}/frame.jpg", tags=["exports"])
    async def get_picture(session_id: str, token: Token) -> Response:
        """What the camera sees: the newest frame's colour. Watch token."""
        picture = await picture_jpeg(watched(session_id, token))
        headers = {"Cache-Control": "no-store"}
        return Response(picture, media_type="image/jpeg", headers=headers)
