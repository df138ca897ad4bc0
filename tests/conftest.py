"""One thread, a cache folder of the test's own, and Hypothesis without a clock or a database."""

import pytest
import torch
from hypothesis import settings

from tests.browser import browser, open_page  # noqa: F401 (fixtures: one browser for all folders)
from tests.served import labs, open_lab  # noqa: F401

settings.register_profile("thalweg", deadline=None, max_examples=20, database=None)
settings.load_profile("thalweg")


@pytest.fixture(autouse=True)
def _one_thread():
    torch.set_num_threads(1)


@pytest.fixture(autouse=True)
def _own_cache(monkeypatch, tmp_path_factory):
    """Plans measured by one test are not remembered in another, nor in the home of who runs them."""
    monkeypatch.setenv("THALWEG_CACHE_DIR", str(tmp_path_factory.mktemp("cache")))
