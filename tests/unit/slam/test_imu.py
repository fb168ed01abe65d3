import numpy as np
import pytest

from mapcast_client.errors import FrameError, InputError
from mapcast_client.v1 import ingest_pb2
from slam.imu import MAX_BATCH_SAMPLES, ImuBuffer, ImuSamples

MS = 1_000_000


def ramp(*times_ms: float) -> ImuSamples:
    """Each value is the time in milliseconds, times 1 to 6."""
    times = np.array(times_ms, np.float64)
    values = times[:, None] * np.arange(1, 7) / 1000
    return ImuSamples((times * MS).astype(np.int64), values)


def gx(buffer: ImuBuffer, at_ms: int, index: int = 0) -> list[float]:
    return (buffer.until(at_ms * MS, index)[1][:, 0] * 1000).round(6).tolist()


@pytest.fixture
def buffer() -> ImuBuffer:
    return ImuBuffer(200.0)


def test_samples_come_off_the_wire() -> None:
    sample = ingest_pb2.ImuSample(capture_ns=7, gx=1, gy=2, gz=3, ax=4, ay=5, az=6)
    samples = ImuSamples.from_message(ingest_pb2.ImuBatch(samples=[sample]))
    assert samples.capture_ns.tolist() == [7]
    assert samples.values.tolist() == [[1, 2, 3, 4, 5, 6]]
    assert ImuSamples.from_message(ingest_pb2.ImuBatch()).values.shape == (0, 6)


@pytest.mark.parametrize(
    ("axis", "value", "message"),
    [
        ("gy", float("nan"), "IMU sample 0: gy is nan, must be within 100 either way"),
        ("gz", -101, "gz is -101"),
        ("az", float("inf"), "az is inf, must be within 1000"),
    ],
)
def test_what_no_sensor_measures_is_refused(axis: str, value: float, message: str) -> None:
    batch = ingest_pb2.ImuBatch(samples=[ingest_pb2.ImuSample(**{axis: value})])
    with pytest.raises(InputError, match=message):
        ImuSamples.from_message(batch)


def test_a_batch_has_an_end() -> None:
    batch = ingest_pb2.ImuBatch(samples=[ingest_pb2.ImuSample()] * MAX_BATCH_SAMPLES)
    assert len(ImuSamples.from_message(batch).capture_ns) == MAX_BATCH_SAMPLES
    batch.samples.add()
    with pytest.raises(InputError, match="a batch has 2001 IMU samples, limit 2000"):
        ImuSamples.from_message(batch)


def test_wrong_shapes_are_refused() -> None:
    with pytest.raises(InputError, match=r"must be \(N,\) and \(N, 6\)"):
        ImuSamples(np.zeros(2, np.int64), np.zeros((2, 7)))


def test_each_interval_is_filled_evenly_up_to_its_frame(buffer: ImuBuffer) -> None:
    buffer.add(ramp(0, 7, 13, 21, 30, 42))
    assert gx(buffer, 10) == [10], "before the first frame there is nothing to integrate"
    fractions, values = buffer.until(40 * MS, 1)
    np.testing.assert_allclose(fractions, np.arange(1, 7) / 6)
    np.testing.assert_allclose(values[:, 0] * 1000, [15, 20, 25, 30, 35, 40])
    np.testing.assert_allclose(values[:, 5], 6 * values[:, 0])


def test_short_intervals_and_slow_sensors_get_four_samples_all_the_same(buffer: ImuBuffer) -> None:
    buffer.add(ramp(0, 100))
    gx(buffer, 10)
    assert gx(buffer, 12) == [10.5, 11, 11.5, 12]


def test_order_repetition_and_batches_make_no_difference(buffer: ImuBuffer) -> None:
    in_order = ImuBuffer(200.0)
    in_order.add(ramp(0, 5, 10, 15, 20))
    for batch in (ramp(5, 0, 0), ramp(), ramp(15, 10, 5, 15), ramp(20, 3)):
        buffer.add(batch)
    for at_ms in (2, 20):
        assert gx(buffer, at_ms) == gx(in_order, at_ms)


def test_the_last_sample_is_held_for_a_tenth_of_a_second(buffer: ImuBuffer) -> None:
    with pytest.raises(FrameError, match="frame 3: needs IMU samples: there are none before it"):
        buffer.until(0, 3)
    buffer.add(ramp(0, 10))
    assert gx(buffer, 0) == [0]
    with pytest.raises(FrameError, match=r"frame 4: .* they end 101000000 ns before it"):
        buffer.until(111 * MS, 4)
    assert gx(buffer, 20) == [5, 10, 10, 10], "the refused frame changed nothing"


def test_the_buffer_is_bounded(buffer: ImuBuffer) -> None:
    for start in range(0, 50_000, 10_000):
        buffer.add(ramp(*(np.arange(start, start + 10_000) * 0.1)))
    assert buffer.kept == 20_000
    buffer.until(4_999 * MS, 0)
    assert buffer.kept == 10


def test_a_sample_from_the_future_silences_no_later_one(buffer: ImuBuffer) -> None:
    buffer.add(ramp(0, 10, 20))
    gx(buffer, 20)
    buffer.add(ImuSamples(np.array([10**18]), np.full((1, 6), 99.0)))
    buffer.add(ramp(25, 30, 35, 40))
    assert gx(buffer, 40)[-1] == 40
