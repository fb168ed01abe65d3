"""What refinement has come to in one session: counted, and the camera that it found."""

import logging

from mapcast_client.v1.ingest_pb2 import CalibrationOffer
from stream.metrics import Metrics
from stream.worker_pb2 import Refined

logger = logging.getLogger(__name__)


class RefinementTally:
    """Takes what became of each run, and keeps the newest offer of a camera."""

    def __init__(self, session: str, metrics: Metrics, offer: CalibrationOffer | None) -> None:
        """`session` is its id; `offer`: from before its server ended."""
        self.offer = offer
        """None: nothing better than the session's own camera is known."""
        self._session = session
        self._metrics = metrics

    def take(self, refined: Refined) -> CalibrationOffer | None:
        """Count a run; returns the camera that it offers."""
        self._metrics.refinements.labels("accepted" if refined.accepted else "rejected").inc()
        self._metrics.refined_loops.inc(refined.loops)
        if not refined.accepted:
            logger.info("session %s: a refinement was rejected: %s", self._session, refined.reason)
        if refined.why_no_offer:
            self._metrics.calibration_offers.labels("withheld").inc()
            reason = refined.why_no_offer
            logger.info("session %s: a camera was found, not offered: %s", self._session, reason)
        if not refined.HasField("offer"):
            return None
        self._metrics.calibration_offers.labels("offered").inc()
        self.offer = refined.offer
        logger.info(
            "session %s: offers a camera of fx %.1f, fy %.1f px, from %d keyframes",
            self._session,
            self.offer.camera.fx_px,
            self.offer.camera.fy_px,
            self.offer.keyframes,
        )
        return self.offer
