"""Where the views that went into a volume are kept, so that they can be taken out again."""

import threading
from collections import OrderedDict
from collections.abc import Callable
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from mapcast_client.v1 import ingest_pb2
from slam.frame import Frame
from slam.fused_view import decode_view, encode_view
from slam.plane_codec import encode_f32, encode_u16

MEMORY_BYTES = 512 << 20
"""Some 3,000 views of 640 × 480."""
ARRIVED_FRAMES = 16
"""Messages that wait for their views at most; a worker has fewer frames than that."""
_PACK_RAW: dict[int, tuple[Any, Callable[[NDArray[Any]], bytes], str]] = {
    ingest_pb2.IMAGE_ENCODING_DEPTH_U16: (
        ingest_pb2.IMAGE_ENCODING_DEPTH_U16_ZSTD,
        encode_u16,
        "<u2",
    ),
    ingest_pb2.IMAGE_ENCODING_DEPTH_F32: (
        ingest_pb2.IMAGE_ENCODING_DEPTH_F32_ZSTD,
        encode_f32,
        "<f4",
    ),
}
"""What a raw depth image becomes, how, and what it is."""


class FrameStore(Protocol):
    """Keeps views exactly as they were fused. Any thread may call it."""

    def put(self, view: Frame) -> None:
        """Keep a view that was fused; an older one may have to go for it."""

    def get(self, capture_ns: int) -> Frame | None:
        """The view of an instant, bit for bit; None if it is no longer stored."""


_Kept = ingest_pb2.Frame | ingest_pb2.FusedView


class MemoryFrames:
    """The newest views, in memory, compressed without loss. Implements `FrameStore`.

    Of a view that is as its sender encoded it, that is what is kept, and decoded again: pictures
    are too dear to compress twice.
    """

    def __init__(
        self, limit_bytes: int, decode: Callable[[ingest_pb2.Frame], Frame] | None = None
    ) -> None:
        """Keep at most `limit_bytes`.

        `decode` makes of a message the view that was fused; None: views are not what came.
        """
        self._limit_bytes = limit_bytes
        self._decode = decode
        self._arrived: OrderedDict[int, ingest_pb2.Frame] = OrderedDict()
        self._kept: OrderedDict[int, _Kept] = OrderedDict()
        self._size_bytes = 0
        self._changing = threading.Lock()

    @property
    def size_bytes(self) -> int:
        """What the kept views take."""
        return self._size_bytes

    def __len__(self) -> int:
        return len(self._kept)

    def arrived(self, message: ingest_pb2.Frame) -> None:
        """Take note of a frame as it came, before its view is put."""
        if self._decode is None:
            return
        with self._changing:
            self._arrived[message.capture_ns] = message
            if len(self._arrived) > ARRIVED_FRAMES:
                self._arrived.popitem(last=False)

    def put(self, view: Frame) -> None:
        """Keep a view that was fused; the oldest ones go for it."""
        with self._changing:
            message = self._arrived.pop(view.capture_ns, None)
        packed = encode_view(view) if message is None else _with_small_depth(message)
        self._keep(view.capture_ns, packed)

    def _keep(self, capture_ns: int, message: _Kept) -> None:
        with self._changing:
            replaced = self._kept.pop(capture_ns, None)
            self._size_bytes += message.ByteSize()
            self._size_bytes -= 0 if replaced is None else replaced.ByteSize()
            self._kept[capture_ns] = message
            while self._size_bytes > self._limit_bytes:
                self._size_bytes -= self._kept.popitem(last=False)[1].ByteSize()

    def get(self, capture_ns: int) -> Frame | None:
        """The view of an instant, bit for bit; None if it is no longer kept."""
        with self._changing:
            kept = self._kept.get(capture_ns)
        if isinstance(kept, ingest_pb2.FusedView):
            return decode_view(kept)
        return None if kept is None or self._decode is None else self._decode(kept)


def _with_small_depth(message: ingest_pb2.Frame) -> ingest_pb2.Frame:
    """The message, with its depth image packed if that is raw."""
    depth = message.depth
    if depth.encoding not in _PACK_RAW:
        return message
    packed = ingest_pb2.Frame()
    packed.CopyFrom(message)
    packed.depth.encoding, pack, dtype = _PACK_RAW[depth.encoding]
    packed.depth.data = pack(np.frombuffer(depth.data, dtype))
    return packed
