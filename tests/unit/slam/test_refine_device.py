"""Refinement's matching on a device: what it finds is the CPU's, and what fails is done there."""

import os
from functools import cache

import numpy as np
import pytest

pytest.importorskip("pycolmap", reason="refinement needs pycolmap: pip install 'mapcast[refine]'")

from refined_walk import frames, picture, request, sequence, shaken

from gpu.backend import BackendError
from gpu.discovery import AUTO, CPU, choose
from slam import refine_device
from slam.refine_device import MatchingDevice
from slam.refine_features import FeatureExtractor, Features
from slam.refine_matching import match
from slam.refine_messages import RefineRequest, RefineStart
from slam.refine_run import Refinement

OPENCL = "opencl"
"""PoCL, where there is no GPU."""


@pytest.fixture(scope="module")
def opencl() -> str:
    try:
        choose(OPENCL)
    except BackendError as error:
        if os.environ.get("CI") == "true":
            raise
        pytest.skip(f"no {OPENCL}: {error}")
    return OPENCL


@pytest.fixture(autouse=True)
def _warnings(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("WARNING", refine_device.__name__)


@cache
def features() -> tuple[Features, Features]:
    extractor = FeatureExtractor()
    first, second = (extractor.extract(picture(frame)) for frame in frames()[:2])
    return first, second


def test_a_device_matches_as_the_cpu_does(opencl: str, caplog: pytest.LogCaptureFixture) -> None:
    device, expected = MatchingDevice(opencl), match(*features(), MatchingDevice())

    for _ in range(2):
        found = match(*features(), device)
        np.testing.assert_array_equal(found, expected)
        assert found.dtype == expected.dtype
    assert len(expected) > 100
    assert not caplog.messages, "the device did it"


def test_a_run_on_a_device_finds_what_one_on_the_cpu_finds(
    opencl: str, caplog: pytest.LogCaptureFixture
) -> None:
    few = RefineRequest(request(shaken()).pictures[:4], shaken(), is_whole=True)
    on_cpu, on_device = (
        Refinement(RefineStart(sequence().calibration.camera, False, backend))
        for backend in (CPU, opencl)
    )

    expected, found = on_cpu.run(few), on_device.run(few)

    assert len(on_cpu._matches) >= 3
    assert on_device._matches.keys() == on_cpu._matches.keys()
    for pair, matches in on_cpu._matches.items():
        np.testing.assert_array_equal(on_device._matches[pair], matches)
    assert found.accepted
    assert found.reprojection_px == pytest.approx(expected.reprojection_px)
    for on_device_too, given in zip(found.constraints, expected.constraints, strict=True):
        np.testing.assert_allclose(
            on_device_too.first_from_second, given.first_from_second, atol=1e-9
        )
    assert not caplog.messages, "the device did it"


def require_the_cpu(device: MatchingDevice, caplog: pytest.LogCaptureFixture, reason: str) -> None:
    """That matches are right, and that what is wrong with the device is said once."""
    for _ in range(2):
        np.testing.assert_array_equal(
            match(*features(), device), match(*features(), MatchingDevice())
        )
    (message,) = caplog.messages
    assert message.startswith("refinement matches on the CPU from now on: ")
    assert reason in message


def test_without_room_the_cpu_matches(opencl: str, caplog: pytest.LogCaptureFixture) -> None:
    require_the_cpu(MatchingDevice(opencl, 200_000), caplog, "limit 200000")


def test_without_the_device_the_cpu_matches(caplog: pytest.LogCaptureFixture) -> None:
    require_the_cpu(MatchingDevice(f"{OPENCL}:99"), caplog, f"{OPENCL}:99 is not there")


def test_where_a_driver_is_broken_the_cpu_matches(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(_choice: str) -> None:
        raise OSError("it has its own ways")

    monkeypatch.setattr(refine_device, "choose", broken)
    require_the_cpu(MatchingDevice("cuda"), caplog, "it has its own ways")


def test_nobody_looks_for_drivers_for_the_cpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(refine_device, "choose", pytest.fail)
    assert len(match(*features(), MatchingDevice())) > 100


def test_drivers_are_looked_for_once(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    asked: list[str] = []
    monkeypatch.setattr(refine_device, "choose", asked.append)  # it finds no GPU
    device = MatchingDevice(AUTO)
    for _ in range(2):
        assert len(match(*features(), device)) > 100
    assert asked == [AUTO]
    assert not caplog.messages
