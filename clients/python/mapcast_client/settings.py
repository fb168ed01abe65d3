"""What a session is asked for by name, and what that is on the wire."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import TypeVar

from mapcast_client.errors import InputError
from mapcast_client.v1 import ingest_pb2

SENSORS: Mapping[str, ingest_pb2.Sensor] = MappingProxyType(
    {
        "rgbd": ingest_pb2.SENSOR_RGBD,
        "mono": ingest_pb2.SENSOR_MONO,
        "mono_imu": ingest_pb2.SENSOR_MONO_IMU,
    }
)
POLICIES: Mapping[str, ingest_pb2.Policy] = MappingProxyType(
    {"live": ingest_pb2.POLICY_LIVE, "lossless": ingest_pb2.POLICY_LOSSLESS}
)
POSE_SOURCES: Mapping[str, ingest_pb2.PoseSource] = MappingProxyType(
    {"tracked": ingest_pb2.POSE_SOURCE_TRACKED, "given": ingest_pb2.POSE_SOURCE_GIVEN}
)
DEPTH_SOURCES: Mapping[str, ingest_pb2.DepthSettings.Source] = MappingProxyType(
    {
        "auto": ingest_pb2.DepthSettings.SOURCE_UNSPECIFIED,
        "motion_stereo": ingest_pb2.DepthSettings.SOURCE_MOTION_STEREO,
        "network": ingest_pb2.DepthSettings.SOURCE_NETWORK,
        "fused": ingest_pb2.DepthSettings.SOURCE_FUSED,
    }
)
_Wire = TypeVar("_Wire")


def wire_value(what: str, name: str, values: Mapping[str, _Wire]) -> _Wire:
    """The wire's value of a name. Raises InputError."""
    if name not in values:
        raise InputError(f"{what} is {name!r}, must be one of {', '.join(values)}")
    return values[name]
