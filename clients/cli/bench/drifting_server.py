"""`mapcast`, whose sessions run `drifting_worker`: `python -m` it as `clients.cli.main`."""

from clients.cli.main import app
from stream import worker_process

if __name__ == "__main__":
    worker_process.WORKER_MODULE = "clients.cli.bench.drifting_worker"
    app()
