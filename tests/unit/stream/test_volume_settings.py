"""What the wire's settings make of a volume."""

from fusion.volume import VolumeSettings
from gpu.kernels.depth_filter import MOST
from mapcast_client.v1 import ingest_pb2
from stream.map_builder import MONOCULAR_MIN_WEIGHT, volume_settings


def opened(sensor: int, **fusion: bool) -> VolumeSettings:
    settings = ingest_pb2.FusionSettings(**fusion)
    return volume_settings(ingest_pb2.OpenSession(sensor=sensor, fusion=settings))


def test_what_is_not_asked_for_is_as_everywhere() -> None:
    assert opened(ingest_pb2.SENSOR_RGBD) == VolumeSettings()


def test_no_view_of_filtered_depth_is_meshed_alone() -> None:
    settings = opened(ingest_pb2.SENSOR_RGBD, depth_filter=True)

    assert settings.depth_filter
    assert settings.min_weight > MOST


def test_estimated_depth_is_not_filtered() -> None:
    settings = opened(ingest_pb2.SENSOR_MONO, depth_filter=True)

    assert not settings.depth_filter
    assert settings.min_weight == MONOCULAR_MIN_WEIGHT
