"""What tests of the pages share: a server that serves them, and a headless Chromium."""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, NoReturn

import pytest
from playwright.async_api import Browser

from clients.cli.bench.chromium import chromium as headless_chromium
from clients.cli.connection import web_bundle
from mapcast_client.errors import DependencyError
from stream.config import ServerConfig, user_cache

CAMERA_FLAGS = (
    "--use-fake-device-for-media-stream",
    "--allow-loopback-in-peer-connection",
)


def missing(reason: str) -> NoReturn:
    """Skip a test for what a developer's machine may lack; CI installs it, and fails without."""
    if os.environ.get("CI"):
        pytest.fail(reason)
    pytest.skip(reason)


def pages_config(**settings: Any) -> ServerConfig:
    """A server on free ports that serves the pages."""
    bundle = web_bundle()
    if bundle is None:
        missing("the pages are not built: run `python tools/build_web.py`")
    return ServerConfig(http_port=0, grpc_port=0, cache=user_cache(), web_dir=bundle, **settings)


@asynccontextmanager
async def chromium(*flags: str) -> AsyncIterator[Browser]:
    """A Chromium that draws without a GPU."""
    try:
        async with headless_chromium(*flags) as browser:
            yield browser
    except DependencyError as absent:
        missing(str(absent))
