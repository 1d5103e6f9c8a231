"""Words and pictures on a terminal: events as progress bars or JSON lines, results as tables. Decides nothing."""

from __future__ import annotations

import dataclasses
import sys
import time
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import IO, Protocol, Self

import msgspec
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeRemainingColumn
from rich.table import Table

from owox_tiktok.app import Checked, Planned, Viewed
from owox_tiktok.errors import BadInput, Problem
from owox_tiktok.events import Event, Failed, Finished, Pruned, Started, Stored, Waiting, Warned, duration, size
from owox_tiktok.model import Stream
from owox_tiktok.states import ABOUT


class Screen(Protocol):
    """What listens to a run, and shows it, for as long as it lasts."""

    def __enter__(self) -> Self: ...
    def __exit__(self, *exc: object) -> None: ...
    def __call__(self, event: Event, /) -> None:
        """Show one event."""
        ...

    def problem(self, problem: Problem, /) -> None:
        """Show why a command could not do its work."""
        ...


def name_of(event: Failed | Warned) -> str:
    """Return "ad_report_daily of 7012…", or only the advertiser when it concerns all objects."""
    parts = [p for p in (event.object, event.advertiser_id) if p]
    return " of ".join(parts) if event.object or not parts else f"advertiser {event.advertiser_id}"


class JsonLog:
    """One JSON object per line: severity, time, event and its facts, as log collectors read them."""

    def __init__(self, stream: IO[str] | None = None) -> None:
        self._stream = stream or sys.stdout

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        return None

    def __call__(self, event: Event) -> None:
        """Write one event."""
        severity = {Failed: "ERROR", Warned: "WARNING"}.get(type(event), "INFO")
        self._write(severity, type(event).__name__.lower(), dataclasses.asdict(event))

    def problem(self, problem: Problem) -> None:
        """Write why a command could not do its work."""
        facts: dict[str, object] = {"message": problem.sentence}
        if isinstance(problem, BadInput):
            facts = {"mistakes": [dataclasses.asdict(m) for m in problem.mistakes]}
        elif problem.request_id:
            facts["request_id"] = problem.request_id
        self._write("ERROR", "problem", facts)

    def _write(self, severity: str, event: str, facts: Mapping[str, object]) -> None:
        line = {"severity": severity, "time": datetime.now(UTC).isoformat(timespec="milliseconds"), "event": event}
        self._stream.write(msgspec.json.encode({**line, **facts}).decode() + "\n")
        self._stream.flush()


class Terminal:
    """Progress bars per object on a terminal; plain lines where the output goes to a file or a pipe."""

    def __init__(self, console: Console | None = None) -> None:
        self.console = console or Console(stderr=True, highlight=False)
        self._bars: dict[str, TaskID] = {}
        self._rows: dict[str, int] = {}
        self._told = 0.0
        self._done = self._work = 0
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(bar_width=28),
            TextColumn("{task.percentage:>3.0f}%"),
            TextColumn("{task.fields[rows]:>12} rows"),
            TimeRemainingColumn(compact=True),
            console=self.console,
            disable=not self.console.is_terminal,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self._progress.stop()

    def __call__(self, event: Event) -> None:
        """Show one event."""
        match event:
            case Started():
                self._told = time.monotonic()
                self._progress.start()
                for name, work in event.work.items():
                    self._bars[name] = self._progress.add_task(name, total=work, rows="0")
                self._work = sum(event.work.values())
            case Stored():
                self._rows[event.object] = self._rows.get(event.object, 0) + event.rows
                self._advance(event.object, event.work)
            case Waiting():
                self.say(f"[yellow]waiting {event.seconds:.0f} s[/]: {event.reason}")
            case Warned():
                name = name_of(event)
                self.say(f"[yellow]warning[/]{name and ' '}{name}: ", event.message)
            case Failed():
                self._advance(event.object, event.work)
                self.say(f"[red]failed[/] {name_of(event)}: ", event.message)
            case Pruned():
                verb = "would delete" if event.dry_run else "deleted"
                self.say(f"{event.object}: {verb} {event.rows:,} rows older than the keep window")
            case Finished():
                self._progress.stop()
                self._finished(event)

    def _advance(self, name: str, work: int) -> None:
        self._done += work
        if name in self._bars:
            self._progress.update(self._bars[name], advance=work, rows=f"{self._rows.get(name, 0):,}")
        if not self.console.is_terminal and self._work and time.monotonic() - self._told >= 10:
            self._told = time.monotonic()
            self.say(f"{self._done / self._work:4.0%}, {sum(self._rows.values()):,} rows so far")

    def say(self, words: str, text: str = "") -> None:
        """Print one line: our own words (with markup), then a text as it is."""
        from rich.text import Text

        self.console.print(Text.assemble(Text.from_markup(words), text), soft_wrap=True)

    def problem(self, problem: Problem) -> None:
        """Print why a command could not do its work."""
        self._progress.stop()
        if isinstance(problem, BadInput):
            count = len(problem.mistakes)
            self.say(f"[red]{count} thing{'s' if count > 1 else ''} to mend:[/]")
            for mistake in problem.mistakes:
                self.say("  • ", str(mistake))
        else:
            self.say("[red]Stopped:[/] ", problem.sentence)

    def _finished(self, event: Finished) -> None:
        about = ABOUT[event.state]
        colour = {0: "green", 1: "red", 3: "yellow"}[about.exit_code]
        self.say(f"[{colour}]{about.headline}[/]", event.summary.removeprefix(about.headline))


# --- results ----------------------------------------------------------------------------------------------------------


