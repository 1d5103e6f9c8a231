"""Words and pictures on a terminal: events as progress bars or JSON lines, results as tables. Decides nothing."""

from __future__ import annotations

import dataclasses
import sys
import time
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import IO, Protocol, Self

import msgspec
from rich import box
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeRemainingColumn
from rich.table import Table
from rich.text import Text

from owox_tiktok.app import Checked, Planned, Standing, Viewed
from owox_tiktok.errors import BadInput, Problem, visible
from owox_tiktok.events import (
    Event,
    Failed,
    Finished,
    Pruned,
    Started,
    Stored,
    Waiting,
    Warned,
    account,
    counted,
    duration,
    money,
    rows_of,
    size,
)
from owox_tiktok.model import Stream
from owox_tiktok.states import ABOUT


class Screen(Protocol):
    """What listens to a run, and shows it, for as long as it lasts."""

    closed: bool
    """Whether nobody reads it any more: the pipe or the terminal behind it is gone. It goes on in silence."""

    def __enter__(self) -> Self: ...
    def __exit__(self, *exc: object) -> None: ...
    def __call__(self, event: Event, /) -> None:
        """Show one event."""
        ...

    def problem(self, problem: Problem, /) -> None:
        """Show why a command could not do its work."""
        ...


def pair(object_: str, account: str) -> str:
    """Return "ad_report_daily of 7012… (Berlin Shop)", or only what there is of the two."""
    return f"{object_} of {account}" if object_ and account else object_ or (account and f"advertiser {account}")


def name_of(event: Failed | Warned, names: Mapping[str, str]) -> str:
    """Return what an event speaks of; ``names`` are those of the ad accounts by their ids."""
    return pair(event.object, account(event.advertiser_id, names.get(event.advertiser_id, "")))


class JsonLog:
    """One JSON object per line: severity, time, event and its facts, as log collectors read them."""

    def __init__(self, stream: IO[str] | None = None, *, quiet: bool = False) -> None:
        self._stream = stream or sys.stdout
        self._quiet = quiet
        self.closed = False

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
        if self.closed or (self._quiet and severity == "INFO"):
            return
        line = {"severity": severity, "time": datetime.now(UTC).isoformat(timespec="milliseconds"), "event": event}
        try:
            self._stream.write(msgspec.json.encode({**line, **facts}).decode() + "\n")
            self._stream.flush()
        except OSError:
            self.closed = True


class Output(Console):
    """Where words are printed. When the pipe behind it is closed, whoever prints decides what that means."""

    def on_broken_pipe(self) -> None:
        """Raise it: rich itself would end the program, in the middle of whatever it is at."""
        raise BrokenPipeError


