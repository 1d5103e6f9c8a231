"""The control Sheet: what its people wrote, as Settings.

Reads downwards: the tabs are found, then their headings, then the cells of Config and Fields become Values with the
address of their cell, and those become Settings. What an import writes back is ``report``'s.

Tabs are known by their tag, or by their title where a file was uploaded; parameters by their label, objects and fields
by their names: never by their place. A mistake carries the address of its cell, ``Config!B4``.
"""

from __future__ import annotations

import os
import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from types import TracebackType
from typing import Self

from owox_tiktok.errors import BadInput, Mistake
from owox_tiktok.names import nearest
from owox_tiktok.secret import looks_secret
from owox_tiktok.settings import BY_NAME, SETTINGS, Setting, Settings, Value, Wording, build, labelled
from owox_tiktok.sheets.cells import EPOCH, Cell
from owox_tiktok.sheets.client import Spreadsheet
from owox_tiktok.sheets.requests import Block
from owox_tiktok.sheets.tabs import (
    COLUMNS_WITHIN,
    HEADINGS_WITHIN,
    TAB,
    Place,
    Tab,
    address,
    find_headings,
    normal,
    quoted,
    tab_called,
)
from owox_tiktok.sheets.template import (
    CONFIG,
    CONFIG_HEADINGS,
    FIELDS,
    FIELDS_HEADINGS,
    OUTPUTS,
)

EXACT_NUMBER = 2**53
"""Whole numbers up to this are exact in a cell."""

USUAL_COLUMNS = 3
"""So many of the first columns of Fields hold the tick, the object and the field in the template."""

ENVIRONMENT = {
    "access_token": "TIKTOK_ACCESS_TOKEN",
    "app_id": "TIKTOK_APP_ID",
    "app_secret": "TIKTOK_APP_SECRET",
    "requests_per_second": "TIKTOK_REQUESTS_PER_SECOND",
}
"""What never stands in a Sheet, and the environment variable it comes from."""

_SECRET_LABEL = re.compile(r"token|secret|password|apikey|privatekey|authcode")
"""What the (``normal``) label of a cell that is meant for a secret has in it."""


@dataclass(slots=True)
class Reading:
    """What was read from the tabs: settings, and sentences for people although all is well."""

    settings: Settings
    warnings: list[str] = field(default_factory=list)


