"""How the frames of a bag that do not move against each other lie: /tf_static."""

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from mapcast_client.errors import InputError
from slam.geometry import Mat4, from_pose_vector, inverse

if TYPE_CHECKING:
    from rosbags.highlevel import AnyReader

_TRANSFORMS = "tf2_msgs/msg/TFMessage"
_STATIC = "/tf_static"


class StaticFrames:
    """A forest of frames: each has one parent at most."""

    def __init__(self, transforms: Iterable[tuple[str, str, Mat4]]) -> None:
        """Take (parent, child, parent_from_child); of several of one child the last counts."""
        self._parents = {child: (parent, matrix) for parent, child, matrix in transforms}

    @classmethod
    def read(cls, reader: "AnyReader") -> Self:
        """Read the topics that end in /tf_static. Raises InputError for what is no rotation."""
        connections = [
            item
            for item in reader.connections
            if item.msgtype == _TRANSFORMS and item.topic.endswith(_STATIC)
        ]
        if not connections:  # all topics are read where none is asked for
            return cls([])
        return cls(
            transform
            for connection, _, data in reader.messages(connections=connections)
            for transform in _transforms(reader.deserialize(data, connection.msgtype))
        )

    def between(self, target: str, source: str) -> Mat4 | None:
        """target_from_source along the chain over their first common frame; None: there is none."""
        from_target, from_source = self._chain(target), self._chain(source)
        common = next((frame for frame in from_source if frame in from_target), None)
        if common is None:
            return None
        return inverse(from_target[common]) @ from_source[common]

    def _chain(self, frame: str) -> dict[str, Mat4]:
        """Ancestor → ancestor_from_frame, beginning with the frame itself."""
        at, at_from_frame = frame_name(frame), np.eye(4)
        chain = {at: at_from_frame}
        while at in self._parents:
            at, parent_from_child = self._parents[at]
            if at in chain:  # a loop is no tree: what was found so far is all there is
                break
            at_from_frame = parent_from_child @ at_from_frame
            chain[at] = at_from_frame
        return chain


def frame_name(frame_id: str) -> str:
    """Early versions of ROS wrote a slash before it."""
    return frame_id.lstrip("/")


def _transforms(message: Any) -> Iterable[tuple[str, str, Mat4]]:
    for stamped in message.transforms:
        parent, child = frame_name(stamped.header.frame_id), frame_name(stamped.child_frame_id)
        shift, turn = stamped.transform.translation, stamped.transform.rotation
        vector = np.array([shift.x, shift.y, shift.z, turn.x, turn.y, turn.z, turn.w])
        if not (np.isfinite(vector).all() and vector[3:].any()):
            raise InputError(f"{_STATIC}: {child} in {parent} is no pose: {vector.tolist()}")
        yield parent, child, from_pose_vector(vector)