class Terminal:
    """Progress bars per object on a terminal; plain lines where the output goes to a file or a pipe.

    ``quiet``: only what a person must know.
    """

    def __init__(self, console: Console | None = None, *, quiet: bool = False) -> None:
        self.console = console or Output(stderr=True, highlight=False)
        self.closed = False
        self._quiet = quiet
        self._names: Mapping[str, str] = {}
        self._bars: dict[str, TaskID] = {}
        self._rows: dict[str, int] = {}
        self._said_at = 0.0
        self._done = self._work = 0
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(bar_width=28),
            TextColumn("{task.percentage:>3.0f}%"),
            TextColumn("{task.fields[rows]:>12} rows"),
            TimeRemainingColumn(compact=True),
            console=self.console,
            disable=quiet or not self.console.is_terminal,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self._progress.stop()

    def __call__(self, event: Event) -> None:
        """Show one event."""
        match event:
            case Started():
                self._names = event.accounts
                self._said_at = time.monotonic()
                self._progress.start()
                for name, work in event.work.items():
                    self._bars[name] = self._progress.add_task(name, total=work, rows="0")
                self._work = sum(event.work.values())
            case Stored():
                self._rows[event.object] = self._rows.get(event.object, 0) + event.rows
                self._advance(event.object, event.work)
            case Waiting() if not self._quiet:
                self.say(f"[yellow]waiting {event.seconds:.0f} s[/]: {event.reason}")
            case Warned():
                name = name_of(event, self._names)
                self.say("[yellow]warning[/]", f"{name and ' '}{name}: {event.message}")
            case Failed():
                self._advance(event.object, event.work)
                self.say("[red]failed[/] ", f"{name_of(event, self._names)}: {event.message}")
            case Pruned() if not self._quiet:
                verb = "would delete" if event.dry_run else "deleted"
                self.say(f"{event.object}: {verb} {rows_of(event.rows)} older than the keep window")
            case Finished():
                self._progress.stop()
                if event.exit_code or event.warnings or not self._quiet:
                    self._finished(event)

    def _advance(self, name: str, work: int) -> None:
        self._done += work
        if name in self._bars:
            self._progress.update(self._bars[name], advance=work, rows=f"{self._rows.get(name, 0):,}")
        if not self._quiet and not self.console.is_terminal and self._work and time.monotonic() - self._said_at >= 10:
            self._said_at = time.monotonic()
            self.say(f"{self._done / self._work:4.0%}, {rows_of(sum(self._rows.values()))} so far")

    def say(self, words: str, text: str = "") -> None:
        """Print our own words (with markup), then a text, whose control characters are spelled out."""
        if not self.closed:
            text = "\n".join(map(visible, text.split("\n")))
            try:
                self.console.print(Text.assemble(Text.from_markup(words), text), soft_wrap=True)
            except OSError:
                self.closed = True

    def problem(self, problem: Problem) -> None:
        """Print why a command could not do its work."""
        self._progress.stop()
        if isinstance(problem, BadInput):
            count = len(problem.mistakes)
            self.say(f"[red]{counted(count, 'problem')} found:[/]")
            for mistake in problem.mistakes:
                self.say("  • ", str(mistake))
        else:
            self.say("[red]Stopped:[/] ", problem.sentence)

    def _finished(self, event: Finished) -> None:
        about = ABOUT[event.state]
        colour = {0: "green", 1: "red", 3: "yellow"}[about.exit_code]
        self.say(f"[{colour}]{about.headline}[/]", event.summary.removeprefix(about.headline))
        if event.rows_confirmed:
            self.say("", f"Confirmed by TikTok's own totals: {rows_of(event.rows_confirmed)}.")


# --- results ----------------------------------------------------------------------------------------------------------


def _table(*columns: str, title: str = "") -> Table:

    table = Table(box=box.SIMPLE_HEAD, title=title or None, title_justify="left", pad_edge=False)
    for column in columns:
        right = column.startswith(">")
        table.add_column(column.removeprefix(">"), justify="right" if right else "left", overflow="fold")
    return table


def show_plan(console: Console, planned: Sequence[Planned], rate: float, problems: Console) -> None:
    """Print what an import would read, object by object, and how long it would take; to ``problems`` what it cannot."""
    table = _table("object", ">advertisers", "days", ">windows", ">requests", ">rows")
    for name in dict.fromkeys(p.object for p in planned if not p.problem):
        of = [p for p in planned if p.object == name and not p.problem]
        first = min((p.first for p in of if p.first), default=None)
        last = max((p.last for p in of if p.last), default=None)
        known = [p.rows for p in of if p.rows is not None]
        table.add_row(
            name,
            str(len(of)),
            f"{first} .. {last}" if first else "all",
            f"{sum(p.windows for p in of):,}",
            f"{sum(p.requests for p in of):,}",
            f"about {sum(known):,}" if known else "not known",
        )
    console.print(table)
    requests = sum(p.requests for p in planned)
    rows = sum(p.rows or 0 for p in planned)
    took = f"{duration(requests / rate)} at {rate:g} requests per second"
    console.print(f"{counted(requests, 'request')}, about {rows_of(rows)}, about {took}.")
    if read := sum(p.bytes_billed for p in planned):
        costs = [p.cost for p in planned if p.cost is not None]
        about = f"{size(read)}{money(sum(costs) if costs else None)}"
        console.print(f"The destination would bill about {about}, if each object is stored in one step.")
    for p in planned:
        if p.problem:
            what = pair(p.object, account(p.advertiser.id, p.advertiser.name))
            problems.print(f"cannot be read: {what}: {p.problem}", markup=False, soft_wrap=True)


