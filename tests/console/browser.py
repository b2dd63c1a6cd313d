"""A headless Chromium for tests of pages; whoever lacks it skips with a reason."""

from __future__ import annotations

import contextlib
import shutil
import tempfile
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from robot_stack.console.serving import open_socket

FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
BROWSERS = ("chromium", "chromium-browser", "google-chrome")


def require_browser() -> str:
    """Path of a Chromium; skips the test where there is none, or no Playwright."""
    pytest.importorskip("playwright", reason="playwright is not installed")
    pytest.importorskip("uvicorn", reason="uvicorn is not installed")
    found = next((path for name in BROWSERS if (path := shutil.which(name))), None)
    if found is None:
        pytest.skip(f"no browser here: none of {', '.join(BROWSERS)}")
    return found


@contextlib.contextmanager
def chromium() -> Iterator[Any]:
    """A function that opens a window: ``new_page(width, height, phone=False)``."""
    path = require_browser()
    from playwright.sync_api import sync_playwright

    with sync_playwright() as tools, tempfile.TemporaryDirectory() as home:
        browser = tools.chromium.launch(executable_path=path, args=[*FLAGS, f"--crash-dumps-dir={home}"])

        def new_page(width: int, height: int, *, phone: bool = False) -> Any:
            context = browser.new_context(
                viewport={"width": width, "height": height}, has_touch=phone, is_mobile=phone, color_scheme="dark"
            )
            context.set_default_timeout(30_000)
            return context.new_page()

        try:
            yield new_page
        finally:
            browser.close()


@contextlib.contextmanager
def served(app: Any) -> Iterator[str]:
    """The address at which an application answers, in this process, while the block lasts."""
    import uvicorn

    listener = open_socket("127.0.0.1", 0)
    config = uvicorn.Config(app, log_level="warning", access_log=False, timeout_graceful_shutdown=1)
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join(timeout=10)
