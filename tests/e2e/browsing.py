"""What tests of the pages share: a server that serves them, and a headless Chromium."""

import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from playwright.async_api import Browser, async_playwright

from stream.config import ServerConfig, user_cache

BUNDLE = Path(__file__).resolve().parents[2] / "clients" / "web" / "dist"
CHROMIUM = ("chromium", "chromium-browser", "google-chrome")
FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--use-angle=swiftshader",
    "--enable-unsafe-swiftshader",
    "--disable-background-networking",
)
CAMERA_FLAGS = (
    "--use-fake-device-for-media-stream",
    "--allow-loopback-in-peer-connection",
)


def pages_config(**settings: Any) -> ServerConfig:
    """A server on free ports that serves the pages; skips where they are not built."""
    if not (BUNDLE / "camera.html").is_file():
        pytest.skip("the pages are not built: run `python tools/build_web.py`")
    return ServerConfig(http_port=0, grpc_port=0, cache=user_cache(), web_dir=BUNDLE, **settings)


@asynccontextmanager
async def chromium(*flags: str) -> AsyncIterator[Browser]:
    """A Chromium that draws without a GPU; skips where there is none."""
    executable = next(filter(None, map(shutil.which, CHROMIUM)), None)
    if executable is None:
        pytest.skip(f"no Chromium on the path, looked for {', '.join(CHROMIUM)}")
    async with async_playwright() as playwright:
        launched = await playwright.chromium.launch(
            executable_path=executable, args=[*FLAGS, *flags]
        )
        yield launched
        await launched.close()
