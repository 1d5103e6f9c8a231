"""Words and pictures on a terminal: events as progress bars or JSON lines, results as tables. Decides nothing."""

from __future__ import annotations

import dataclasses
import sys
import time
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import IO, Protocol, Self

import msgspec
from rich import box
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeRemainingColumn
from rich.table import Table
from rich.text import Text

from owox_tiktok.app import Checked, Explained, Planned, Said, Standing, Verified, Viewed
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
from owox_tiktok.model import Seal, Stream
from owox_tiktok.states import ABOUT
from owox_tiktok.streams import permission_for
from owox_tiktok.trust.seals import CONTROLS
from owox_tiktok.trust.verdicts import (
    NOT_COMPARED,
    PAGE,
    SEVERITY,
    TO_READ_AGAIN,
    VERIFIED,
    Severity,
    Stretch,
    Verdict,
    stretches,
    verified_through,
)


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
        if isinstance(event, Failed):  # its message says what the error says
            event = dataclasses.replace(event, error=None)
        facts = {name: value for name, value in dataclasses.asdict(event).items() if name != "error"}
        self._write(severity, type(event).__name__.lower(), facts)

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
        if event.confirmed:
            self.say("", event.confirmed)


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
        steps = sum(p.steps for p in planned)
        console.print(f"The destination would bill about {about} for {steps:,} step{'' if steps == 1 else 's'}.")
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
    """Print how far each object of each account is, and what needs attention. ``quiet``: nothing when all is well."""
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
    needs = "needs" if len(bad) == 1 else "need"
    console.print(f"{len(bad)} of {len(found)} {needs} attention." if bad else "Everything is fresh.")


def _plain(amount: Decimal) -> str:
    """Return money for JSON: with two decimals, or as many as it has."""
    return f"{amount:.2f}" if amount == round(amount, 2) else f"{amount.normalize():f}"


def sums_of(seal: Seal) -> dict[str, object]:
    """Return the rows and sums of a day as facts for JSON."""
    amounts = {name: getattr(seal, name) for name in CONTROLS}
    return {
        "rows": seal.rows,
        **{n: None if a is None else _plain(a) if n == "spend" else a for n, a in amounts.items()},
    }


def facts_of(stretch: Stretch) -> dict[str, object]:
    """Return days with the same verdict as facts for JSON; TikTok's sums where it was asked for one day alone."""
    only = stretch.days[0] if len(stretch.days) == 1 else None
    return {
        "event": "verified",
        "ok": SEVERITY[stretch.verdict] is Severity.FINE,
        "object": stretch.object,
        "advertiser": stretch.advertiser_id,
        "first": str(stretch.first),
        "last": str(stretch.last),
        "verdict": str(stretch.verdict),
        "reason": stretch.reason,
        "spend": _plain(sum((one.ours.spend or Decimal() for one in stretch.days), Decimal())),
        "tiktok": {n: _plain(a) if n == "spend" else int(a) for n, a in only.theirs.items()} if only else {},
        "requests": sorted({r for one in stretch.days for r in one.requests}),
    }


_COLOURS = {Severity.FINE: "green", Severity.OPEN: "yellow", Severity.BAD: "red"}


def show_verified(console: Console, found: Verified, *, quiet: bool = False) -> None:
    """Print how many days of each object and account are TikTok's, and what is not. ``quiet``: nothing when all is."""
    names = {a.id: account(a.id, a.name) for a in found.accounts}
    table = _table("object", "account", ">closed days", ">equal", ">spend checked", "verified through", "moving since")
    for name, advertiser_id in dict.fromkeys((one.object, one.advertiser_id) for one in found.days):
        days = [one for one in found.days if (one.object, one.advertiser_id) == (name, advertiser_id)]
        closed = [d for d in days if d.verdict not in (Verdict.MOVING, Verdict.NOT_CHECKABLE, *NOT_COMPARED)]
        equal = [d for d in closed if d.verdict in VERIFIED]
        money_ = next((a.currency for a in found.accounts if a.id == advertiser_id), "")
        through = verified_through(days) or ""
        moving = min((d.day for d in days if d.verdict is Verdict.MOVING), default="")
        spend = f"{sum(d.ours.spend or 0 for d in equal):,.2f} {money_}".strip()
        worst = max((SEVERITY[d.verdict] for d in days), default=Severity.FINE)
        figures = (f"{len(closed):,}", Text(f"{len(equal):,}", _COLOURS[worst]), spend, str(through), str(moving))
        table.add_row(name, names.get(advertiser_id, advertiser_id), *figures)
    bad = [s for s in stretches(found.days) if SEVERITY[s.verdict] is not Severity.FINE]
    if not found.days:
        if not quiet:
            console.print("There is no report by day or hour to compare.")
    elif not quiet or bad:
        console.print(table)
    for s in bad:
        days_ = f"{s.first}" if s.first == s.last else f"{s.first} to {s.last}"
        what = f"{pair(s.object, names.get(s.advertiser_id, s.advertiser_id))}, {days_}: {s.reason}"
        console.print(Text.assemble((f"{s.verdict}: ", _COLOURS[SEVERITY[s.verdict]]), visible(what)), soft_wrap=True)
    for advertiser_id, why in found.refused.items():
        console.print(
            Text.assemble(("refused: ", "red"), visible(f"advertiser {advertiser_id}: {why}")), soft_wrap=True
        )
    if not quiet or bad or found.refused:
        console.print(_verified_in_words(found), soft_wrap=True)


