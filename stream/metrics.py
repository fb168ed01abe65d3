"""What Prometheus is told. One registry per server, so that several may run in one process."""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from mapcast_client.v1 import ingest_pb2

STAGE_BUCKETS_S = (0.001, 0.0025, 0.005, 0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28)
STATUS_NAMES = {
    value.number: value.name.removeprefix("STATUS_").lower()
    for value in ingest_pb2.FrameResult.Status.DESCRIPTOR.values
}


class Metrics:
    """The server's counters."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.frames = Counter(
            "mapcast_frames", "Frames answered.", ["status"], registry=self.registry
        )
        self.stages = Histogram(
            "mapcast_stage_seconds",
            "Busy time of a stage per frame; mesh: per update.",
            ["stage"],
            buckets=STAGE_BUCKETS_S,
            registry=self.registry,
        )
        self.latency = Histogram(
            "mapcast_frame_latency_seconds",
            "Frame received to result sent.",
            buckets=(0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56),
            registry=self.registry,
        )
        self.sessions = Gauge(
            "mapcast_sessions", "Sessions by state.", ["state"], registry=self.registry
        )
        self.subscribers = Gauge("mapcast_subscribers", "Subscribers now.", registry=self.registry)
        self.delta_bytes = Counter(
            "mapcast_delta_bytes", "Bytes of map deltas sent.", ["layer"], registry=self.registry
        )
        self.encoded = Counter(
            "mapcast_deltas_encoded",
            "Deltas encoded; each serves every subscriber that needs the same.",
            ["layer"],
            registry=self.registry,
        )
        self.worker_deaths = Counter(
            "mapcast_worker_deaths", "Workers that died under a session.", registry=self.registry
        )
        self.views_moved = Counter(
            "mapcast_views_moved",
            "Views taken out of a map and put in at their corrected pose.",
            registry=self.registry,
        )
        self.views_pending = Gauge(
            "mapcast_views_pending",
            "Views that wait to be moved to their corrected pose.",
            registry=self.registry,
        )
        self.device_memory_bytes = Gauge(
            "mapcast_device_memory_bytes",
            "Memory of devices that sessions' volumes take.",
            registry=self.registry,
        )
        self.device_memory_limit_bytes = Gauge(
            "mapcast_device_memory_limit_bytes",
            "Memory of devices that sessions' volumes may take.",
            registry=self.registry,
        )
        self.spilled_blocks = Gauge(
            "mapcast_spilled_blocks",
            "Blocks of volumes that are in main memory, because their device is full.",
            registry=self.registry,
        )
        self.views_frozen = Counter(
            "mapcast_views_frozen",
            "Views that were to move and stayed: they are not stored any more.",
            registry=self.registry,
        )
        self.refinements = Counter(
            "mapcast_refinements",
            "Runs of background refinement, by what became of them.",
            ["result"],
            registry=self.registry,
        )
        self.refined_loops = Counter(
            "mapcast_refined_loops",
            "Pairs of keyframes that refinement recognised and the tracker had not.",
            registry=self.registry,
        )
        self.calibration_offers = Counter(
            "mapcast_calibration_offers",
            "Cameras that refinement found, by what became of them.",
            ["result"],
            registry=self.registry,
        )
        self.recorded_bytes = Counter(
            "mapcast_recorded_bytes", "Bytes written to recordings.", registry=self.registry
        )
        self.recording_failures = Counter(
            "mapcast_recording_failures",
            "Recordings that ended before their session.",
            registry=self.registry,
        )

        self.webrtc_frames = Counter(
            "mapcast_webrtc_frames",
            "Decoded video frames by what became of them; dropped: a newer one came first.",
            ["outcome"],
            registry=self.registry,
        )
        self.webrtc_gap = Histogram(
            "mapcast_webrtc_gap_seconds",
            "From one complete video frame to the next.",
            buckets=(0.02, 0.04, 0.08, 0.16, 0.32, 0.5, 1.0, 2.0),
            registry=self.registry,
        )
        self.webrtc_keyframe_requests = Counter(
            "mapcast_webrtc_keyframe_requests",
            "Picture loss indications sent to WebRTC publishers.",
            registry=self.registry,
        )
        self.webrtc_imu = Counter(
            "mapcast_webrtc_imu",
            "IMU samples of WebRTC publishers by what became of them.",
            ["outcome"],
            registry=self.registry,
        )

    def observe(self, result: ingest_pb2.FrameResult) -> None:
        """Count an answered frame and its stages."""
        self.frames.labels(STATUS_NAMES[result.status]).inc()
        self.latency.observe(result.latency_ms / 1e3)
        stages = result.stages
        for stage, busy_ms in (
            ("decode", stages.decode_ms),
            ("track", stages.track_ms),
            ("fuse", stages.fuse_ms),
        ):
            if busy_ms:
                self.stages.labels(stage).observe(busy_ms / 1e3)
