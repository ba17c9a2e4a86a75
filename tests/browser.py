"""A real headless Chromium for the pages: Debian's own, or the one that $CHROMIUM names, driven by Playwright."""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

FLAGS = [
    *("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking"),
    *("--disable-component-update", "--disable-sync"),
]
PATIENCE = 150_000
"""Milliseconds that anything may take: a machine that runs many tests at once is slow."""
NAMES = ("chromium", "chromium-browser", "google-chrome")


def chromium() -> str:
    """Path of the browser. In CI it must be there; elsewhere the test is skipped with the reason."""
    found = os.environ.get("CHROMIUM") or next(filter(None, map(shutil.which, NAMES)), None)
    if found is None:
        reason = "no Chromium: apt-get install chromium, or name one by $CHROMIUM"
        if os.environ.get("CI"):
            pytest.fail(reason)
        pytest.skip(reason)
    return found


@contextlib.contextmanager
def browser(*flags: str) -> Iterator[Any]:
    """A running Chromium, for the block.

    Args:
        flags: of its command line, beside the usual ones.
    """
    from playwright.sync_api import sync_playwright

    path = chromium()
    with sync_playwright() as driver:
        running = driver.chromium.launch(executable_path=path, args=[*FLAGS, *flags])
        try:
            yield running
        finally:
            running.close()


def watched(page: Any) -> list[str]:
    """Everything that the page complains about from now on, and every request that leaves it."""
    heard: list[str] = []
    page.on("console", lambda message: heard.append(f"{message.type}: {message.text}"))
    page.on("pageerror", lambda error: heard.append(f"error: {error}"))
    local = ("file:", "data:", "blob:", "about:")
    page.on("request", lambda asked: None if asked.url.startswith(local) else heard.append(f"request: {asked.url}"))
    return heard


def opened(running: Any, path: Path, **options: Any) -> tuple[Any, list[str]]:
    """A page from disk with its clips ready, and what it complains about."""
    page = running.new_page(**options)
    page.set_default_timeout(PATIENCE)
    heard = watched(page)
    page.goto(path.as_uri(), wait_until="commit")
    page.wait_for_selector("html[data-ready]", state="attached")
    return page, heard