class Control:
    """One control Sheet, for a ``with`` block. ``environment`` holds the secrets; never the Sheet.

    ``datasets`` are those of BigQuery that this Sheet may name, as ``project.dataset``; None: any.
    """

    def __init__(
        self,
        book: Spreadsheet,
        *,
        environment: Mapping[str, str] = os.environ,
        datasets: Collection[str] | None = None,
    ) -> None:
        self.book = book
        self._environment = environment
        self._datasets = datasets

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.book.close()

    def read(self, now: datetime, objects: Sequence[str] = ()) -> Reading:
        """Return the settings that the tabs say; BadInput with every mistake, each with its cell.

        With ``objects`` these are meant, with their default fields, whatever is ticked.
        """
        config, fields, rows, usual = self._find()
        _refuse_secrets(config, rows)
        values, warnings, mistakes = _parameters(config, rows)
        chosen, more = _given(objects) if objects else _ticked(fields, self._lines(fields, usual))
        values |= chosen | self._from_environment()
        mistakes += [*_nothing_ticked(values), *self._destination(values)]
        wording = _wording(values, config, fields)
        settings = build(values, now=now, source=self.book.where, wording=wording, known=mistakes)
        return Reading(settings, warnings + more)

    def read_for_accounts(self, now: datetime) -> tuple[Settings, tuple[str, ...]]:
        """Return settings that mean every ad account there is to choose from, and the ids that Config has.

        Where the app's id and secret are not known, TikTok does not list accounts: then those of Config are meant.
        Other parameters may be wrong, for this is asked while Config is being filled in.
        """
        config, fields, rows, _ = self._find()
        _refuse_secrets(config, rows)
        there, _, _ = _parameters(config, rows)
        values = {n: v for n, v in there.items() if n in ("advertiser_ids", "sandbox_mode")}
        values |= self._from_environment() | _given(("advertisers",))[0]
        values |= {
            "start_date": Value(now.date().isoformat(), ""),
            "destination": Value(f"sheets://{self.book.id}", ""),
        }
        given = values.get("advertiser_ids")
        ids = () if given is None or given.absent else tuple(one.text for one in given.items)
        if "app_id" in values and "app_secret" in values:
            values["advertiser_ids"] = Value("all", "")
        wording = _wording(values, config, fields)
        return build(values, now=now, source=self.book.where, wording=wording), ids

    def read_for_messages(self, now: datetime) -> Settings:
        """Return settings that say whom to tell about a run; whatever else is wrong in the tabs does not matter."""
        config, fields, rows, _ = self._find()
        there, _, _ = _parameters(config, rows)
        values = {name: value for name, value in there.items() if name.startswith("notify_")}
        values |= _given(("advertisers",))[0]
        values |= {
            "access_token": Value("none", "", variable="whole"),
            "advertiser_ids": Value("all", ""),
            "app_id": Value("1", ""),
            "app_secret": Value("none", "", variable="whole"),
            "start_date": Value(now.date().isoformat(), ""),
            "destination": Value(f"sheets://{self.book.id}", ""),
        }
        return build(values, now=now, source=self.book.where, wording=_wording(values, config, fields))

    def _find(self) -> tuple[Place, Place, list[list[Cell]], list[list[list[Cell]]]]:
        """Return where Config and Fields have their headings, all rows of Config, and the first columns of Fields."""
        structure = self.book.structure((TAB,), recent=True)
        config, fields = (tab_called(structure, title) for title in (CONFIG, FIELDS))
        if config is None or fields is None:
            lacking = [title for title, tab in ((CONFIG, config), (FIELDS, fields)) if tab is None]
            raise BadInput([Mistake(title, "there is no such tab", _repair(self.book)) for title in lacking])
        whole = Block(config.id, 0, config.rows, 0, min(config.columns, COLUMNS_WITHIN))
        top = Block(fields.id, 0, min(fields.rows, HEADINGS_WITHIN), 0, min(fields.columns, COLUMNS_WITHIN))
        # Read along: the choices are there, unless somebody has moved their columns.
        first = [Block(fields.id, 0, fields.rows, c, c + 1) for c in range(min(USUAL_COLUMNS, fields.columns))]
        rows, top_rows, *usual = self.book.values([whole, top, *first])
        at_config = find_headings(config, rows, CONFIG_HEADINGS[:2])
        at_fields = find_headings(fields, top_rows, FIELDS_HEADINGS[:3])
        if at_config is None or at_fields is None:
            found = ((config, at_config, CONFIG_HEADINGS[:2]), (fields, at_fields, FIELDS_HEADINGS[:3]))
            raise BadInput([_no_headings(tab, h, self.book) for tab, place, h in found if place is None])
        return at_config, at_fields, rows, usual

    def _lines(self, fields: Place, usual: Sequence[list[list[Cell]]]) -> list[tuple[Cell, ...]]:
        """Return the tick, object and field of each row below the headings of Fields."""
        columns = [fields.columns[normal(h)] for h in FIELDS_HEADINGS[:3]]
        if max(columns) < len(usual):
            return list(zip(*([v for (v,) in usual[c][fields.row + 1 :]] for c in columns), strict=True))
        blocks = [Block(fields.tab.id, fields.row + 1, fields.tab.rows, c, c + 1) for c in columns]
        cells = self.book.values([b for b in blocks if b.top < b.bottom])
        return list(zip(*([v for (v,) in column] for column in cells), strict=True))

    def _from_environment(self) -> dict[str, Value]:
        """Return what never stands in a Sheet."""
        given = {name: (variable, self._environment.get(variable)) for name, variable in ENVIRONMENT.items()}
        return {name: Value(text, variable, variable="whole") for name, (variable, text) in given.items() if text}

    def _destination(self, values: dict[str, Value]) -> list[Mistake]:
        """Say where the rows go, and what is wrong with that.

        The template for BigQuery has a row for the dataset; without one the rows go into this spreadsheet.
        """
        dataset = BY_NAME["destination_dataset_id"]
        at = values.get(dataset.name)
        if at is None:
            values["destination"] = Value(f"sheets://{self.book.id}", "")
        elif at.absent:
            return [Mistake(at.where, f"{dataset.label} is missing", f"Write one such as {dataset.example}.")]
        elif self._datasets is not None and at.text.replace(":", ".") not in self._datasets:
            what = f"{at.shown} is not a dataset this Sheet may fill"
            return [Mistake(at.where, what, "Whoever deployed the service can allow it in its registry.")]
        return []


def _no_headings(tab: Tab, headings: Sequence[str], book: Spreadsheet) -> Mistake:
    return Mistake(quoted(tab.title), f"has no row with the headings {' and '.join(headings)}", _repair(book))


def _repair(book: Spreadsheet) -> str:
    return f"Build it with: owox-tiktok sheet init {book.id}"


# --- Config -----------------------------------------------------------------------------------------------------------


def _refuse_secrets(config: Place, rows: Sequence[Sequence[Cell]]) -> None:
    """Stop at a cell that looks like a token or secret: who can see the Sheet has it."""
    mistakes = []
    label_at, value_at = (config.columns[normal(h)] for h in CONFIG_HEADINGS[:2])
    for number, row in enumerate(rows):
        labelled = _SECRET_LABEL.search(normal(str(row[label_at] or ""))) and row[value_at] not in (None, False)
        for column, value in enumerate(row):
            if (isinstance(value, str) and looks_secret(value)) or (labelled and column == value_at):
                mistakes.append(
                    Mistake(
                        address(config.tab, number, column),
                        "holds what looks like a token or secret, and everybody who can open this Sheet can read it",
                        "Clear the cell, revoke the secret (docs/CREDENTIALS.md says how), and keep the new one where "
                        "the program runs.",
                    )
                )
    if mistakes:
        raise BadInput(mistakes)


