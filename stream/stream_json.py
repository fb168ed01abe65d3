"""The JSON of `/ws/stream`: what a client's messages mean, and answers in its words."""

import json
from typing import Annotated, Any, Literal, Self

from google.protobuf.json_format import MessageToDict
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from mapcast_client.errors import InputError
from mapcast_client.v1 import ingest_pb2, maps_pb2
from mapcast_client.v1.ingest_pb2 import ClientMessage, Control
from stream.counts import TRACKING_NAMES
from stream.links import export_paths
from stream.metrics import STATUS_NAMES
from stream.new_session import NewSession, explain

MAX_TEXT_CHARS = 1 << 16
_CONTROLS = {
    "pause": Control.ACTION_PAUSE,
    "resume": Control.ACTION_RESUME,
    "reset": Control.ACTION_RESET,
    "finish": Control.ACTION_FINISH,
}


class Hello(NewSession):
    """The first message: the settings of a new session, or the one to join."""

    type: Literal["hello"] = "hello"
    session: str = ""
    token: Annotated[str, Field(repr=False)] = ""
    """Where the handshake could not bring it in a header."""

    @classmethod
    def read(cls, text: str | None) -> Self:
        """The hello in a text message. Raises InputError."""
        if text is None:
            raise InputError("the first message must be a JSON hello, it is binary")
        return cls.parse(_json(text))

    def to_message(self) -> ingest_pb2.OpenSession:
        """The wire's form."""
        message = super().to_message()
        message.session = self.session
        return message


class Announcement(BaseModel):
    """A text message after the hello: a control, or what is known of the next image."""

    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)

    type: Literal["frame", "pause", "resume", "reset", "finish"]
    capture_ns: Annotated[int, Field(ge=0, lt=1 << 63)] | None = None
    index: Annotated[int, Field(ge=0, lt=1 << 63)] | None = None


class ImageReader:
    """Turns a client's texts and images into messages, and counts and dates the images."""

    def __init__(self) -> None:
        self._next = Announcement(type="frame")
        self._index = 0
        self._newest_ns = 0

    def read(self, text: str | None, data: bytes | None, now_ns: int) -> ClientMessage | None:
        """One message of the client; None: it announced an image. Raises InputError.

        An image whose capture time was not announced is taken to be from `now_ns`.
        """
        if data is not None:
            return ClientMessage(frame=self._frame(data, now_ns)) if data else _control("finish")
        said = _announcement(text or "")
        if said.type == "frame":
            self._next = said
            return None
        return _control(said.type)

    def _frame(self, data: bytes, now_ns: int) -> ingest_pb2.Frame:
        announced, self._next = self._next, Announcement(type="frame")
        encoding = _encoding(data)
        index = self._index if announced.index is None else announced.index
        capture_ns = announced.capture_ns
        if capture_ns is None:  # its arrival; the clock may have been set back
            capture_ns = max(now_ns, self._newest_ns + 1)
        self._index = index + 1
        self._newest_ns = capture_ns
        return ingest_pb2.Frame(
            index=index,
            capture_ns=capture_ns,
            color=ingest_pb2.Image(encoding=encoding, data=data),
        )


def opened_words(opened: ingest_pb2.Opened) -> dict[str, Any]:
    """The session that was opened or joined."""
    names = ("session", "epoch", "window", "viewer_path", "watch_token", "publish_token")
    return {"type": "opened", **{name: getattr(opened, name) for name in names}}


def progress_words(result: ingest_pb2.FrameResult) -> dict[str, Any]:
    """What became of an image."""
    pose = result.world_from_camera
    has_pose = result.HasField("world_from_camera")
    vector = [pose.tx, pose.ty, pose.tz, pose.qx, pose.qy, pose.qz, pose.qw]
    return {
        "type": "progress",
        "index": result.index,
        "status": STATUS_NAMES[result.status],
        "reason": result.reason,
        "tracking": TRACKING_NAMES[result.tracking],
        "inliers": result.inliers,
        "keyframe": result.keyframe,
        "pose": vector if has_pose else None,
        "latency_ms": round(result.latency_ms, 2),
    }


def partial_words(info: maps_pb2.SessionInfo) -> dict[str, Any]:
    """How far the map is."""
    names = ("frames", "fused", "dropped", "blocks", "triangles", "revision")
    counts = {name: getattr(info, name) for name in names}
    return {"type": "partial_result", **counts, "map_hash": str(info.map_hash)}


def final_words(finished: ingest_pb2.Finished, session_id: str, viewer_path: str) -> dict[str, Any]:
    """What the map came to, and where it is."""
    names = ("frames", "fused", "dropped", "revision")
    counts = {name: getattr(finished, name) for name in names}
    links = export_paths(session_id) | {"viewer": viewer_path}
    return {
        "type": "final_result",
        **counts,
        "map_hash": str(finished.map_hash),
        "links": links,
    }


def offer_words(offer: ingest_pb2.CalibrationOffer) -> dict[str, Any]:
    """The camera that was found to fit better."""
    words: dict[str, Any] = MessageToDict(
        offer, preserving_proto_field_name=True, always_print_fields_with_no_presence=True
    )
    return {"type": "calibration_offer", **words}


def error_words(message: str, fatal: bool) -> dict[str, Any]:
    """What did not do; after a fatal one the socket is closed."""
    return {"type": "error", "message": message, "fatal": fatal}


def _announcement(text: str) -> Announcement:
    try:
        return Announcement.model_validate(_json(text))
    except ValidationError as error:
        raise InputError(explain(error.errors())) from None


def _json(text: str) -> dict[str, Any]:
    if len(text) > MAX_TEXT_CHARS:
        raise InputError(f"a text message has {len(text)} characters, limit {MAX_TEXT_CHARS}")
    try:
        values = json.loads(text)
    except (ValueError, RecursionError):
        raise InputError("a text message is not JSON") from None
    if not isinstance(values, dict):
        raise InputError("a text message is no JSON object")
    return values


def _control(name: str) -> ClientMessage:
    return ClientMessage(control=Control(action=_CONTROLS[name]))


def _encoding(data: bytes) -> ingest_pb2.ImageEncoding:
    """By the file's first bytes. Raises InputError."""
    if data.startswith(b"\xff\xd8\xff"):
        return ingest_pb2.IMAGE_ENCODING_JPEG
    if data.startswith(b"\x89PNG\r\n\x1a\n"):
        return ingest_pb2.IMAGE_ENCODING_PNG
    if data.startswith(b"RIFF") and data[8:12] == b"WEBP":
        return ingest_pb2.IMAGE_ENCODING_WEBP
    raise InputError(
        f"a binary message of {len(data)} bytes is no JPEG, PNG or WebP: "
        f"it begins with {data[:8].hex(' ')}"
    )
