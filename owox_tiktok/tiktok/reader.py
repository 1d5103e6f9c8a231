"""Answers to a question: what to ask, page after page, until the rows in a file are exactly TikTok's.

The rules of reading live here: every kind of ads, the page count that must agree, fields an account may not have,
questions that are too large, reports cut at 20,000 ads. What is asked is ``questions``, ``kinds`` and ``parts``; how a
call is made is ``client``; how a page becomes rows is ``pages``; what a value means is ``rows``.
"""

from __future__ import annotations

import logging
import re
import threading
from collections import Counter
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from decimal import Decimal
from pathlib import Path
from typing import TypeVar

from owox_tiktok.errors import AccountRefused, FieldsRefused, RequestRefused, TooLarge, Unavailable
from owox_tiktok.model import Advertiser, Halve, Reading, Stream
from owox_tiktok.spool import Writer
from owox_tiktok.streams import MAX_METRICS, STREAMS
from owox_tiktok.tiktok import tasks
from owox_tiktok.tiktok.accounts import Accounts, authorised, describe
from owox_tiktok.tiktok.client import Answer, TikTok, of
from owox_tiktok.tiktok.kinds import HIDDEN, ORDINARY, TOP_VIEW, AdKind
from owox_tiktok.tiktok.once import Once
from owox_tiktok.tiktok.pages import (
    Direct,
    Join,
    KeysOnly,
    NotWhole,
    PagedData,
    PageInfo,
    Rows,
    Sink,
    columns_of,
    extractor,
)
from owox_tiktok.tiktok.parts import Parts, how_many
from owox_tiktok.tiktok.questions import WHOLE, Part, Question, Series, of_at_most
from owox_tiktok.tiktok.sums import add_up, added_up
from owox_tiktok.trust.seals import in_order
from owox_tiktok.trust.totals import COMPARED, NoTotals, Total, Totals, total_of

T = TypeVar("T")
log = logging.getLogger(__name__)

PAGES_PER_WINDOW = 20
"""A window with more pages is halved, so that its parts are read side by side and memory stays flat."""
READINGS = 5
"""So often is a window read again whose pages do not add up (rows moved between two pages)."""

_FIELD_CODES = frozenset({40002, 40006, 40125, 41002})
"""Codes with which TikTok refuses a field among other things."""

_NO_NUMBER = frozenset({None, "", "-", "0", 0})
"""What TikTok writes for a number where there was nothing."""

_OTHER_TOTALS = (
    "TikTok's own totals are not what its rows add up to; it was asked twice and said the same, so the rows are stored"
)
_TWICE = "the clock was set back, and TikTok gave an hour twice: its sums are added up"


class _Less(Exception):
    """A series is too large for one request, for another reason than the cut at 20,000 ads."""

    def __init__(self, series: Series, error: TooLarge) -> None:
        self.series, self.error = series, error
        super().__init__(error.message)


class _AskOtherwise(Exception):
    """TikTok refuses the way in which it was asked, and another one is remembered."""


class _KindRefused(Exception):
    """TikTok does not give a kind of ads in this report."""

    def __init__(self, kind: AdKind) -> None:
        self.kind = kind
        super().__init__(kind.name)


@dataclass(frozen=True, slots=True)
class Expected:
    """What answering a question takes: its rows (None: TikTok does not say), and the fields that TikTok refuses.

    ``hidden`` are the rows of the kinds of ads that TikTok hides, by kind; they come on top of ``rows``. Each page is
    asked for in ``groups`` of fields.
    """

    rows: int | None
    refused: frozenset[str] = frozenset()
    hidden: Mapping[str, int] = field(default_factory=dict)
    groups: int = 1