MOST_NAMED = 5
"""So many accounts are named where the same is wrong with several."""


def show_checks(console: Console, checks: Sequence[Checked], *, quiet: bool = False) -> None:
    """Print one line for each account and thing that works, and one for each failure, with what to do about it.

    A failure that several accounts have in common is printed once. ``quiet``: only failures.
    """

    def line(ok: bool, what: str, detail: str) -> None:
        if not (ok and quiet):
            mark = Text("ok    ", "green") if ok else Text("fails ", "red")
            console.print(Text.assemble(mark, what, f": {detail}" if detail else ""), soft_wrap=True)

    for c in checks:
        if c.advertiser is None:
            line(c.ok, c.what, c.detail)
        elif c.ok and not c.object:
            tried = [o for o in checks if o.object and o.advertiser and o.advertiser.id == c.advertiser.id]
            works, all_ = sum(o.ok for o in tried), f"{len(tried)} object{'' if len(tried) == 1 else 's'}"
            of_them = f"{all_} work" if works == len(tried) else f"{works} of {all_} work"
            line(works == len(tried), account(c.advertiser.id, c.advertiser.name), f"{c.detail}, {of_them}")
    for ok in (True, False):
        for same in _alike([c for c in checks if c.advertiser and c.ok is ok and (c.reduced or not c.ok)]):
            first, accounts = same[0], [account(c.advertiser.id, c.advertiser.name) for c in same if c.advertiser]
            named = ", ".join(accounts[:MOST_NAMED]) + (", …" if len(accounts) > MOST_NAMED else "")
            of = accounts[0] if len(accounts) == 1 else f"{len(accounts)} accounts ({named})"
            request = f" (TikTok request {first.request_id})" if first.request_id else ""
            line(ok, pair(first.object, of) if len(accounts) == 1 or first.object else of, first.detail + request)
    bad, less = sum(not c.ok for c in checks), sum(c.reduced for c in checks)
    with_less = f" ({less} with fewer fields)" if less else ""
    if bad or not quiet:
        console.print(f"Everything works{with_less}." if not bad else f"{bad} of {len(checks)} do not work.")


def _alike(checks: Sequence[Checked]) -> Iterable[Sequence[Checked]]:
    """Return the results in groups that differ in nothing but the account."""
    groups: dict[tuple[str, str], list[Checked]] = {}
    for c in checks:
        assert c.advertiser is not None
        groups.setdefault((c.object, c.detail.replace(c.advertiser.id, "")), []).append(c)
    return groups.values()


def show_status(console: Console, found: Sequence[Standing], *, quiet: bool = False) -> None:
    """Print how far each object of each account is, and what need attention. ``quiet``: nothing when all is well."""
    if not found:
        if not quiet:
            console.print("Nothing has been imported yet.")
        return
    table = _table("object", "account", "state", "through", ">read", ">rows")
    for s in found:
        table.add_row(
            s.object,
            account(s.advertiser_id, s.account) or "all",
            Text(s.state, "green" if s.ok else "red" if s.state == "failed" else "yellow"),
            str(s.through or ""),
            "" if s.age_s is None else f"{duration(s.age_s)} ago",
            "" if s.rows is None else f"{s.rows:,}",
        )
    console.print(table)
    bad = [s for s in found if not s.ok]
    for s in bad:
        console.print(
            f"{s.state}: {pair(s.object, account(s.advertiser_id, s.account))}: {s.problem}",
            markup=False,
            soft_wrap=True,
        )
    console.print("Everything is fresh." if not bad else f"{len(bad)} of {len(found)} need attention.")


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
        return ": something else already has this name. Rename it, and run this again."
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
