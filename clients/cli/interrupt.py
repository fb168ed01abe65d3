"""Ctrl-C and SIGTERM as an event to wait for, so that a command can end in order."""

import asyncio
import signal


def on_interrupt() -> asyncio.Event:
    """Give an event that the first SIGINT or SIGTERM from now on sets."""
    interrupted = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, interrupted.set)
    return interrupted