def _parameters(config: Place, rows: Sequence[Sequence[Cell]]) -> tuple[dict[str, Value], list[str], list[Mistake]]:
    """Return the values by setting name, with warnings and mistakes."""
    values: dict[str, Value] = {}
    warnings: list[str] = []
    mistakes: list[Mistake] = []
    label_at, value_at = (config.columns[normal(h)] for h in CONFIG_HEADINGS[:2])
    outputs = {normal(o) for o in OUTPUTS}
    for number in range(config.row + 1, len(rows)):
        label, content = rows[number][label_at], rows[number][value_at]
        if not isinstance(label, str) or normal(label) in outputs:
            continue
        at = address(config.tab, number, value_at)
        setting = labelled(label)
        if setting is None:
            if content is not None:
                near = nearest(label.strip(" *"), [s.label for s in SETTINGS if s.label])
                advice = f"Did you mean {near}?" if near else "It is ignored."
                warnings.append(f"{at}: there is no parameter called {label.strip()[:40]!r}. {advice}")
        elif setting.name in values:
            mistakes.append(Mistake(at, f"{setting.label} appears twice", "Keep one of the two rows."))
        else:
            values[setting.name] = _value(content, at, setting)
    return values, warnings, mistakes


def _value(content: Cell, at: str, setting: Setting) -> Value:
    """Return a cell's content as the text that a file would hold."""
    if content is None:
        return Value(None, at)
    if isinstance(content, bool):
        return Value("true" if content else "false", at)
    if isinstance(content, str):
        return Value(content.strip(), at)
    if setting.form == "day":
        # A day that was typed or picked is kept as its number; what lies outside any calendar stays a number.
        if 0 < content < 2_958_466:
            return Value((EPOCH + timedelta(days=int(content))).isoformat(), at)
        return Value(f"{content:g}", at)
    whole = content == int(content)
    text = str(int(content)) if whole else repr(content)
    if setting.form == "ids" and not (whole and abs(content) < EXACT_NUMBER):
        return Value(text, at, number="Choose Format → Number → Plain text for the cell, and type the id again.")
    return Value(text, at)


# --- Fields -----------------------------------------------------------------------------------------------------------


def _given(objects: Sequence[str]) -> tuple[dict[str, Value], list[str]]:
    """Return ``objects`` as if they were ticked."""
    return {"objects": Value([Value(name, "objects") for name in objects], "objects")}, []


def _ticked(place: Place, lines: Sequence[tuple[Cell, ...]]) -> tuple[dict[str, Value], list[str]]:
    """Return ``objects`` and ``fields`` as the ticks say them."""
    objects: list[Value] = []
    fields: dict[str, list[Value]] = {}
    for number, (tick, object_, field_) in enumerate(lines, place.row + 1):
        if not isinstance(object_, str) or not object_.strip() or not is_ticked(tick):
            continue
        at = place.at(number, FIELDS_HEADINGS[0])
        if field_ is None or not str(field_).strip():
            objects.append(Value(object_.strip(), at))
        else:
            fields.setdefault(object_.strip(), []).append(Value(str(field_).strip(), at))
    warnings = [
        f"{one.where}: no field of {one.text} is ticked, so a default set is imported"
        for one in objects
        if not fields.get(one.text)
    ]
    where = quoted(place.tab.title)
    chosen = {o.text: Value(fields[o.text], o.where) for o in objects if fields.get(o.text)}
    return {"objects": Value(objects or None, where), "fields": Value(chosen or None, where)}, warnings


def is_ticked(value: Cell) -> bool:
    """Return whether a cell of the column Import is ticked: a tick box, or what people write in its place."""
    return value == 1 or (isinstance(value, str) and value.strip().lower() in ("true", "yes", "x", "✓", "1"))


def _nothing_ticked(values: Mapping[str, Value]) -> list[Mistake]:
    objects = values["objects"]
    if not objects.absent:
        return []
    return [Mistake(objects.where, "no object is ticked", "Tick at least one, such as ad_report_daily.")]


# --- how a Sheet calls settings ---------------------------------------------------------------------------------------


def _wording(values: Mapping[str, Value], config: Place, fields: Place) -> Wording:
    """Return how mistakes name a setting: by its cell where it has one, and by its label."""

    def where(setting: Setting) -> str:
        if setting.name in values:
            return values[setting.name].where
        return ENVIRONMENT.get(setting.name) or quoted((config if setting.label else fields).tab.title)

    def add(setting: Setting) -> str:
        if setting.name in ENVIRONMENT:
            return f"Set the environment variable: export {ENVIRONMENT[setting.name]}=…"
        example = setting.example.strip("[]").replace('"', "")
        return f"Fill in {setting.label}, such as {example}."

    return Wording(where=where, say=lambda s: s.label or s.name, add=add)
