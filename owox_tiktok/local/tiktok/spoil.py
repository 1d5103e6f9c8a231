"""Answers that arrive whole and hold what they must not: each kind of them, made from a good answer."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from datetime import date, timedelta
from typing import Any

from owox_tiktok.local.tiktok.catalogue import ID_DIMENSIONS
from owox_tiktok.local.tiktok.faults import Faults
from owox_tiktok.local.tiktok.rules import PAGE_SIZES

REPORT = "report/integrated/get"
_TIMES = ("stat_time_day", "stat_time_hour")
_ACCOUNTS = {
    "advertiser_twice": ("advertiser/info", "oauth2/advertiser/get"),
    "advertiser_unasked": ("advertiser/info",),
    "no_zone": ("advertiser/info",),
    "unknown_zone": ("advertiser/info",),
}
_HALF_EMOJI = "Sun \ud83c"
_CONTROLS = "\x1b[31mred\x1b[0m \x1b]0;title\x07 nul\x00 back\x08 csi\x9b2J rtl\u202e"
_MARK = "@@spoiled@@"

Row = dict[str, Any]


def applies(kind: str, path: str, params: Mapping[str, str]) -> bool:
    """Whether a kind of :data:`.faults.WRONG_ANSWERS` can come of such a request."""
    if kind in _ACCOUNTS:
        return path in _ACCOUNTS[kind]
    if kind == "row_gone":
        return path in PAGE_SIZES and params.get("page", "1") != "1"
    if kind in ("outside_window", "missing_metric", "wrong_number", "null_key", "dash_key"):
        dimensions = _names(params, "dimensions")
        if path != REPORT:
            return False
        if kind == "outside_window":
            return bool(set(_TIMES) & set(dimensions)) and bool(params.get("start_date"))
        return kind in ("missing_metric", "wrong_number") or bool(_splits(dimensions))
    return True


def spoil(kind: str, body: bytes, params: Mapping[str, str], faults: Faults) -> bytes:
    """A good answer's body with one thing wrong in it."""
    envelope = json.loads(body)
    if kind == "code_20001":
        envelope |= {"code": 20001, "message": "Partially successful."}
    elif kind == "null_data":
        envelope["data"] = None
    else:
        data = envelope["data"]
        key = next((name for name, value in data.items() if isinstance(value, list)), None)
        rows: list[Any] = data[key] if key else [data]
        _SPOILERS[kind](rows, params, faults)
    # Half an emoji has no bytes of its own in UTF-8, so it travels as an escape.
    text = json.dumps(envelope, ensure_ascii=kind == "half_emoji").encode()
    if kind == "not_utf8":
        mark = _MARK.encode()
        return text.replace(mark, b"\xff\xfe\xc3") if mark in text else text.replace(b'"OK"', b'"O\xffK"', 1)
    if kind == "deep_nesting":
        return text.replace(f'"{_MARK}"'.encode(), b"[" * faults.nesting + b"]" * faults.nesting)
    return text


def _names(params: Mapping[str, str], name: str) -> list[str]:
    try:
        found = json.loads(params.get(name) or "[]")
    except ValueError:
        return []
    return [str(one) for one in found] if isinstance(found, list) else []


def _splits(dimensions: list[str]) -> list[str]:
    return [name for name in dimensions if name not in ID_DIMENSIONS and name not in _TIMES]


def _outside_window(rows: list[Row], params: Mapping[str, str], faults: Faults) -> None:
    day = date.fromisoformat(params["start_date"]) - timedelta(days=1)
    for name in _TIMES:
        for row in rows[:1]:
            if name in row["dimensions"]:
                row["dimensions"][name] = f"{day} {row['dimensions'][name][11:]}"


def _missing_metric(rows: list[Row], params: Mapping[str, str], faults: Faults) -> None:
    gone = faults.missing or (_names(params, "metrics") or ["impressions"])[-1]
    for row in rows:
        row["metrics"].pop(gone, None)


def _wrong_number(rows: list[Row], params: Mapping[str, str], faults: Faults) -> None:
    for row in rows[:1]:
        row["metrics"] |= {"impressions": str(int(row["metrics"].get("impressions", 0)) + faults.wrong_by)}
    faults.wrong_by += faults.wrong_more


def _in_key(value: str | None) -> Callable[[list[Row], Mapping[str, str], Faults], None]:
    def change(rows: list[Row], params: Mapping[str, str], faults: Faults) -> None:
        splits = _splits(_names(params, "dimensions"))
        for row in rows[: 2 if faults.shared_key else 1]:
            row["dimensions"] |= dict.fromkeys(splits, value)
            if faults.shared_key:
                row["dimensions"] |= {name: one for name, one in rows[0]["dimensions"].items() if name not in splits}

    return change


def _twice(rows: list[Row], params: Mapping[str, str], faults: Faults) -> None:
    rows += [dict(row) for row in rows[:1]]


def _unasked(rows: list[Row], params: Mapping[str, str], faults: Faults) -> None:
    rows += [{**row, "advertiser_id": str(int(row["advertiser_id"]) + 5)} for row in rows[:1] if "advertiser_id" in row]


def _zone(value: str) -> Callable[[list[Row], Mapping[str, str], Faults], None]:
    def change(rows: list[Row], params: Mapping[str, str], faults: Faults) -> None:
        for row in rows:
            row |= {name: value for name in ("timezone", "display_timezone") if name in row}

    return change


def _name(text: str, *, instead: bool = False) -> Callable[[list[Row], Mapping[str, str], Faults], None]:
    """Put a text before a row's name (or instead of it); where rows have no names, nothing is changed."""

    def change(rows: list[Row], params: Mapping[str, str], faults: Faults) -> None:
        for row in rows[:1]:
            values = row.get("metrics", row)
            names = [n for n, v in values.items() if isinstance(v, str) and n.endswith(("name", "text"))]
            for name in names[:1]:
                values[name] = text if instead else f"{text}{values[name]}"

    return change


def _nested(rows: list[Row], params: Mapping[str, str], faults: Faults) -> None:
    for row in rows[:1]:
        values = row.get("metrics", row)
        values[next(iter(values), "nested")] = _MARK


def _nulls(rows: list[Any], params: Mapping[str, str], faults: Faults) -> None:
    rows[:] = [None] * max(len(rows), 1)


_SPOILERS: dict[str, Callable[[list[Any], Mapping[str, str], Faults], None]] = {
    "outside_window": _outside_window,
    "missing_metric": _missing_metric,
    "wrong_number": _wrong_number,
    "null_key": _in_key(None),
    "dash_key": _in_key("-"),
    "advertiser_twice": _twice,
    "advertiser_unasked": _unasked,
    "no_zone": _zone(""),
    "unknown_zone": _zone("Mars/Olympus_Mons"),
    "half_emoji": _name(_HALF_EMOJI),
    "control_characters": _name(_CONTROLS),
    "not_utf8": _name(_MARK),
    "deep_nesting": _nested,
    "list_of_nulls": _nulls,
}
