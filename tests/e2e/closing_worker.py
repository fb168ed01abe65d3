"""A worker whose tracker is off by decimetres when it closes its loop, after two seconds."""

from clients.cli.bench.drifting_worker import main

if __name__ == "__main__":
    main(closes_at_frame=60, drift_share=0.1)
