"""HTTP: the application and what its errors look like; its routes are in files of their own."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from fastapi.staticfiles import StaticFiles
from starlette.exceptions import HTTPException
from starlette.middleware.cors import CORSMiddleware

from gpu.backend import BackendError
from mapcast_client.errors import InputError, MapcastError
from stream.errors import (
    Forbidden,
    FrameMissing,
    MapNotFound,
    ServerError,
    ServerFull,
    SessionBusy,
    SessionNotFound,
    Unauthenticated,
    UnsupportedCodec,
    WorkerDied,
)
from stream.http_guard import HttpGuard
from stream.new_session import explain
from stream.registry import Registry
from stream.rest_maps import maps_router
from stream.rest_server import server_router
from stream.rest_sessions import sessions_router
from stream.websocket_ingest import ingest_router
from stream.websocket_stream import stream_router
from stream.websocket_subscribe import subscribe_router
from stream.whip import whip_router

if TYPE_CHECKING:
    from stream.webrtc.publishers import Publishers

HTTP_STATUS = {
    Unauthenticated: 401,
    Forbidden: 403,
    SessionNotFound: 404,
    MapNotFound: 404,
    FrameMissing: 404,
    ServerFull: 503,
    SessionBusy: 409,
    WorkerDied: 409,
    BackendError: 503,
    UnsupportedCodec: 406,
    InputError: 400,
    ServerError: 504,
}


def create_app(
    registry: Registry, publishers: "Publishers | None" = None, public_urls: Sequence[str] = ()
) -> FastAPI:
    """The HTTP side of a server, which others reach at `public_urls`."""
    app = FastAPI(title="mapcast", version="1", description="Live dense maps from any camera.")
    app.add_exception_handler(MapcastError, _explain)
    app.add_exception_handler(RequestValidationError, _explain_validation)
    app.add_exception_handler(HTTPException, _explain_http)
    app.include_router(sessions_router(registry))
    app.include_router(maps_router(registry))
    app.include_router(server_router(registry, public_urls))
    app.include_router(subscribe_router(registry))
    app.include_router(ingest_router(registry))
    app.include_router(stream_router(registry))
    app.include_router(whip_router(registry, publishers))
    config = registry.config
    if config.web_dir is not None:
        app.mount("/", StaticFiles(directory=config.web_dir, html=True))
    if config.cors_origins:
        app.add_middleware(
            CORSMiddleware,
            allow_origins=config.cors_origins,
            allow_methods=["*"],
            allow_headers=["*"],
            expose_headers=["Location", "ETag", "Link"],
        )
    guarded = None if config.is_closed else config.host
    app.add_middleware(HttpGuard, open_host=guarded, origins=config.cors_origins)
    return app


async def _explain(request: Request, error: Exception) -> Response:
    status = next((code for kind, code in HTTP_STATUS.items() if isinstance(error, kind)), 500)
    headers = {"WWW-Authenticate": "Bearer"} if status == 401 else None
    return JSONResponse({"error": str(error)}, status, headers)


async def _explain_validation(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    return JSONResponse({"error": explain(error.errors())}, 422)


async def _explain_http(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    return JSONResponse({"error": error.detail}, error.status_code, error.headers)


__all__ = ["create_app"]
