"""The browser that tests of pages run in."""

from __future__ import annotations

import os
import shutil


def chromium() -> str:
    """The path of a Chromium."""
    path = os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("google-chrome")
    assert path, "no Chromium is installed; set CHROMIUM to the path of one"
    return path
