"""The build: what is not a Python module goes into the package as well. All else is in ``pyproject.toml``."""

from __future__ import annotations

import shutil
from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py

ROOT = Path(__file__).resolve().parent
SHIPPED = ("templates", "cloud_function", "requirements.txt", ".gcloudignore")
"""What ``owox_tiktok.shipped`` finds in an installed package, in the arrangement of a checkout."""


class BuildWithFiles(build_py):
    """Build the package with the files that are shipped in it; an editable installation reads them where they are."""

    def run(self) -> None:
        """Build it."""
        super().run()
        if self.editable_mode:
            return
        target = Path(self.build_lib) / "owox_tiktok" / "_shipped"
        shutil.rmtree(target, ignore_errors=True)
        target.mkdir(parents=True)
        for name in SHIPPED:
            if (ROOT / name).is_dir():
                shutil.copytree(ROOT / name, target / name, ignore=shutil.ignore_patterns("__pycache__", ".*"))
            else:
                shutil.copy2(ROOT / name, target / name)


setup(cmdclass={"build_py": BuildWithFiles})
