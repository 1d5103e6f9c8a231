"""The promises that every destination keeps, as tests; for the tests of a destination, also one in another package.

Write a ``Kit`` for it, and a subclass of ``DestinationPromises`` with a fixture ``kit`` (needs pytest)::

    class Mine(Kit):
        ...


    class TestMine(DestinationPromises):
        @pytest.fixture
        def kit(self, tmp_path: Path) -> Kit:
            return Mine(tmp_path, f"mine://{tmp_path}/rows")

What a destination does not have (types, descriptions, a first version) its kit leaves out, and those tests are skipped.
"""

from __future__ import annotations

import pytest

pytest.register_assert_rewrite("owox_tiktok.testing.kit", "owox_tiktok.testing.promises")

from owox_tiktok.testing.kit import Kit  # noqa: E402 -- once its assertions can explain themselves
from owox_tiktok.testing.promises import DestinationPromises  # noqa: E402

__all__ = ["DestinationPromises", "Kit"]