def _verified_in_words(found: Verified) -> str:
    """Return what a check came to, as a few sentences."""
    count = {verdict: sum(one.verdict is verdict for one in found.days) for verdict in Verdict}
    equal = sum(count[v] for v in VERIFIED)
    again = sum(count[v] for v in TO_READ_AGAIN)
    closed = equal + again + count[Verdict.MISSING]
    asked = f"{found.requests:,} request{'' if found.requests == 1 else 's'}"
    said = [f"{equal:,} of {closed:,} closed days equal TikTok's totals ({asked})."]
    if count[Verdict.MOVING]:
        said.append(f"{count[Verdict.MOVING]:,} still move.")
    if count[Verdict.NOT_CHECKABLE]:
        said.append(
            f"Of {count[Verdict.NOT_CHECKABLE]:,} TikTok gives no totals; their rows are those that were stored."
        )
    if count[Verdict.NOT_ANSWERED]:
        said.append(
            f"Of {count[Verdict.NOT_ANSWERED]:,} nothing is known, since TikTok did not answer: check again later."
        )
    if again:
        said.append(f"The next import reads {again:,} of them again.")
    if any(SEVERITY[v] is not Severity.FINE for v, n in count.items() if n):
        said.append(f"What each of these words means, and what to do: {PAGE}")
    return " ".join(said)


def show_explained(console: Console, found: Explained) -> None:
    """Print which reading gives a number, or the nearest one."""
    whose = account(found.advertiser.id, found.advertiser.name)
    asked = f"{counted(found.tried, 'reading')} tried, {counted(found.requests, 'request')}"
    number = f"{found.metric} {found.in_digits(found.value)} of {whose} on {found.day}"
    if found.found:
        console.print(f"{number} is:", markup=False, soft_wrap=True)
        for one in found.found:
            console.print(f"  {one.words}: {found.in_digits(one.value)}", markup=False, soft_wrap=True)
        console.print(f"({asked})")
        return
    console.print(f"{number} is nothing that TikTok's API gives ({asked}).", markup=False, soft_wrap=True)
    if found.nearest:
        nearest = f"{found.nearest.words}: {found.in_digits(found.nearest.value)}"
        console.print(f"Nearest: {nearest}.", markup=False, soft_wrap=True)
    console.print(f"See that the account, the day and the metric are the same there. More reasons: {PAGE}")


def show_history(console: Console, day: date, found: Sequence[Said]) -> None:
    """Print what TikTok said of a day, object by object, each time it changed."""
    if not found:
        console.print(f"Nothing is stored of {day}.")
        return
    table = _table("object", "account", "until", ">age", ">rows", *(f">{name}" for name in CONTROLS))
    for one in found:
        sums = [getattr(one.seal, name) for name in CONTROLS]
        table.add_row(
            one.object,
            one.advertiser_id,
            f"{one.until:%Y-%m-%d %H:%M} UTC" if one.until else "now",
            "" if one.age_days is None else f"{one.age_days} d",
            f"{one.seal.rows:,}",
            *(
                "" if a is None else f"{a:,.2f}" if n == "spend" else f"{a:,}"
                for n, a in zip(CONTROLS, sums, strict=True)
            ),
        )
    console.print(table)


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
    """Print every object with a word on it, those about one subject together."""
    families: dict[str, list[Stream]] = {}
    for s in streams:
        families.setdefault(s.family, []).append(s)
    for family, members in families.items():
        table = _table("object", ">fields", "what it holds")
        for s in members:
            table.add_row(s.name, str(len(s.fields)), s.description)
        console.print(Text(f"{family.replace('_', ' ')} ({len(members)})", "bold"))
        console.print(table)


def show_object(console: Console, stream: Stream, default: Sequence[str], aliases: Sequence[str]) -> None:
    """Print one object: how it is keyed and stored, and its fields."""
    console.print(Text.assemble((stream.name, "bold"), f": {stream.description}"))
    console.print(f"table {stream.table}, key {', '.join(stream.keys)}", markup=False)
    if stream.max_days:
        console.print(f"read in windows of at most {stream.max_days} day{'s' if stream.max_days > 1 else ''}")
    if not stream.in_sandbox:
        console.print("not in the sandbox")
    if permission := permission_for(stream.path):
        console.print(f"permission of the developer app: {permission}", markup=False)
    if stream.time:
        console.print(f"days of {'UTC' if stream.utc_days else 'the ad account'}")
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