def _table(*columns: str, title: str = "") -> Table:
    from rich import box

    table = Table(box=box.SIMPLE_HEAD, title=title or None, title_justify="left", pad_edge=False)
    for column in columns:
        right = column.startswith(">")
        table.add_column(column.removeprefix(">"), justify="right" if right else "left", overflow="fold")
    return table


def show_plan(console: Console, planned: Sequence[Planned], rate: float) -> None:
    """Print what an import would read, object by object, and how long it would take."""
    table = _table("object", ">advertisers", "days", ">windows", ">requests", ">rows")
    for name in dict.fromkeys(p.object for p in planned if not p.problem):
        of = [p for p in planned if p.object == name and not p.problem]
        first = min((p.first for p in of if p.first), default=None)
        last = max((p.last for p in of if p.last), default=None)
        rows_of = [p.rows for p in of if p.rows is not None]
        table.add_row(
            name,
            str(len(of)),
            f"{first} .. {last}" if first else "all",
            f"{sum(p.windows for p in of):,}",
            f"{sum(p.requests for p in of):,}",
            f"about {sum(rows_of):,}" if rows_of else "not known",
        )
    console.print(table)
    requests = sum(p.requests for p in planned)
    rows = sum(p.rows or 0 for p in planned)
    took = f"{duration(requests / rate)} at {rate:g} requests per second"
    console.print(f"{requests:,} requests, about {rows:,} rows, about {took}.")
    if read := sum(p.bytes_processed for p in planned):
        console.print(f"The destination would read {size(read)} of what it has, which Google may bill.")
    for p in planned:
        if p.problem:
            what = f"{p.object} of {p.advertiser.id}" if p.object else f"advertiser {p.advertiser.id}"
            console.print(f"cannot be read: {what}: {p.problem}", markup=False, soft_wrap=True)


def show_checks(console: Console, checks: Sequence[Checked]) -> None:
    """Print what was tried, and what to do where it did not work."""
    from rich.text import Text

    for c in checks:
        mark = Text("ok    ", "green") if c.ok else Text("fails ", "red")
        console.print(Text.assemble(mark, c.what, f": {c.detail}" if c.detail else ""), soft_wrap=True)
    bad = sum(not c.ok for c in checks)
    less = sum(c.ok and c.detail.startswith("without ") for c in checks)
    with_less = f" ({less} with fewer fields)" if less else ""
    console.print(f"Everything works{with_less}." if not bad else f"{bad} of {len(checks)} do not work.")


def show_views(console: Console, found: Sequence[Viewed]) -> None:
    """Print each view with what it lacks, and what to do about those that are not there."""
    for v in found:
        mark = "taken " if v.left_alone else "ready " if v.statement else "none  "
        console.print(f"{mark}{v.view.name}{_but(v)}", markup=False, soft_wrap=True)
    ready = sum(bool(v.statement) and not v.left_alone for v in found)
    console.print(f"{ready} of {len(found)} views are ready.")


def _but(viewed: Viewed) -> str:
    """Return what is not as it could be with a view, as the end of a line."""
    if viewed.left_alone:
        return ": somebody else made what has this name. Rename that, and run this again."
    whole = [name for name, fields in viewed.view.missing.items() if not fields]
    parts = [f"{', '.join(fields)} of {name}" for name, fields in viewed.view.missing.items() if fields]
    if not viewed.statement:
        return f": needs {' and '.join(whole + parts)}. Add it to objects and import."
    return f": without {'; '.join(whole + parts)}, not imported" if whole or parts else ""


def show_views_sql(console: Console, found: Sequence[Viewed]) -> None:
    """Print the statements that make the views, as a script."""
    for v in found:
        sql = f"-- {v.view.description}{_but(v)}\n{v.statement};\n" if v.statement else f"-- {v.view.name}{_but(v)}\n"
        console.out(sql, highlight=False)


def show_objects(console: Console, streams: Iterable[Stream]) -> None:
    """Print every object with a word on it."""
    table = _table("object", ">fields", "what it holds")
    for s in streams:
        table.add_row(s.name, str(len(s.fields)), s.description)
    console.print(table)


def show_object(console: Console, stream: Stream, default: Sequence[str], aliases: Sequence[str]) -> None:
    """Print one object: how it is keyed and stored, and its fields."""
    from rich.text import Text

    console.print(Text.assemble((stream.name, "bold"), f": {stream.description}"))
    console.print(f"table {stream.table}, key {', '.join(stream.keys)}", markup=False)
    if stream.max_days:
        console.print(f"read in windows of at most {stream.max_days} day{'s' if stream.max_days > 1 else ''}")
    if not stream.in_sandbox:
        console.print("not in the sandbox")
    if aliases:
        console.print(f"also called {', '.join(aliases)}", markup=False)
    table = _table("field", "kind", "unit", "sums", "default", "description")
    for f in stream.fields.values():
        chosen = "key" if f.name in stream.keys else "yes" if f.name in default else ""
        table.add_row(f.name, f.kind, f.unit, "yes" if f.additive else "", chosen, f.description)
    console.print(table)


def chart(points: Sequence[tuple[str, float]], *, width: int = 40) -> list[str]:
    """Return a bar chart as lines of text: label, bar, value."""
    most = max((v for _, v in points), default=0.0) or 1.0
    label = max((len(name) for name, _ in points), default=0)
    eighths = " ▏▎▍▌▋▊▉█"
    lines = []
    for name, value in points:
        units = round(value / most * width * 8)
        bar = "█" * (units // 8) + (eighths[units % 8] if units % 8 else "")
        lines.append(f"{name:>{label}} {bar:<{width}} {value:,.0f}")
    return lines
