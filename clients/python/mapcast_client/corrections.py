"""Corrections that wait: the latest word on each keyframe and frame, however many came."""

from mapcast_client.v1 import ingest_pb2


class GatheredCorrections:
    """Corrections of one epoch as one message. Memory: a row per keyframe and frame named."""

    def __init__(self) -> None:
        self._epoch = 0
        self._keyframes: dict[int, ingest_pb2.KeyframePose] = {}
        self._frames: dict[int, ingest_pb2.FrameHang] = {}

    def __bool__(self) -> bool:
        return bool(self._keyframes or self._frames)

    def add(self, corrections: ingest_pb2.Corrections) -> None:
        """Put later corrections in the place of earlier ones; another epoch's replace all."""
        if corrections.epoch != self._epoch:
            self._epoch, self._keyframes, self._frames = corrections.epoch, {}, {}
        self._keyframes.update((row.capture_ns, row) for row in corrections.keyframes)
        self._frames.update((row.capture_ns, row) for row in corrections.frames)

    def take(self) -> ingest_pb2.Corrections | None:
        """Give them all, and have none left; None if there are none."""
        if not self:
            return None
        taken = ingest_pb2.Corrections(
            epoch=self._epoch, keyframes=self._keyframes.values(), frames=self._frames.values()
        )
        self._keyframes, self._frames = {}, {}
        return taken
