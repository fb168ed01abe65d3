"""REST: maps that are saved by name."""

import asyncio
from typing import Any

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict

from fusion.saved_map import MapSummary
from mapcast_client.errors import InputError
from stream.http_guard import Token
from stream.registry import Registry
from stream.saved_maps import SavedMaps


class MapName(BaseModel):
    """How a map is to be called."""

    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)

    name: str


def maps_router(registry: Registry) -> APIRouter:
    """`/v1/maps`, and `save` of a session."""
    router = APIRouter(prefix="/v1")
    access = registry.access
    saving = asyncio.Lock()
    """One writes at a time: two in one map's folder would clear away each other's files."""

    @router.post("/sessions/{session_id}/save", status_code=201, tags=["maps"])
    async def save_session(session_id: str, wanted: MapName, token: Token) -> dict[str, Any]:
        """Save the map as it is now; one of that name is replaced. Server token."""
        access.require_server(token)
        session = registry.get(session_id)
        folder = registry.maps.path(wanted.name)
        async with saving:
            await session.save(folder)
        return await asyncio.to_thread(_info, registry.maps, wanted.name)

    @router.get("/maps", tags=["maps"])
    async def list_maps(token: Token) -> dict[str, Any]:
        """All saved maps, by name; `error` says what is wrong with one. Server token."""
        access.require_server(token)
        return {"maps": await asyncio.to_thread(_all, registry.maps)}

    @router.get("/maps/{name}", tags=["maps"])
    async def get_map(name: str, token: Token) -> dict[str, Any]:
        """One saved map. Server token."""
        access.require_server(token)
        return await asyncio.to_thread(_info, registry.maps, name)

    @router.delete("/maps/{name}", status_code=204, tags=["maps"])
    async def delete_map(name: str, token: Token) -> None:
        """Remove a saved map; sessions that began with it are not touched. Server token."""
        access.require_server(token)
        await asyncio.to_thread(registry.maps.delete, name)

    return router


def _all(maps: SavedMaps) -> list[dict[str, Any]]:
    infos = []
    for name in maps.names():
        try:
            infos.append(_info(maps, name))
        except InputError as error:
            infos.append({"name": name, "error": str(error)})
    return infos


def _info(maps: SavedMaps, name: str) -> dict[str, Any]:
    summary: MapSummary = maps.summary(name)
    return {
        "name": name,
        "blocks": summary.block_count,
        "views": summary.view_count,
        "size_bytes": summary.size_bytes,
        "voxel_size_m": summary.settings.voxel_size_m,
        "width_px": summary.camera.width_px,
        "height_px": summary.camera.height_px,
        "scale_source": summary.scale.source,
        "recording": summary.recording,
    }
