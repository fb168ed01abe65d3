"""WHIP (RFC 9725): WebRTC publishers come and leave by an HTTP request each."""

from collections.abc import Awaitable, Callable, Iterable
from contextlib import suppress
from importlib.util import find_spec
from typing import TYPE_CHECKING, Annotated

from fastapi import APIRouter, Depends, Header, HTTPException, Request, Response

from mapcast_client.errors import InputError, MapcastError
from mapcast_client.v1 import ingest_pb2
from stream.config import IceServer
from stream.errors import WorkerDied
from stream.http_guard import Token
from stream.links import whip_path
from stream.new_session import NewSession
from stream.registry import Registry
from stream.session import Session

if TYPE_CHECKING:
    from stream.webrtc.connection import VideoConnection
    from stream.webrtc.publishers import Publishers

SDP = "application/sdp"
TRICKLE = "application/trickle-ice-sdpfrag"
MAX_SDP_BYTES = 64 << 10


async def _offer(request: Request) -> str:
    _require_type(request, SDP)
    return await _text(request)


def _require_type(request: Request, wanted: str) -> None:
    given = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if given != wanted:
        raise HTTPException(415, f"the content type is {given[:80] or 'missing'}, must be {wanted}")


async def _text(request: Request) -> str:
    body = await request.body()
    if len(body) > MAX_SDP_BYTES:
        raise HTTPException(413, f"the body has {len(body)} bytes, limit {MAX_SDP_BYTES}")
    try:
        return body.decode()
    except UnicodeDecodeError:
        raise HTTPException(400, "the body is not text (UTF-8)") from None


ENDPOINT = whip_path("{session_id}")
RESOURCE = f"{ENDPOINT}/{{resource}}"
_METHODS = ("GET", "HEAD", "PUT", "POST", "PATCH", "DELETE")
_ALLOWED = {
    "/whip": ("POST", "OPTIONS"),
    ENDPOINT: ("POST", "OPTIONS"),
    RESOURCE: ("PATCH", "DELETE"),
}
Offer = Annotated[str, Depends(_offer)]
"""A route's parameter: the SDP that the request brings."""


def open_publishers(registry: Registry) -> "Publishers | None":
    """The publishers of a server; None where aiortc is not installed."""
    if find_spec("aiortc") is None:
        return None
    from stream.webrtc.publishers import Publishers

    return Publishers(registry.config, registry.metrics)


def whip_router(registry: Registry, publishers: "Publishers | None") -> APIRouter:
    """`/whip`, which opens a session, and a session's own endpoint and resources."""
    router = APIRouter(tags=["whip"])
    if publishers is None:
        _refuse_all(router)
        return router
    _add_endpoints(router, registry, publishers)
    _add_resources(router, registry, publishers)
    for path, allowed in _ALLOWED.items():
        methods = [method for method in _METHODS if method not in allowed]
        router.add_api_route(path, _refuse(allowed), methods=methods, include_in_schema=False)
    return router


def _refuse_all(router: APIRouter) -> None:
    async def explain() -> Response:
        """This server takes no WebRTC."""
        raise HTTPException(501, "this server lacks aiortc: pip install 'mapcast[webrtc]'")

    for path, allowed in _ALLOWED.items():
        router.add_api_route(path, explain, methods=list(allowed))


def _refuse(allowed: tuple[str, ...]) -> Callable[[], Awaitable[Response]]:
    """A route for the other methods: without it they would be asked of the viewer's files."""

    async def refuse() -> Response:
        headers = {"Allow": ", ".join(allowed)}
        raise HTTPException(405, f"only {headers['Allow']} can be done here", headers)

    return refuse


def _add_endpoints(router: APIRouter, registry: Registry, publishers: "Publishers") -> None:
    access = registry.access

    async def start(session: Session, connection: "VideoConnection", owns: bool) -> Response:
        publisher, answer = await publishers.start(session, connection, owns)
        resource = f"{whip_path(session.id)}/{publisher.resource}"
        headers = {"Location": resource, "ETag": publisher.etag}
        response = Response(answer, 201, headers, SDP)
        _add_links(response, registry.config.ice_servers)
        return response

    @router.post("/whip", status_code=201)
    async def publish_new(request: Request, offer: Offer, token: Token) -> Response:
        """Open a session by query parameters, and stream into it. Server token."""
        access.require_server(token)
        wanted = NewSession.parse(request.query_params)
        connection = await publishers.connect(offer)
        try:
            session = await registry.open(wanted.to_message())
        except BaseException:
            await connection.close()
            raise
        try:
            return await start(session, connection, owns=True)
        except MapcastError:
            await registry.remove(session.id, "its publisher could not connect")
            raise

    @router.post(ENDPOINT, status_code=201)
    async def publish(session_id: str, offer: Offer, token: Token) -> Response:
        """Stream into a session. Publish token."""
        access.require_publish(session_id, token)
        session = registry.get(session_id)
        if session.sensor == ingest_pb2.SENSOR_RGBD:
            raise InputError(f"session {session.id} is of an RGB-D camera: WebRTC brings no depth")
        return await start(session, await publishers.connect(offer), owns=False)

    @router.options("/whip")
    @router.options(ENDPOINT)
    async def describe(token: Token) -> Response:
        """What may be posted; credentials of TURN servers are told to those who have a token."""
        trusted = access.is_known(token)
        servers = [at for at in registry.config.ice_servers if trusted or not at.credential]
        headers = {"Accept-Post": SDP, "Allow": "POST, OPTIONS"}
        response = Response(status_code=204, headers=headers)
        _add_links(response, servers)
        return response


def _add_links(response: Response, servers: Iterable[IceServer]) -> None:
    for server in servers:
        response.headers.append("Link", _link(server))


def _link(server: IceServer) -> str:
    """RFC 9725, section 4.6."""
    link = f'<{server.urls}>; rel="ice-server"'
    if not server.credential:
        return link
    return (
        f'{link}; username="{server.username}"; credential="{server.credential}"; '
        'credential-type="password"'
    )


def _add_resources(router: APIRouter, registry: Registry, publishers: "Publishers") -> None:
    access = registry.access

    @router.patch(RESOURCE, status_code=204)
    async def trickle(
        session_id: str,
        resource: str,
        request: Request,
        token: Token,
        if_match: Annotated[str | None, Header()] = None,
    ) -> Response:
        """Tell further ICE candidates (RFC 8840). Publish token."""
        access.require_publish(session_id, token)
        publisher = publishers.get(session_id, resource)
        _require_type(request, TRICKLE)
        _require_match(if_match, publisher.etag)
        if not await publisher.connection.trickle(await _text(request)):
            raise HTTPException(422, "ICE restarts are not supported: post a new offer")
        return Response(status_code=204)

    @router.delete(RESOURCE)
    async def stop(session_id: str, resource: str, token: Token) -> Response:
        """End the stream; a session that `/whip` opened is finished. Publish token."""
        access.require_publish(session_id, token)
        if await publishers.end(session_id, resource):
            with suppress(WorkerDied):  # its map so far stays, as ever
                await registry.get(session_id).finish()
        return Response(status_code=200)


def _require_match(given: str | None, etag: str) -> None:
    """RFC 9725, section 4.3.1: the candidates must be of this ICE session."""
    if given is None:
        raise HTTPException(428, "If-Match is missing: it must be the ETag of the answer")
    if given == "*":
        raise HTTPException(422, "ICE restarts are not supported: post a new offer")
    if etag not in [tag.strip() for tag in given.split(",")]:
        raise HTTPException(412, f"If-Match is {given[:80]}, the ICE session is {etag}")


__all__ = ["open_publishers", "whip_router"]
