"""A headless Chromium that draws without a GPU, for benches of pages."""

import importlib
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from mapcast_client.errors import DependencyError

NAMES = ("chromium", "chromium-browser", "google-chrome")
FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--use-angle=swiftshader",
    "--enable-unsafe-swiftshader",
    "--disable-background-networking",
)


@asynccontextmanager
async def chromium(*flags: str) -> AsyncIterator[Any]:
    """A Playwright browser for the block. Raises DependencyError, which says what is missing."""
    executable = next(filter(None, map(shutil.which, NAMES)), None)
    if executable is None:
        raise DependencyError(f"no Chromium on the path, looked for {', '.join(NAMES)}")
    try:
        api = importlib.import_module("playwright.async_api")
    except ImportError as error:
        raise DependencyError(f"{error}: pip install playwright") from None
    async with api.async_playwright() as playwright:
        browser = await playwright.chromium.launch(
            executable_path=executable, args=[*FLAGS, *flags]
        )
        try:
            yield browser
        finally:
            await browser.close()