class Source:
    """Reads windows from TikTok. Shared by the reader threads; remembers what it learned about each pair.

    TikTok's ``sandbox`` has ordinary ads only, and may not describe its accounts.
    """

    def __init__(self, api: TikTok, *, sandbox: bool = False) -> None:
        self.api = api
        self._parts = Parts(api)
        self._sandbox = sandbox
        self._lock = threading.Lock()
        # Pages are taken apart one at a time, on one thread: side by side they would only take turns, each thread with
        # memory of its own (a quarter more time and half as much memory again, measured).
        self._pages = ThreadPoolExecutor(1, "pages")
        self._hidden: Once[int] = Once()
        self._top_view_is_in: Once[bool | None] = Once()
        # What was learned, by pair or by pair and kind of ads.
        self._refused: dict[tuple[tuple[str, str], str], frozenset[str]] = {}
        self._longest: dict[tuple[str, str], int] = {}
        self._most_names: dict[tuple[str, str], int] = {}
        self._most_ids: dict[tuple[tuple[str, str], str, str], int] = {}
        self._without: dict[tuple[tuple[str, str], str], str] = {}
        self._no_tasks: dict[str, str] = {}
        self._warnings: dict[tuple[str, str], str] = {}
        self._warned_by: dict[tuple[str, str], str] = {}
        self._day_by_day: set[tuple[str, str]] = set()
        """Pairs of which TikTok tells the days only when it is asked for them one by one."""
        self._every_status: set[tuple[str, str]] = set()
        """Pairs that are asked for deleted things with one word, since TikTok refused a list of every status."""
        self._without_totals: set[str] = set()
        """Streams of which TikTok gives no totals although it should."""
        self._differing: dict[Hashable, Mapping[str, object]] = {}
        """How the totals of a series differed from its rows when it was last read."""
        self._always_differing: set[tuple[str, str]] = set()
        """Pairs whose rows TikTok gave twice alike, and twice with other totals."""

    # --- who there is -------------------------------------------------------------------------------------------------

    def advertiser_ids(self) -> tuple[str, ...]:
        """Return the ids of every ad account the authorisation covers."""
        return authorised(self.api)

    def advertisers(self, ids: Sequence[str]) -> Accounts:
        """Return what TikTok knows of the accounts ``ids``."""
        return describe(self.api, ids, sandbox=self._sandbox)

    # --- one question -------------------------------------------------------------------------------------------------

    def probe(self, question: Question, *, every_kind: bool = False) -> Expected:
        """Ask for one row, for ``every_kind`` of ads one of each; raises what reading would raise."""
        refused: frozenset[str] = frozenset()
        parts = self._parts.first(question)
        listing = question.stream.listing
        each = bool(listing and (listing.each or listing.batch))
        if not parts:
            return Expected(None, groups=0 if each else 1)
        while True:
            names = tuple(n for n in question.names if n not in refused)
            groups = of_at_most(names, MAX_METRICS) if question.stream.is_report else (names,)
            try:
                counts = [self._count(self._series(question, ORDINARY, parts[0], group)) for group in groups]
                break
            except _AskOtherwise:
                continue
            except FieldsRefused as error:
                refused |= error.fields
            except TooLarge:  # it is read in parts, and TikTok does not say how many rows they have
                return Expected(None, refused, groups=len(groups))
        hidden: dict[str, int] = {}
        for kind in self._kinds(question)[:-1] if every_kind else ():
            try:
                hidden[kind.name] = self._count(self._series(question, kind, parts[0], ())) or 0
            except (RequestRefused, _AskOtherwise):
                continue  # reading goes on without them, and says so
        if each:  # the parts have different numbers of rows
            return Expected(None, refused, groups=len(parts))
        days = question.window.days if question.window and question.pair in self._day_by_day else 1
        return Expected(counts[0], refused, hidden, len(groups) * days)

    def _series(self, question: Question, kind: AdKind, part: Part, names: tuple[str, ...]) -> Series:
        by_day, every = question.pair not in self._day_by_day, question.pair in self._every_status
        return Series(question, kind, part, names, by_day=by_day, every_status=every)

    def _count(self, series: Series) -> int | None:
        """Return how many rows a series has; None where TikTok does not say."""
        try:
            info = self._get(series, 1, of(PagedData), page_size=1).page_info
        except RequestRefused as error:
            raise self._blame(series, error) from None
        return None if series.question.stream.page_size is None else info.total_number

    def read(self, question: Question, path: Path, *, hidden: Sequence[AdKind] = HIDDEN) -> Reading:
        """Write the rows that answer the question to ``path``; raises Halve, or a Problem that ends the pair.

        Of the kinds of ads that TikTok hides, those among ``hidden`` are read that the account has.
        """
        pair, window = question.pair, question.window
        most = 1 if pair in self._day_by_day else self._longest.get(pair)
        if question.can_halve and window and most and window.days > most:
            raise Halve
        last: NotWhole | None = None
        readings = 0
        while readings < READINGS:
            writer = Writer(path, question.columns, question.stream.time)
            try:
                return self._read(question, writer, hidden)
            except FieldsRefused:
                pass  # it is remembered
            except _AskOtherwise:
                if question.can_halve and pair in self._day_by_day:
                    raise Halve from None
            except _KindRefused as without:
                with self._lock:
                    self._without[pair, without.kind.name] = (
                        f"TikTok does not give its {without.kind.name} ads here; the others are stored"
                    )
            except _Less as less:
                self._ask_for_less(less.series, less.error)
            except NotWhole as error:
                if error.counts and last and last.counts == error.counts and not _strict(question):
                    # Asset lists end at 10,000 whatever the count says; that is all TikTok gives.
                    note = f"TikTok counts {error.counts[1]:,} rows and gives {error.counts[0]:,}"
                    return Reading(writer.rows, writer.seals, self._not_given(question), (note,))
                last = error
                readings += 1
            finally:
                writer.close()
        raise Unavailable(f"TikTok's answers do not add up: {last}", what_to_do="The next run reads these days again.")

    def _read(self, question: Question, writer: Writer, hidden: Sequence[AdKind]) -> Reading:
        """Write every kind of ads, the ordinary ones last; raises what makes it worth another try."""
        rows = Rows(question, writer)
        expected: Counter[object] = Counter()
        for kind in self._kinds(question, hidden):
            rows.begin(kind)
            expected |= self._read_kind(question, kind, rows)
        if lost := rows.lost(expected):
            raise NotWhole(f"{lost:,} of the cut report's rows are not in its parts")
        notes = [*rows.notes, *(note for kind in hidden if (note := self._note(question, kind)))]
        if rows.repeated and question.has_an_hour_twice:
            writer.close()
            writer = add_up(writer.path, question.columns, question.stream.keys, question.stream.time)
            notes.append(_TWICE)
        return Reading(
            writer.rows,
            writer.seals,
            self._not_given(question),
            tuple(dict.fromkeys(notes)),
            rows.adds_up,
            self._wants_totals(Series(question, names=question.names)),
        )

    # --- kinds of ads -------------------------------------------------------------------------------------------------

    def looks_for(self, stream: Stream) -> list[AdKind]:
        """Return the kinds of hidden ads that a stream is read for, where an account has them: asked once for each."""
        return [kind for kind in HIDDEN if not self._sandbox and kind.fits(stream)]

    def _kinds(self, question: Question, hidden: Sequence[AdKind] = HIDDEN) -> list[AdKind]:
        """Return the kinds of ads to read a question for, ordinary ones last."""
        kinds = [k for k in self.looks_for(question.stream) if k in hidden and self._has(question, k)]
        return [*kinds, ORDINARY]

    def has(self, question: Question, kind: AdKind) -> bool:
        """Whether an account has ads of a hidden kind, as far as the question's report would show them."""
        return kind in self.looks_for(question.stream) and self._has(question, kind)

    def _has(self, question: Question, kind: AdKind) -> bool:
        if (question.pair, kind.name) in self._without:
            return False
        return self._hidden.get((question.advertiser.id, kind.name), lambda: self._ask(question.advertiser, kind)) > 0

    def _ask(self, advertiser: Advertiser, kind: AdKind) -> int:
        """Return how many campaigns of a hidden kind there are; none where TikTok will not say."""
        try:
            return how_many(self.api, advertiser, kind)
        except AccountRefused:
            raise
        except RequestRefused as error:
            with self._lock:
                self._warnings[advertiser.id, kind.name] = (
                    f"TikTok does not say whether the account has {kind.name} campaigns ({error.code}), "
                    "so reports are without them"
                )
            return 0

    def _note(self, question: Question, kind: AdKind) -> str:
        """Return what a person should know about the rows of a hidden kind of ads in this report."""
        if not kind.fits(question.stream):
            return ""
        if without := self._without.get((question.pair, kind.name)):
            return without
        if refused := self._refused.get((question.pair, kind.name), frozenset()) - self._not_given(question):
            return f"TikTok does not give {', '.join(sorted(refused))} for {kind.name} ads; it is empty there"
        account = (question.advertiser.id, kind.name)
        # One report of the account is enough to say it.
        first = account in self._warnings and self._warned_by.setdefault(account, question.stream.name)
        return self._warnings[account] if first == question.stream.name else ""

    # --- one kind of ads ----------------------------------------------------------------------------------------------

    def _read_kind(self, question: Question, kind: AdKind, rows: Rows) -> Counter[object]:
        """Read all parts of a kind; return the keys that a cut answer had, which the parts together must have."""
        expected: Counter[object] = Counter()
        parts = list(self._parts.first(question))
        while parts:
            series = self._series(question, kind, parts.pop(0), self._names(question, kind))
            if self._was_too_large(series) and (smaller := self._parts.smaller(series)):
                parts[:0] = smaller
                continue
            try:
                self._read_part(series, rows)
            except TooLarge as error:
                if error.ids and (smaller := self._parts.smaller(series)):
                    if len(series.part.ids) != 1:  # that one has many below it; others need not
                        self._remember_too_large(series)
                    parts[:0] = smaller
                    continue
                if not error.cut:
                    raise _Less(series, error) from None
                expected |= self._keys_of_cut(series, rows)
                smaller = self._parts.smaller(series)
                parts[:0] = smaller
                if not smaller:
                    self._read_otherwise(series, rows)
            except FieldsRefused as error:
                self._leave_out(series, error.fields)
                raise
            except RequestRefused as error:
                if not kind.hidden or isinstance(error, AccountRefused):
                    raise
                raise _KindRefused(kind) from None
        return expected

    def _names(self, question: Question, kind: AdKind) -> tuple[str, ...]:
        """Return what to ask for: what this kind of ads has and TikTok does not refuse."""
        refused = self._refused.get((question.pair, kind.name), frozenset())
        return tuple(n for n in question.names if n not in refused and kind.gives(question.stream, n))

    def _read_part(self, series: Series, rows: Rows) -> None:
        most = self._most_names.get(series.question.pair, MAX_METRICS)
        groups = of_at_most(series.names, most) if series.question.stream.is_report else (series.names,)
        if len(groups) == 1:
            direct = Direct(rows, series.names)
            self._compare(series, self._all_pages(series, direct, PAGES_PER_WINDOW), rows)
            absent = direct.absent
        else:
            join = Join(rows)
            for names in groups:
                group = replace(series, names=names)
                most_pages = max(1, PAGES_PER_WINDOW // len(groups))
                self._compare(group, self._all_pages(group, join.group(names), most_pages), rows)
            join.close()
            absent = join.absent
        if absent:
            self._leave_out(series, frozenset(absent))

    def _leave_out(self, series: Series, names: frozenset[str]) -> None:
        with self._lock:
            key = (series.question.pair, series.kind.name)
            self._refused[key] = self._refused.get(key, frozenset()) | names

    def _not_given(self, question: Question) -> frozenset[str]:
        return self._refused.get((question.pair, ORDINARY.name), frozenset())

    # --- cut, and nothing smaller to ask for --------------------------------------------------------------------------

    def _read_otherwise(self, series: Series, rows: Rows) -> None:
        """Read what stays cut however little is asked for: by a task, else an account as the sum of its campaigns."""
        rows.adds_up = False
        question = series.question
        why_not = self._no_tasks.get(question.advertiser.id) or tasks.cannot(series)
        if why_not and question.can_halve and question.advertiser.id not in self._no_tasks:
            over = question.days_that_are_over
            if over and not tasks.cannot(replace(series, question=over)):
                raise Halve  # those days can be read by a task
        if not why_not:
            try:
                self._read_by_task(series, rows)
                return
            except RequestRefused as error:
                if not tasks.is_not_enabled(error):
                    raise
                why_not = f"TikTok has not enabled asynchronous reports for this app ({error.code})"
                with self._lock:
                    self._no_tasks[question.advertiser.id] = why_not
        if question.stream.level != "advertiser" or question.stream.name not in STREAMS:
            raise TooLarge(f"TikTok cuts the report at its 20,000 newest ads, and {why_not}", cut=True)
        self._sum_campaigns(series, rows)

    def _read_by_task(self, series: Series, rows: Rows) -> None:
        answered = tasks.run(self.api, series)
        rows.add(columns_of(series.question, answered.page), frozenset(series.names))
        if without := answered.without | answered.page.absent:
            self._leave_out(series, without)
            rows.notes.append(
                f"TikTok cuts this report at its 20,000 newest ads; its asynchronous report, which was "
                f"read instead, does not have {', '.join(sorted(without))}"
            )

    def _sum_campaigns(self, series: Series, rows: Rows) -> None:
        """Read an account's report as the sum of its campaigns; what cannot be added up is not given."""
        question, stream = series.question, series.question.stream
        below = STREAMS[f"campaign{stream.name.removeprefix('advertiser')}"]
        names = tuple(n for n in series.names if stream.fields[n].additive and n in below.fields)
        path = rows.writer.path.with_suffix(".campaigns")
        try:
            wanted = replace(question, stream=below, fields=names, with_deleted=True)
            with_top_view = self._top_view_in_account(wanted)
            rows.notes += self.read(wanted, path, hidden=() if with_top_view is False else (TOP_VIEW,)).notes
            columns = in_order(below.columns(names))
            found = dict(zip((f.name for f in columns), added_up(path, columns, stream.keys), strict=True))
        finally:
            path.unlink(missing_ok=True)
        count = len(found["advertiser_id"])
        rows.add([found.get(f.name, [None] * count) for f in question.columns], frozenset(names))
        note = "TikTok cuts the account's own report at its 20,000 newest ads, so the sum of its campaigns is stored"
        if left := frozenset(series.names) - set(names):
            self._leave_out(series, left)
            note += f"; {', '.join(sorted(left))} cannot be added up"
        if with_top_view is None:
            note += "; TopView ads are in it, and TikTok does not say whether they are in its own"
        rows.notes.append(note)

    def _top_view_in_account(self, below: Question) -> bool | None:
        """Whether an account's own report holds its TopView ads; None where TikTok will not say.

        ``below`` is the question about its campaigns. TikTok's documents leave it open, so it is asked once for each
        account that has such campaigns: for the whole life of these alone, which no account is too large for.
        """
        account = below.advertiser.id
        if TOP_VIEW not in self._kinds(below, (TOP_VIEW,)):
            return True  # none there, or none known: both are said where the campaigns are read
        return self._top_view_is_in.get(account, lambda: self._ask_for_top_view(below.advertiser))

    def _ask_for_top_view(self, advertiser: Advertiser) -> bool | None:
        names = ("impressions",)
        question = Question(STREAMS["advertiser_report_lifetime"], advertiser, None, names)
        extract = extractor(question.stream, names)
        try:
            for part in self._parts.campaigns(advertiser, TOP_VIEW):
                series = Series(question, ORDINARY, part, names)
                page = self._get(series, 1, lambda answer: extract(answer.body))
                if any(shown not in _NO_NUMBER for shown in page.values.get("impressions", ())):
                    return True
        except AccountRefused:
            raise
        except RequestRefused:
            return None
        return False

    # --- page after page ----------------------------------------------------------------------------------------------

    def _all_pages(self, series: Series, sink: Sink, most_pages: int, *, of_cut: bool = False) -> Totals | None:
        """Read every page of a series into ``sink``; raises NotWhole when they do not agree with each other.

        Returns their sums with TikTok's own totals, where it is asked for those.

        A report that TikTok cut at its newest ads raises TooLarge with its first page, unless it is read ``of_cut``.
        """
        stream = series.question.stream
        extract = extractor(stream, series.asked, series.dimensions)
        page, total = 1, None
        totals = Totals(series.names, series.question.advertiser.currency) if self._wants_totals(series) else None

        def take(body: bytes) -> tuple[int, PageInfo | None]:
            found = extract(body)
            if gives := series.part.gives:
                found = found._replace(values={**found.values, **{n: [v] * found.rows for n, v in gives}})
            sink.add(found)
            if totals:
                totals.add(found.values, found.rows, found.totals)
            return found.rows, found.info

        def taken(answer: Answer) -> tuple[int, PageInfo | None]:
            if answer.cut and not of_cut:
                if page > 1:
                    raise NotWhole("the report was cut at its 20,000 newest ads while it was read")
                raise TooLarge("TikTok cut the report at its 20,000 newest ads", cut=True)
            return self._pages.submit(take, answer.body).result()

        while True:
            try:
                rows, info = self._get(series, page, taken, with_totals=page == 1 and totals is not None)
            except RequestRefused as error:
                blamed = self._blame(series, error)
                if totals and not self._wants_totals(series):  # it was the totals that are refused
                    totals = None
                    continue
                raise blamed from None
            if info is None:
                if rows and stream.listing and stream.listing.until_empty:
                    page += 1
                    continue
                return None
            if page == 1 and series.question.can_halve and info.total_page > most_pages:
                raise Halve
            if total is not None and total != info.total_number:
                raise NotWhole("the number of rows changed while they were read")
            total = info.total_number
            if not rows or page >= info.total_page:
                break
            page += 1
        if sink.count != total:
            twice = f" ({sink.came_again} came twice)" if sink.came_again else ""
            raise NotWhole(f"{sink.count:,} different rows where it counts {total:,}{twice}", (sink.count, total))
        return totals

    def _get(
        self,
        series: Series,
        page: int,
        take: Callable[[Answer], T],
        page_size: int | None = None,
        *,
        with_totals: bool = False,
    ) -> T:
        question = series.question
        return self.api.get(
            question.stream.path,
            series.parameters(page, page_size, with_totals=with_totals),
            take=take,
            advertiser_id=question.advertiser.id,
            with_app=question.stream.needs_app,
            may_shrink=question.can_halve,
            may_split=question.stream.is_report and (len(series.names) > 1 or self._parts.can_divide(series)),
        )

    # --- TikTok's own totals ------------------------------------------------------------------------------------------

    def _wants_totals(self, series: Series) -> bool:
        if self._sandbox or not series.has_totals or COMPARED.isdisjoint(series.names):
            return False
        return series.question.stream.name not in self._without_totals

    def total(self, question: Question, kinds: Sequence[AdKind] | None = None) -> Total:
        """Return what TikTok says the rows of a question add up to, asked in the same way as for the rows themselves.

        Of the kinds of ads that reading has, or of ``kinds`` alone. Raises NoTotals where TikTok gives none, and a
        Problem where it does not answer.
        """
        added: Total | None = None
        for kind in self._kinds(question) if kinds is None else kinds:
            names = self._names(question, kind)
            parts = [WHOLE]
            while parts:
                series = Series(question, kind, parts.pop(0), names)
                try:
                    found = self._total(series)
                except TooLarge as error:
                    smaller = self._parts.smaller(series) if error.cut or not question.can_halve else ()
                    if smaller:
                        parts[:0] = smaller
                        continue
                    if error.cut or not question.window or not question.can_halve:
                        raise NoTotals("TikTok cuts this report at its 20,000 newest ads") from None
                    halves = [replace(question, window=half) for half in question.window.halves()]
                    return self.total(halves[0], kinds) + self.total(halves[1], kinds)
                except FieldsRefused as error:
                    self._leave_out(series, error.fields)
                    return self.total(question, kinds)
                except RequestRefused as error:
                    if kind.hidden and not isinstance(error, AccountRefused):
                        break  # reading does without them, too
                    raise
                added = found if added is None else added + found
        return added or Total({})

    def total_by_campaigns(self, question: Question) -> Total:
        """Return the total of a question about ads, asked for groups of campaigns: no account is too large for that.

        Raises NoTotals where it cannot be asked so, and as ``total`` does.
        """
        whole = Series(question, ORDINARY, WHOLE, question.names)
        parts = self._parts.smaller(whole)
        if not parts:
            raise NoTotals("TikTok has no smaller groups of campaigns")
        added = Total({n: Decimal() for n in whole.names}, 0)
        for part in parts:
            added += self._total(replace(whole, part=part))
        return added

    def _total(self, series: Series) -> Total:
        if not self._wants_totals(series):
            raise NoTotals("TikTok gives no totals of this report")
        extract = extractor(series.question.stream, series.names)

        def take(answer: Answer) -> Total:
            if answer.cut:
                raise TooLarge("TikTok cut the report at its 20,000 newest ads", cut=True)
            said = extract(answer.body).totals
            return total_of(said or {}, series.names, answer.request_id)

        try:
            found = self._get(series, 1, take, page_size=1, with_totals=True)
        except RequestRefused as error:
            blamed = self._blame(series, error)
            if not self._wants_totals(series):
                raise NoTotals(f"TikTok refuses totals of this report ({error.code})") from None
            raise blamed from None
        if not found.sums:
            raise NoTotals("TikTok gives no totals of this report")
        return found

    def _compare(self, series: Series, totals: Totals | None, rows: Rows) -> None:
        """Compare the rows of a series with TikTok's own totals; raises NotWhole when it should be read again.

        What differs in the same way twice is what TikTok says, and nothing is wrong with the reading; days that are
        not over change between two pages.
        """
        if totals is None or not totals.known:
            rows.adds_up = False
            return
        found = totals.differing()
        if not found:
            return
        question = series.question
        sums = "; ".join(f"{name} {ours} where its total is {theirs}" for name, (ours, theirs) in found.items())
        key = (question.pair, question.window, series.kind.name, series.part, series.names)
        with self._lock:
            before = self._differing.get(key)
            self._differing[key] = found
            if before == found:
                self._always_differing.add(question.pair)
        always = question.pair in self._always_differing
        if not always and (before is None or not question.is_moving):
            raise NotWhole(f"its rows add up to {sums}")
        rows.adds_up = False
        log.info("%s of %s, %s: the rows add up to %s", *question.pair, question.window, sums)
        if always:
            rows.notes.append(_OTHER_TOTALS)

    # --- fields an account may not have -------------------------------------------------------------------------------

    def _blame(self, series: Series, error: RequestRefused) -> RequestRefused:
        """Return the error to raise: FieldsRefused with the names at fault, or ``error`` when it is not about fields.

        A name of ours that stands in the message is at fault whatever the words around it; where none does, or all do,
        the names are halved until the ones at fault are found. Where none is, totals are, and are not asked for again.
        """
        stream = series.question.stream
        optional = [n for n in series.names if n not in stream.keys]
        if stream.listing and "campaign_statuses" in error.message and not series.every_status:
            with self._lock:
                self._every_status.add(series.question.pair)
            raise _AskOtherwise
        if error.code not in _FIELD_CODES or not optional or not stream.can_choose_fields:
            return error
        if named := _named(optional, error):
            return FieldsRefused(error, named)
        if not stream.is_report:
            return error

        def refused(some: Sequence[str]) -> bool:
            try:
                self._get(replace(series, names=tuple(some)), 1, lambda answer: None, page_size=1)
            except RequestRefused:
                return True
            return False

        def at_fault(some: Sequence[str]) -> Iterator[str]:
            if not refused(some):
                return
            if len(some) == 1:
                yield some[0]
                return
            half = len(some) // 2
            yield from at_fault(some[:half])
            yield from at_fault(some[half:])

        if refused(["spend", "impressions"]):  # every report has these two, so it is not the fields
            if stream.report and stream.report.may_lack_days and series.by_day:
                with self._lock:
                    self._day_by_day.add(series.question.pair)
                raise _AskOtherwise
            return error
        found = frozenset(at_fault(optional))
        if not found and series.has_totals:  # the same is not refused without totals
            with self._lock:
                self._without_totals.add(stream.name)
        nothing_left = found >= set(series.question.names)
        return FieldsRefused(error, found) if found and not nothing_left else error

    # --- questions that are too large ---------------------------------------------------------------------------------

    def _ask_for_less(self, series: Series, error: TooLarge) -> None:
        """Remember to ask for less than this series: fewer days, a smaller part, fewer fields; raises Halve for days.

        Raises ``error`` when there is nothing less to ask for.
        """
        question = series.question
        pair, window = question.pair, question.window
        if error.ids:
            raise error
        if question.can_halve and window:
            with self._lock:
                self._longest[pair] = min(self._longest.get(pair, 365), (window.days + 1) // 2)
            raise Halve from None
        if self._parts.smaller(series):
            self._remember_too_large(series)
            return
        most = min(len(series.names), self._most_names.get(pair, MAX_METRICS))
        if not question.stream.is_report or most < 2:
            raise error
        with self._lock:
            self._most_names[pair] = (most + 1) // 2

    def _remember_too_large(self, series: Series) -> None:
        """What is as large as this part would be too large as well. The whole has no ids."""
        ids = len(series.part.ids)
        with self._lock:
            limit = (ids + 1) // 2 if ids > 1 else ids - 1
            self._most_ids[series.question.pair, series.kind.name, series.part.parameter] = limit

    def _was_too_large(self, series: Series) -> bool:
        limit = self._most_ids.get((series.question.pair, series.kind.name, series.part.parameter))
        return limit is not None and len(series.part.ids) > limit

    def _keys_of_cut(self, series: Series, rows: Rows) -> Counter[object]:
        """Return the keys of a cut answer, so that none of them is missing from its parts."""
        keys = KeysOnly(rows)
        self._all_pages(replace(series, names=()), keys, PAGES_PER_WINDOW, of_cut=True)
        return keys.keys


def _strict(question: Question) -> bool:
    """Whether the rows must be as many as TikTok counts."""
    stream = question.stream
    return stream.is_report or stream.level is not None or bool(stream.listing and stream.listing.dimensions)


def _named(names: Sequence[str], error: RequestRefused) -> frozenset[str]:
    """Return which of the names a refusal is about, as its message says; none where it has none of them, or all."""
    mentioned = set(re.findall(r"\w+", error.message))
    named = frozenset(n for n in names if n in mentioned)
    return named if len(named) < max(2, len(names)) else frozenset()
