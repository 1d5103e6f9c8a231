"""Fixtures: a small world on a real HTTP server, and a project that imports from it."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck
from hypothesis import settings as hypothesis_settings

from owox_tiktok.local.tiktok import Server, World, serve
from tests.helpers import NOW, Project

hypothesis_settings.register_profile(
    "suite", deadline=None, derandomize=True, database=None, suppress_health_check=[HealthCheck.too_slow]
)
hypothesis_settings.load_profile("suite")


@pytest.fixture(scope="session", autouse=True)
def signals_as_at_a_terminal() -> Iterator[None]:
    """Whoever starts the tests with ``nohup`` or ``&`` may have SIGINT ignored; so would every process they start."""
    before = signal.getsignal(signal.SIGINT)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.fixture
def small_world() -> World:
    """Two ad accounts with some equal ids (Los Angeles and Berlin), 12 ads each, 59 days old."""
    return World(seed=1, advertisers=2, campaigns=3, ad_groups=6, ads=12, as_of=NOW, hidden_kinds=True)


@pytest.fixture
def tiktok(small_world: World) -> Iterator[Server]:
    """TikTok's API with the small world, without limits and faults; the test may change both."""
    with serve(small_world) as server:
        yield server


@pytest.fixture
def project(tmp_path: Path, tiktok: Server) -> Project:
    """A folder with a configuration that reads the small world into a DuckDB file."""
    return Project(tmp_path, tiktok)


@pytest.fixture(scope="module")
def lasting_tiktok() -> Iterator[Server]:
    """A TikTok that the tests of a module share, because none of them changes it."""
    world = World(seed=2, advertisers=2, campaigns=3, ad_groups=4, ads=5, as_of=NOW, hidden_kinds=True)
    with serve(world) as server:
        yield server
