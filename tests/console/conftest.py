"""Tests of pages need what serves pages."""

from __future__ import annotations

import importlib.util

if any(importlib.util.find_spec(package) is None for package in ("fastapi", "uvicorn", "httpx")):
    collect_ignore_glob = ["test_*.py"]
