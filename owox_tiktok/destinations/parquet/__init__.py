"""Parquet files in a folder or a bucket: exact types, one file per account and month, a manifest as the atomic step.

Address: ``parquet:///relative/folder``, ``parquet:////absolute/folder``, ``parquet://s3://bucket/folder``,
``parquet://gs://bucket/folder`` or another that fsspec knows. What fsspec's package for it reads (credentials, the
address of an emulator) comes from the process's own environment.

    _manifest/000000000042.json                               which files count, and the cursors
    _state/_owox_tiktok_days/ads/42-5f0c….parquet             seals and checks, by object
    object=ad_report_daily/_common_metadata                   the table: columns with descriptions, and its id
    object=ad_report_daily/_files.txt                         the addresses of its files, one a line, for other programs
    object=ad_report_daily/account=7047…/month=2026-01/42-9a1e….parquet
    object=ads/account=7047…/42-77d2….parquet                 what has no days has no months

No file is ever changed. A step writes new files for the accounts and months it touches, each with the number of the
manifest that will name it, and then creates that manifest, which fails if somebody else has created it: of two imports
that store at the same time, one says so and stores nothing. Files that a newer manifest does not name are deleted once
it is there; those of a killed run by the next step of their object, which knows them by their number.
"""

from __future__ import annotations

import os
from collections.abc import Mapping

from owox_tiktok.destinations.parquet.destination import Parquet
from owox_tiktok.destinations.parquet.folder import Folder

__all__ = ["Parquet", "open_at"]


def open_at(rest: str, *, read_only: bool = False, environment: Mapping[str, str] = os.environ) -> Parquet:
    """Open the folder of the address after ``parquet://``; creates it unless ``read_only``.

    The environment says nothing about it: what clients of buckets read is that of the process.
    """
    return Parquet(Folder.at(rest), read_only=read_only)
