"""What a worker does about refinement: it says what became of it, and waits for it at the end."""

import time
from collections.abc import Callable

from fusion.live_map import LiveMap
from gpu.backend import Backend
from gpu.discovery import AUTO, CPU
from mapcast_client.v1 import ingest_pb2
from slam.refine_messages import CameraOffer
from stream import worker_pb2

FINISH_S = 15.0
"""For the last keyframes, and all of them together, when a session ends."""
_LOOK_S = 0.02


def refining_choice(choice: str, backend: Backend | None) -> str:
    """How a refining process is told of the session's device: it need not look for another one.

    `backend` is what `choice` came to; None: the CPU. `auto` takes the first GPU of a backend, as
    that backend's name alone does. Software devices are the CPU with detours.
    """
    if backend is None or backend.info.is_software:
        return CPU
    return backend.info.backend if choice.strip().lower() == AUTO else choice


def tell_refinements(live_map: LiveMap, send: Callable[[worker_pb2.FromWorker], None]) -> None:
    """Send what became of the runs since the last call."""
    for result in live_map.take_refinements():
        refined = worker_pb2.Refined(
            accepted=result.accepted,
            reason=result.reason,
            loops=result.loops,
            offer=None if result.offer is None else _message(result.offer),
            why_no_offer=result.why_no_offer,
        )
        send(worker_pb2.FromWorker(refined=refined))


def _message(offer: CameraOffer) -> ingest_pb2.CalibrationOffer:
    return ingest_pb2.CalibrationOffer(
        camera=offer.camera.to_message(),
        keyframes=offer.keyframes,
        reprojection_px=offer.reprojection_px,
    )


def finish_refinement(live_map: LiveMap, follow: Callable[[], object]) -> None:
    """Wait until all keyframes are refined, but not for ever.

    `follow` keeps the map up to date, and tells what was found.
    """
    give_up_s = time.monotonic() + FINISH_S
    while not live_map.finish_refinement() and time.monotonic() < give_up_s:
        follow()
        time.sleep(_LOOK_S)
    follow()  # what came last is to be told before the session ends
    live_map.close_refinement()
