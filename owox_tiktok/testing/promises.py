"""What every destination must survive: a class of tests, which asks nothing but what ``Kit`` can do."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from owox_tiktok.errors import StoreFailed
from owox_tiktok.model import Cursor, Failure, KeepsHistory, Known, Removes, Stored, Stream, Window
from owox_tiktok.streams import STREAMS
from owox_tiktok.testing.kit import ADS, AT, DAILY, FIELDS, HOURLY, LIFETIME, Kit, Row, ad, day, in_order
from owox_tiktok.trust.kept import LIKE_FOR_LIKE, KeepsChecks, Run
from owox_tiktok.trust.verdicts import DayChecked, Verdict

TEXTS = ["", " ", "=SUM(A1)", "+1", "-1", "@x", "Весна 🌞", "日本語", 'say "x"', "two\nlines",
         "carriage\rreturn", "\r\n", "a,b",
         "back\\slash", "NULL", "null", "'; DROP TABLE x; --", "tab\there", "x" * 20_000, "\\N", "nan"]  # fmt: skip


def _a_line_feed(text: str) -> str:
    """What ``rows`` makes of each line break before a destination sees it."""
    return text.replace("\r\n", "\n").replace("\r", "\n")


class DestinationPromises:
    """The promises of a destination (see ``model.Destination``). A subclass has a fixture ``kit`` for its own."""

    # --- the two verbs ------------------------------------------------------------------------------------------------

    @pytest.mark.parametrize(
        ("stream", "rows", "window"),
        [
            (DAILY, [ad(1, 1), ad(2, 1), ad(1, 2)], (day(1), day(3))),
            (ADS, [{"ad_id": "171", "ad_name": "a"}, {"ad_id": "172", "ad_name": "b"}], None),
            (LIFETIME, [{"ad_id": "171", "spend": "3"}], None),
        ],
    )
    def test_storing_twice_is_storing_once(self, kit: Kit, stream: Stream, rows: list[Row], window: Any) -> None:
        assert kit.store(kit.chunk(stream, rows, window)) == [Stored(len(rows), 0)]
        once, cursors = in_order(kit.read(stream)), kit.cursors()
        (again,) = kit.store(kit.chunk(stream, rows, window))
        # A row of a list that is there already as it was read need not be written, and so not be replaced.
        unwritten = stream.verb == "upsert" and again.replaced == 0
        assert again == Stored(len(rows), 0 if unwritten else len(rows))
        assert in_order(kit.read(stream)) == once
        assert len(once) == len(rows)
        assert kit.cursors() == cursors

    def test_a_window_becomes_exactly_what_was_read_for_it(self, kit: Kit) -> None:
        kit.store(kit.chunk(DAILY, [ad(1, 1), ad(2, 1), ad(3, 2)], (day(1), day(2))))
        kit.store(kit.chunk(DAILY, [ad(1, 1, spend="9.99"), ad(4, 2)], (day(1), day(2))))
        assert {(r["ad_id"], r["stat_time_day"], r["spend"]) for r in kit.read(DAILY)} == {
            ("171", day(1), Decimal("9.99")),
            ("174", day(2), Decimal("1.50")),
        }

    def test_a_window_without_rows_empties_its_days(self, kit: Kit) -> None:
        kit.store(kit.chunk(DAILY, [ad(1, 1), ad(1, 2), ad(1, 3)], (day(1), day(3))))
        assert kit.store(kit.chunk(DAILY, [], (day(2), day(2)))) == [Stored(0, 1)]
        assert kit.days() == [day(1), day(3)]

    def test_replacing_a_window_touches_no_other_day_and_no_other_advertiser(self, kit: Kit) -> None:
        rows = [ad(1, n) for n in range(1, 8)]
        kit.store(kit.chunk(DAILY, rows, (day(1), day(7))))
        kit.store(kit.chunk(DAILY, rows, (day(1), day(7)), advertiser_id="2"))
        other = kit.chunk(LIFETIME, [{"ad_id": "171", "spend": "3"}])
        kit.store(other)
        kit.store(kit.chunk(DAILY, [], (day(3), day(5))))
        assert kit.days() == [day(n) for n in (1, 2, 6, 7)]
        assert kit.days("2") == [day(n) for n in range(1, 8)]
        assert len(kit.read(LIFETIME)) == 1

    def test_replacing_a_day_of_hours_takes_all_24_of_it_and_none_of_its_neighbours(self, kit: Kit) -> None:
        hours = [(n, h) for n in (1, 2, 3) for h in range(24)]
        for n in (1, 2, 3):
            rows = [
                {"ad_id": "171", "stat_time_hour": f"{day(n)} {h:02}:00:00", "spend": "1"} for m, h in hours if m == n
            ]
            kit.store(kit.chunk(HOURLY, rows, (day(n), day(n))))
        assert kit.store(kit.chunk(HOURLY, [], (day(2), day(2)))) == [Stored(0, 24)]
        left = sorted((r["stat_time_hour"].date(), r["stat_time_hour"].hour) for r in kit.read(HOURLY))
        assert left == [(day(n), h) for n, h in hours if n != 2]

    def test_what_has_no_days_is_replaced_per_advertiser(self, kit: Kit) -> None:
        kit.store(kit.chunk(LIFETIME, [{"ad_id": "171", "spend": "3"}, {"ad_id": "172", "spend": "4"}]))
        kit.store(kit.chunk(LIFETIME, [{"ad_id": "171", "spend": "3"}], advertiser_id="2"))
        kit.store(kit.chunk(LIFETIME, [{"ad_id": "173", "spend": "5"}]))
        assert {(r["advertiser_id"], r["ad_id"]) for r in kit.read(LIFETIME)} == {("1", "173"), ("2", "171")}

    def test_an_upsert_changes_what_it_names_and_keeps_the_rest(self, kit: Kit) -> None:
        kit.store(kit.chunk(ADS, [{"ad_id": "171", "ad_name": "old"}, {"ad_id": "172", "ad_name": "stays"}]))
        kit.store(kit.chunk(ADS, [{"ad_id": "171", "ad_name": "of another"}], advertiser_id="2"))
        kit.store(kit.chunk(ADS, [{"ad_id": "171", "ad_name": "new"}, {"ad_id": "173", "ad_name": "more"}]))
        kit.store(kit.chunk(ADS, []))
        assert {(r["advertiser_id"], r["ad_id"]): r["ad_name"] for r in kit.read(ADS)} == {
            ("1", "171"): "new", ("1", "172"): "stays", ("1", "173"): "more", ("2", "171"): "of another",
        }  # fmt: skip

    def test_a_list_of_the_whole_app_holds_every_advertiser_once(self, kit: Kit) -> None:
        listed = STREAMS["advertiser_ids"]
        rows: list[Row] = [{"advertiser_id": n, "advertiser_name": "a"} for n in ("1", "2")]
        kit.store(kit.chunk(listed, rows, advertiser_id="", fields=["advertiser_name"]))
        rows[1]["advertiser_name"] = "b"
        kit.store(kit.chunk(listed, rows, advertiser_id="", fields=["advertiser_name"]))
        assert sorted((r["advertiser_id"], r["advertiser_name"]) for r in kit.read(listed)) == [("1", "a"), ("2", "b")]

    def test_several_windows_can_be_stored_in_one_step(self, kit: Kit) -> None:
        chunks = [kit.chunk(DAILY, [ad(1, n)] * (n != 2), (day(n), day(n))) for n in (1, 2, 3)]
        chunks += [kit.chunk(DAILY, [ad(1, 1)], (day(1), day(1)), advertiser_id="2")]
        assert [s.rows for s in kit.store(*chunks)] == [1, 0, 1, 1]
        assert kit.days() == [day(1), day(3)]
        assert kit.cursors()[DAILY.name, "1"].through == day(3)
        assert kit.cursors()[DAILY.name, "2"].through == day(1)

    # --- values -------------------------------------------------------------------------------------------------------

    @pytest.mark.parametrize("texts", [TEXTS[:7], TEXTS[7:14], TEXTS[14:]], ids=["1", "2", "3"])
    def test_texts_come_back_as_they_are(self, kit: Kit, texts: list[str]) -> None:
        """Each in a file of its own, since what is made of a text may hang on the texts beside it."""
        with kit.open() as destination:
            destination.prepare(ADS, ADS.columns(FIELDS[ADS.name]))
            for n, text in enumerate(texts):
                rows: list[Row] = [{"ad_id": "7012345678901234567", "ad_name": text}, {"ad_id": "0", "ad_name": None}]
                destination.upsert([kit.chunk(ADS, rows, advertiser_id=f"{n}")])
        stored = {(r["advertiser_id"], r["ad_id"]): r["ad_name"] for r in kit.read(ADS)}
        for n, text in enumerate(texts):
            assert stored[f"{n}", "7012345678901234567"] == kit.keeps(_a_line_feed(text))
            assert stored[f"{n}", "0"] is None

    def test_all_texts_together_come_back_as_they_are(self, kit: Kit) -> None:
        kit.store(kit.chunk(ADS, [{"ad_id": f"{n}", "ad_name": text} for n, text in enumerate(TEXTS)]))
        assert [r["ad_name"] for r in sorted(kit.read(ADS), key=lambda r: int(r["ad_id"]))] == [
            kit.keeps(_a_line_feed(text)) for text in TEXTS
        ]

    def test_money_comes_back_exactly_to_the_ninth_decimal(self, kit: Kit) -> None:
        amounts = ["0", "0.01", "-5.10", "0.123456789", "99999999999999999999.99", "1234567.8901", "0.1234567891", "-"]
        kit.store(kit.chunk(DAILY, [ad(n, 1, spend=amount) for n, amount in enumerate(amounts)], (day(1), day(1))))
        assert [r["spend"] for r in sorted(kit.read(DAILY), key=lambda r: r["ad_id"])] == [
            *(kit.keeps(Decimal(amount)) for amount in amounts[:-2]), Decimal("0.123456789"), None,
        ]  # fmt: skip

    def test_moments_and_hours_come_back_as_they_are(self, kit: Kit) -> None:
        kit.store(kit.chunk(ADS, [{"ad_id": "171", "create_time": "2026-03-29 01:30:00", "is_aco": True}]))
        assert [(r["create_time"], r["is_aco"]) for r in kit.read(ADS)] == [
            (datetime(2026, 3, 29, 1, 30, tzinfo=UTC), True)
        ]
        kit.store(
            kit.chunk(HOURLY, [{"ad_id": "171", "stat_time_hour": "2026-03-29 02:00:00"}], (date(2026, 3, 29),) * 2)
        )
        assert [r["stat_time_hour"] for r in kit.read(HOURLY)] == [datetime(2026, 3, 29, 2)]

    # --- tables -------------------------------------------------------------------------------------------------------

    def test_a_new_field_becomes_a_new_column_and_old_rows_stay(self, kit: Kit) -> None:
        kit.store(kit.chunk(DAILY, [ad(1, 1)], (day(1), day(1)), fields=["spend"]))
        kit.store(kit.chunk(DAILY, [ad(1, 2, likes="7")], (day(2), day(2)), fields=["likes", "spend"]))
        kit.store(kit.chunk(DAILY, [ad(1, 3)], (day(3), day(3)), fields=["impressions"]))
        rows = sorted(kit.read(DAILY), key=lambda r: r["stat_time_day"])
        assert [(r["spend"], r["likes"], r["impressions"]) for r in rows] == [
            (Decimal("1.50"), None, None), (Decimal("1.50"), 7, None), (None, None, 10),
        ]  # fmt: skip

    def test_a_table_of_somebody_else_is_refused_or_left_alone(self, kit: Kit) -> None:
        kit.make_foreign_table(DAILY)
        before = kit.foreign_rows(DAILY)
        assert before
        refused = None
        try:
            kit.store(kit.chunk(DAILY, [ad(1, 1)], (day(1), day(1))))
        except StoreFailed as error:
            refused = error
        if refused is None:  # it found another place
            assert kit.days() == [day(1)]
        else:
            assert DAILY.table in refused.sentence
            assert refused.what_to_do
            assert kit.cursors() == {}
        assert kit.foreign_rows(DAILY) == before

    def test_a_column_whose_type_was_changed_is_refused_by_name(self, kit: Kit) -> None:
        kit.store(kit.chunk(DAILY, [ad(1, 1)], (day(1), day(1))))
        kit.change_type(DAILY, "spend")
        with pytest.raises(StoreFailed, match="spend"):
            kit.store(kit.chunk(DAILY, [ad(1, 1)], (day(1), day(1))))

    def test_columns_that_a_user_added_survive(self, kit: Kit) -> None:
        kit.store(kit.chunk(ADS, [{"ad_id": "171", "ad_name": "a"}]))
        kit.add_column(ADS, "my_note")
        kit.store(kit.chunk(ADS, [{"ad_id": "172", "ad_name": "b"}]))
        assert len(kit.read(ADS)) == 2
        assert "my_note" in kit.columns(ADS)

    def test_every_column_is_described(self, kit: Kit) -> None:
        for fields in (["spend"], ["spend", "likes"]):
            kit.store(kit.chunk(DAILY, [ad(1, 1)], (day(1), day(1)), fields=fields))
        described = kit.descriptions(DAILY)
        assert described.items() >= {f.name: f.description for f in DAILY.columns(["spend", "likes"])}.items()
        assert all(described.values())

    # --- all or nothing -----------------------------------------------------------------------------------------------

    def test_rows_say_when_and_by_which_run_they_were_written_and_keep_it_while_they_do_not_change(
        self, kit: Kit
    ) -> None:
        days, ads = [ad(1, n) for n in (1, 2, 3)], [{"ad_id": f"17{n}", "ad_name": "a"} for n in (1, 2, 3)]
        kit.store(kit.chunk(DAILY, days, (day(1), day(3))))
        kit.store(kit.chunk(ADS, ads))
        first = kit.stamps(DAILY, "stat_time_day") | kit.stamps(ADS, "ad_id")
        assert len(first) == 6
        assert all(at is not None and at.tzinfo is not None and run for at, run in first.values())
        days[1]["spend"], ads[1]["ad_name"] = "9.99", "b"
        for chunk in (kit.chunk(DAILY, days, (day(1), day(3))), kit.chunk(ADS, ads)):
            with kit.open() as destination:
                destination.cursors()
                destination.prepare(chunk.stream, chunk.columns)
                kit.put(destination, chunk)
        then = kit.stamps(DAILY, "stat_time_day") | kit.stamps(ADS, "ad_id")
        changed = {key for key in first if then[key] != first[key]}
        assert changed == {day(2), "172"}
        assert all(then[key][0] > first[key][0] and then[key][1] != first[key][1] for key in changed)
        assert kit.damaged(DAILY) == kit.damaged(ADS) == []

    def test_a_table_without_stamps_gets_them_and_old_rows_have_none(self, kit: Kit) -> None:
        kit.store(kit.chunk(DAILY, [ad(1, 1)], (day(1), day(1))))
        kit.stamps(DAILY, "stat_time_day")
        for name in ("_synced_at", "_run_id"):
            kit.drop_column(DAILY, name)
        assert kit.cursors(), "they are no reason to read anything again"
        kit.store(kit.chunk(DAILY, [ad(1, 2)], (day(2), day(2))))
        found = kit.stamps(DAILY, "stat_time_day")
        assert found.pop(day(1)) == (None, None)
        assert all(found[day(2)])

    def test_when_one_row_does_not_fit_neither_rows_nor_cursor_change(self, kit: Kit) -> None:
        kit.store(kit.chunk(DAILY, [ad(1, 1), ad(2, 1)], (day(1), day(1))))
        before, cursors = in_order(kit.read(DAILY)), kit.cursors()
        good = kit.chunk(DAILY, [ad(1, 1, spend="7")], (day(1), day(1)))
        wrong = {"spend": "twelve", "impressions": "99999999999999999999", "stat_time_day": "2026-02-31", "ad_id": ""}
        with kit.open() as destination:
            destination.prepare(DAILY, good.columns)
            for name, value in wrong.items():
                broken = kit.chunk(DAILY, [ad(1, 2), ad(3, 2)], (day(2), day(2)))
                lines = broken.path.read_text().splitlines()
                cells = lines[1].split(",")
                cells[[f.name for f in broken.columns].index(name)] = value
                broken.path.write_text("\n".join([lines[0], ",".join(cells)]) + "\n")
                with pytest.raises(StoreFailed) as caught:
                    destination.replace([good, broken])
                assert DAILY.table in caught.value.sentence
            # The connection is good for more.
            destination.replace([kit.chunk(DAILY, [ad(9, 5)], (day(5), day(5)), cursor=None)])
        rows = [r for r in kit.read(DAILY) if r["stat_time_day"] != day(5)]
        assert in_order(rows) == before
        assert kit.cursors() == cursors

    def test_two_chunks_of_the_same_rows_are_refused_and_nothing_is_stored(self, kit: Kit) -> None:
        ads = [kit.chunk(ADS, [{"ad_id": "171"}]) for _ in range(2)]
        days = [kit.chunk(DAILY, [ad(1, 2)], (day(n), day(n + 1))) for n in (1, 2)]
        for chunks in (ads, days):
            with pytest.raises(StoreFailed, match="twice"):
                kit.store(*chunks)
            assert kit.read(chunks[0].stream) == []
        assert kit.cursors() == {}

    def test_a_row_file_that_lost_rows_moves_no_cursor(self, kit: Kit) -> None:
        kit.store(kit.whole())
        before, cursors = in_order(kit.read(DAILY)), kit.cursors()
        for stream, short in (
            (DAILY, kit.chunk(DAILY, [ad(1, n, spend="7") for n in (6, 7)], (day(6), day(7)))),
            (ADS, kit.chunk(ADS, [{"ad_id": "171"}, {"ad_id": "172"}])),
        ):
            short.path.write_text(short.path.read_text().splitlines(keepends=True)[0])
            with pytest.raises(StoreFailed, match=r"2 rows .* 1 "):
                kit.store(short)
            assert (stream.name, "1") not in kit.cursors() or kit.cursors() == cursors
        assert in_order(kit.read(DAILY)) == before
        assert kit.read(ADS) == []

    def test_a_row_file_that_was_cut_short_anywhere_stores_nothing_and_says_so_in_a_sentence(self, kit: Kit) -> None:
        kit.store(kit.whole())
        before = in_order(kit.read(DAILY))
        rows = [ad(1, 6, ad_name='Say "hi",\nfriend'), ad(2, 6, spend="12.34")]
        whole = kit.chunk(DAILY, rows, (day(6), day(6))).path.read_bytes()
        inside = whole.index(b"friend")  # right after a line break that ends no row
        with kit.open() as destination:
            for end in (inside - 20, inside, len(whole) - 3, len(whole) - 1):
                short = kit.chunk(DAILY, rows, (day(6), day(6)))
                short.path.write_bytes(whole[:end])
                with pytest.raises(StoreFailed) as caught:
                    destination.replace([short])
                assert re.search(r"temporary file of rows|2 rows", caught.value.message), whole[:end]
                assert "\n" not in caught.value.sentence
        assert in_order(kit.read(DAILY)) == before

    def test_rows_outside_their_window_are_not_stored_quietly(self, kit: Kit) -> None:
        with pytest.raises(StoreFailed, match="2 rows"):
            kit.store(kit.chunk(DAILY, [ad(1, 1), ad(1, 9)], (day(1), day(2))))
        assert kit.read(DAILY) == []

    # --- cursors ------------------------------------------------------------------------------------------------------

    def test_cursors_come_back_as_they_were_stored(self, kit: Kit) -> None:
        assert kit.cursors() == {}
        whole = Cursor(frozenset({"spend", "likes"}), AT, day(60), day(1), day(59), frozenset({"reach"}))
        without_days = Cursor(frozenset({"ad_name"}), AT, day(60))
        kit.store(kit.chunk(DAILY, [], (day(1), day(59)), fields=["spend", "likes"], cursor=whole))
        kit.store(kit.chunk(ADS, [], cursor=without_days))
        kit.store(kit.chunk(DAILY, [], (day(1), day(59)), advertiser_id="2", cursor=None))
        assert kit.cursors() == {(DAILY.name, "1"): whole, (ADS.name, "1"): without_days}

    def test_a_failure_is_remembered_beside_the_cursor_until_the_next_success(self, kit: Kit) -> None:
        cursor = Cursor(frozenset({"spend"}), AT, day(60), day(1), day(59))
        kit.store(kit.chunk(DAILY, [], (day(1), day(59)), cursor=cursor))
        with kit.open() as destination:
            destination.failed(DAILY, "1", 'TikTok refused: it\'s "no"', AT + timedelta(days=1))
            destination.failed(DAILY, "2", "never read", AT)
        assert kit.known() == {
            (DAILY.name, "1"): Known(cursor, Failure('TikTok refused: it\'s "no"', AT + timedelta(days=1))),
            (DAILY.name, "2"): Known(None, Failure("never read", AT)),
        }
        kit.store(kit.chunk(DAILY, [], (day(1), day(59)), cursor=cursor))
        assert kit.known()[DAILY.name, "1"] == Known(cursor)

    def test_forgotten_pairs_are_as_if_never_read_and_their_rows_stay(self, kit: Kit) -> None:
        for advertiser_id in ("1", "2"):
            kit.store(kit.whole(advertiser_id))
        kit.store(kit.chunk(ADS, [{"ad_id": "171"}]))
        with kit.open() as destination:
            destination.cursors()
            destination.failed(DAILY, "1", "no answer", AT)
            destination.forget(DAILY, ["1", "3"])
            destination.forget(LIFETIME, [])
        assert set(kit.known()) == {(DAILY.name, "2"), (ADS.name, "1")}
        assert len(kit.read(DAILY)) == 10
        kit.store(kit.whole())
        assert set(kit.cursors()) == {(DAILY.name, "1"), (DAILY.name, "2"), (ADS.name, "1")}
        assert len(kit.read(DAILY)) == 10

    # --- what a person does behind the program's back -----------------------------------------------------------------

    def test_a_table_that_was_dropped_has_no_days_and_says_so(self, kit: Kit) -> None:
        kit.store(kit.whole())
        kit.store(kit.whole("2"))
        kit.store(kit.chunk(ADS, [{"ad_id": "171"}]))
        kit.drop_table(DAILY)
        for advertiser_id in ("1", "2"):
            found = kit.known()[DAILY.name, advertiser_id]
            assert found.cursor is None
            assert DAILY.name in found.lost
        assert kit.known()[ADS.name, "1"].lost == ""
        # A run that is killed once the new table is there, or has filled it for one account, leaves nothing to go by.
        with kit.open() as destination:
            destination.prepare(DAILY, kit.whole().columns)
        assert {pair for pair in kit.cursors() if pair[0] == DAILY.name} == set()
        kit.store(kit.whole("2"))
        assert {pair for pair in kit.cursors() if pair[0] == DAILY.name} == {(DAILY.name, "2")}
        assert len(kit.read(DAILY)) == 5

    def test_a_column_that_was_dropped_is_no_longer_complete_and_says_so(self, kit: Kit) -> None:
        chunk = kit.whole()
        kit.store(chunk)
        kit.store(kit.whole("2"))
        kit.drop_column(DAILY, "impressions")
        found = kit.known()[DAILY.name, "1"]
        assert "impressions" in found.lost
        assert found.cursor is not None
        assert found.cursor.fields == {"ad_name", "spend", "ctr"}
        assert (found.cursor.since, found.cursor.through) == (day(1), day(5))
        # The column is there again after this, and empty; only who is read again has it.
        kit.store(kit.whole("2"))
        assert kit.cursors()[DAILY.name, "1"].fields == {"ad_name", "spend", "ctr"}
        assert kit.cursors()[DAILY.name, "2"].fields == {"ad_name", "spend", "ctr", "impressions"}
        assert {r["advertiser_id"]: r["impressions"] for r in kit.read(DAILY)} == {"1": None, "2": 10}

    def test_a_key_that_was_dropped_is_refused_in_words(self, kit: Kit) -> None:
        kit.store(kit.whole())
        kit.drop_column(DAILY, "ad_id")
        with pytest.raises(StoreFailed, match="ad_id"):
            kit.store(kit.whole())

    def test_pruning_and_failures_are_no_harm(self, kit: Kit) -> None:
        kit.store(kit.whole())
        with kit.open() as destination:
            destination.prune(DAILY, {"1": day(3)}, dry_run=False)
            destination.failed(DAILY, "1", "no answer", AT)
        found = kit.known()[DAILY.name, "1"]
        assert found.lost == ""
        assert found.cursor is not None
        assert (found.cursor.since, found.cursor.through) == (day(3), day(5))

    def test_what_the_first_version_stored_counts_and_adopts_its_table_once(self, kit: Kit) -> None:
        chunk = kit.whole()
        kit.store(chunk)
        kit.make_older(DAILY)
        assert kit.known() == {(DAILY.name, "1"): Known(chunk.cursor)}
        kit.store(kit.whole("2"))
        assert kit.known()[DAILY.name, "1"] == Known(chunk.cursor)
        kit.drop_table(DAILY)
        kit.store(kit.whole("2"))
        assert set(kit.cursors()) == {(DAILY.name, "2")}

    def test_a_table_of_the_first_version_that_is_not_there_any_more_is_adopted_by_nobody(self, kit: Kit) -> None:
        kit.store(kit.whole())
        kit.store(kit.whole("2"))
        kit.make_older(DAILY)
        kit.drop_table(DAILY)
        kit.store(kit.whole("2"))
        assert set(kit.cursors()) == {(DAILY.name, "2")}

    def test_a_table_put_in_the_place_of_another_does_not_count(self, kit: Kit) -> None:
        kit.store(kit.whole(), kit.whole("2"))
        kit.replace_table(DAILY)
        assert kit.cursors() == {}
        assert [DAILY.name in known.lost for known in kit.known().values()] == [True, True]

    def test_a_report_that_lost_its_currency_is_read_again_whole(self, kit: Kit) -> None:
        kit.store(kit.whole())
        kit.drop_column(DAILY, "currency")
        assert "currency" in kit.known()[DAILY.name, "1"].lost
        kit.store(kit.whole("2"))
        assert set(kit.cursors()) == {(DAILY.name, "2")}

    # --- pruning ------------------------------------------------------------------------------------------------------

    def test_the_cutoff_day_stays_and_each_advertiser_has_its_own(self, kit: Kit) -> None:
        for advertiser_id in ("1", "2", "3"):
            rows = [ad(1, n) for n in range(1, 6)]
            kit.store(kit.chunk(DAILY, rows, (day(1), day(5)), advertiser_id=advertiser_id))
        keep_from = {"1": day(3), "2": day(5)}
        with kit.open() as destination:
            assert destination.prune(DAILY, keep_from, dry_run=True) == 2 + 4
            assert destination.prune(DAILY, keep_from, dry_run=True) == 2 + 4
            assert destination.prune(DAILY, keep_from, dry_run=False) == 2 + 4
            assert destination.prune(DAILY, keep_from, dry_run=False) == 0
        assert kit.days("1") == [day(3), day(4), day(5)]
        since = {advertiser_id: cursor.since for (_, advertiser_id), cursor in kit.cursors().items()}
        assert since == {"1": day(3), "2": day(5), "3": day(1)}, "a cursor claims no day that was deleted"
        assert kit.days("2") == [day(5)]
        assert kit.days("3") == [day(n) for n in range(1, 6)]

    def test_the_first_hour_of_the_cutoff_day_stays_and_the_last_before_it_goes(self, kit: Kit) -> None:
        rows = [
            {"ad_id": "171", "stat_time_hour": f"{d} {h}:00:00"}
            for d, h in ((day(1), 23), (day(2), "00"), (day(2), 23))
        ]
        kit.store(kit.chunk(HOURLY, rows, (day(1), day(2))))
        with kit.open() as destination:
            assert destination.prune(HOURLY, {"1": day(2)}, dry_run=False) == 1
        assert sorted(r["stat_time_hour"].hour for r in kit.read(HOURLY)) == [0, 23]
        assert {r["stat_time_hour"].date() for r in kit.read(HOURLY)} == {day(2)}

    def test_lists_and_tables_that_are_not_there_are_not_pruned(self, kit: Kit) -> None:
        kit.store(kit.chunk(ADS, [{"ad_id": "171"}]))
        with kit.open() as destination:
            assert destination.prune(ADS, {"1": day(300)}, dry_run=False) == 0
            assert destination.prune(DAILY, {"1": day(300)}, dry_run=False) == 0
            assert destination.prune(DAILY, {}, dry_run=False) == 0
        assert len(kit.read(ADS)) == 1

    def test_a_history_has_a_version_of_a_row_from_when_it_was_read_so_until_it_was_not(self, kit: Kit) -> None:
        with kit.open() as destination:
            if not isinstance(destination, KeepsHistory):
                pytest.skip("it keeps no history")
        kit.store(kit.chunk(ADS, [{"ad_id": "9", "ad_name": "before"}]))
        readings: list[dict[str, str]] = [
            {"1": "a", "2": "b"}, {"1": "a", "2": "b"}, {"1": "A", "3": "c"}, {"1": "A", "2": "b", "3": "c"}, {},
        ]  # fmt: skip
        for n, reading in enumerate(readings, 1):
            chunks = []
            for one, names in (("1", reading), ("2", {"1": "other"})):
                chunk = kit.chunk(ADS, [{"ad_id": i, "ad_name": t} for i, t in names.items()], advertiser_id=one)
                at = AT + timedelta(days=n)
                assert chunk.cursor
                # Where the other account is, it is still yesterday.
                cursor = replace(chunk.cursor, read_at=at, read_on=day(n) if one == "1" else day(n - 1))
                chunks.append(replace(chunk, read_at=at, cursor=cursor))
            for fault in (True, False, False):  # a step that fails leaves nothing, one that is repeated changes nothing
                with kit.open() as destination:
                    assert isinstance(destination, KeepsHistory)
                    destination.history = frozenset([ADS.name])
                    destination.cursors()
                    destination.prepare(ADS, chunks[0].columns)
                    if fault:
                        with pytest.raises(StoreFailed):
                            kit.put(destination, chunks[0], chunks[0])
                    else:
                        kit.put(destination, *chunks)
        versions = kit.versions(ADS, "ad_id", "ad_name")
        assert sorted(v[1:] for v in versions if v[0] == "2") == [("1", "other", day(0), None)]
        mine = [v[1:] for v in versions if v[0] == "1"]
        assert len(mine) == len(set(mine))
        for n, reading in enumerate(readings, 1):
            held = {i: t for i, t, first, last in mine if first <= day(n) and (last is None or day(n) < last)}
            assert held == reading, n
        assert len(mine) == 5, "a version begins only where a row has changed"

    def test_an_account_that_leaves_takes_with_it_all_that_is_its_own_and_nothing_else(self, kit: Kit) -> None:
        with kit.open() as destination:
            if not isinstance(destination, Removes):
                pytest.skip("it cannot delete an account")
        apps = STREAMS["advertiser_ids"]
        both: list[Row] = [{"advertiser_id": n, "advertiser_name": "a"} for n in ("1", "2")]
        kit.store(kit.chunk(apps, both, advertiser_id="", fields=["advertiser_name"]))
        for one in ("1", "2"):
            kit.store(kit.whole(one))
            kit.store(kit.chunk(ADS, [{"ad_id": "171", "ad_name": "a"}], advertiser_id=one))
        with kit.open(read_only=True) as destination:
            assert isinstance(destination, Removes)
            would = dict(destination.remove(["1"], dry_run=True))
        assert {name: n for name, n in would.items() if not name.startswith("_")} == {
            DAILY.table: 5, ADS.table: 1, apps.table: 1,
        }  # fmt: skip
        assert len(kit.days()) == 5, "it was only counted"
        with kit.open() as destination:
            assert isinstance(destination, Removes)
            assert destination.remove(["1"], dry_run=False) == would
            assert destination.remove(["1"], dry_run=True) == {}
        assert {r["advertiser_id"] for s in (DAILY, ADS, apps) for r in kit.read(s)} == {"2"}
        assert kit.cursors().keys() == {(DAILY.name, "2"), (ADS.name, "2"), (apps.name, "")}
        assert kit.damaged(DAILY, "2") == kit.damaged(ADS, "2") == []
        kit.store(kit.whole())
        assert len(kit.days()) == 5

    # --- seals --------------------------------------------------------------------------------------------------------

    def test_each_day_is_sealed_with_its_rows_and_sums(self, kit: Kit) -> None:
        rows = [ad(1, 1, spend="0.10"), ad(2, 1, spend="0.20"), ad(1, 3, spend="7", impressions="-")]
        kit.store(kit.chunk(DAILY, rows, (day(1), day(3))))
        seals = kit.seals(DAILY)
        found = {of_day: (one.seal.rows, one.seal.spend, one.seal.impressions) for of_day, one in seals.items()}
        assert found == {
            day(1): (2, Decimal("0.30"), 20), day(2): (0, None, None), day(3): (1, Decimal(7), None),
        }  # fmt: skip
        assert {one.read_at for one in seals.values()} == {AT}
        assert {one.fields for one in seals.values()} == {
            ("ad_id", "ad_name", "advertiser_id", "ctr", "currency", "impressions", "spend", "stat_time_day")
        }
        with kit.open(read_only=True) as destination:
            again = destination.recount(DAILY, "1")
            assert again == {of_day: one.seal for of_day, one in seals.items() if one.seal.rows}
            assert destination.recount(DAILY, "1", Window(day(2), day(3))) == {day(3): again[day(3)]}
            for stream, advertiser_id in ((DAILY, "2"), (HOURLY, "1")):
                assert not destination.recount(stream, advertiser_id)
                assert not destination.seals(stream, advertiser_id)

    def test_a_seal_follows_every_store(self, kit: Kit) -> None:
        kit.store(kit.chunk(DAILY, [ad(1, n) for n in range(1, 5)], (day(1), day(4))))
        kit.store(kit.chunk(DAILY, [ad(1, n) for n in range(1, 5)], (day(1), day(4)), advertiser_id="2"))
        before = kit.seals(DAILY)
        kit.store(
            kit.chunk(DAILY, [ad(1, 2, spend="8"), ad(2, 3)], (day(2), day(3))),
            kit.chunk(DAILY, [], (day(4), day(5))),
        )
        after = kit.seals(DAILY)
        assert {d for d in before if before[d] == after[d]} == {day(1)}
        assert [after[day(n)].seal.rows for n in range(1, 6)] == [1, 1, 1, 0, 0]
        assert kit.damaged(DAILY) == kit.damaged(DAILY, "2") == []
        kit.store(kit.chunk(DAILY, [ad(1, n) for n in range(1, 5)], (day(1), day(4))))
        assert {d: s for d, s in kit.seals(DAILY).items() if d != day(5)} == before

    def test_days_with_different_fields_are_each_compared_with_their_own(self, kit: Kit) -> None:
        kit.store(kit.chunk(DAILY, [ad(1, 1)], (day(1), day(1)), fields=["spend"]))
        kit.store(kit.chunk(DAILY, [ad(1, 2, likes="7")], (day(2), day(2)), fields=["likes", "spend"]))
        assert kit.damaged(DAILY) == []
        kit.change_cell(DAILY, ("advertiser_id", "1"), "likes", 8)
        assert kit.damaged(DAILY) == [day(2)]

    def test_hours_are_sealed_by_day_and_lifetimes_as_a_whole(self, kit: Kit) -> None:
        times = [f"{day(n)} {hour}:00:00" for n in (1, 2) for hour in ("00", "23")]
        kit.store(kit.chunk(HOURLY, [{"ad_id": "171", "stat_time_hour": at} for at in times], (day(1), day(2))))
        assert {d: s.seal.rows for d, s in kit.seals(HOURLY).items()} == {day(1): 2, day(2): 2}
        kit.store(kit.chunk(LIFETIME, [{"ad_id": "171", "spend": "3"}, {"ad_id": "172", "spend": "4"}]))
        assert {d: (s.seal.rows, s.seal.spend) for d, s in kit.seals(LIFETIME).items()} == {None: (2, Decimal(7))}
        assert kit.damaged(HOURLY) == kit.damaged(LIFETIME) == []
        kit.store(kit.chunk(LIFETIME, []))
        assert kit.seals(LIFETIME)[None].seal.rows == 0
        assert kit.damaged(LIFETIME) == []

    def test_the_seal_of_a_list_is_of_all_its_rows_also_of_those_that_are_not_listed_any_more(self, kit: Kit) -> None:
        kit.store(kit.chunk(ADS, [{"ad_id": "171", "ad_name": "old"}, {"ad_id": "172", "ad_name": 'stays "x"'}]))
        kit.store(kit.chunk(ADS, [{"ad_id": "171", "ad_name": "another's"}], advertiser_id="2"))
        kit.store(kit.chunk(ADS, [{"ad_id": "171", "ad_name": "new"}, {"ad_id": "173"}]))
        assert kit.seals(ADS)[None].seal.rows == 3
        assert kit.damaged(ADS) == kit.damaged(ADS, "2") == []
        kit.store(kit.chunk(ADS, []))
        assert kit.seals(ADS)[None].seal.rows == 3
        kit.change_cell(ADS, ("ad_id", "173"), "ad_name", "mine")
        assert kit.damaged(ADS) == [None]
        kit.store(kit.chunk(ADS, [{"ad_id": "173"}]))
        assert kit.damaged(ADS) == [], "it was read again"

    def test_a_list_of_the_whole_app_has_one_seal(self, kit: Kit) -> None:
        listed = STREAMS["advertiser_ids"]
        rows: list[Row] = [{"advertiser_id": n, "advertiser_name": "a"} for n in ("1", "2")]
        kit.store(kit.chunk(listed, rows, advertiser_id="", fields=["advertiser_name"]))
        kit.store(kit.chunk(listed, rows[:1], advertiser_id="", fields=["advertiser_name"]))
        assert kit.seals(listed, "")[None].seal.rows == 2
        assert kit.damaged(listed, "") == []

    def test_an_edit_a_loss_a_copy_and_a_moved_amount_are_noticed(self, kit: Kit) -> None:
        rows = [ad(n, of_day, spend=f"{n}.50") for n in (1, 2) for of_day in (1, 2)]
        chunk = kit.chunk(DAILY, rows, (day(1), day(2)))
        kit.store(chunk)
        kit.change_cell(DAILY, ("ad_id", "171"), "ad_name", "mine")
        assert kit.damaged(DAILY) == [day(1), day(2)]
        kit.store(chunk)
        assert kit.damaged(DAILY) == []
        kit.change_cell(DAILY, ("ad_id", "171"), "spend", 2.5)
        kit.change_cell(DAILY, ("ad_id", "172"), "spend", 1.5)
        assert kit.damaged(DAILY) == [day(1), day(2)], "the sum is the same"
        kit.store(chunk)
        kit.copy_row(DAILY, ("ad_id", "172"))
        assert kit.damaged(DAILY) == [day(1), day(2)]
        kit.store(chunk)
        assert kit.damaged(DAILY) == []
        kit.delete_row(DAILY, ("ad_id", "171"))
        assert kit.damaged(DAILY) == [day(1), day(2)]
        kit.store(chunk)
        assert kit.damaged(DAILY) == []

    def test_a_column_that_was_dropped_is_noticed(self, kit: Kit) -> None:
        kit.store(kit.whole())
        kit.drop_column(DAILY, "spend")
        assert kit.damaged(DAILY) == [day(n) for n in range(1, 6)]

    def test_columns_of_a_person_and_new_ones_are_no_damage(self, kit: Kit) -> None:
        kit.store(kit.whole())
        kit.add_column(DAILY, "mine")
        with kit.open() as destination:
            destination.prepare(DAILY, DAILY.columns(["likes"]))
        assert kit.damaged(DAILY) == []
        assert len(kit.seals(DAILY)) == 5

    def test_all_texts_and_amounts_have_the_same_seal_when_they_are_stored(self, kit: Kit) -> None:
        kit.store(kit.chunk(ADS, [{"ad_id": f"{n}", "ad_name": text} for n, text in enumerate([*TEXTS, None])]))
        moments: list[Row] = [
            {"ad_id": "1000", "create_time": "2026-03-29 01:30:00", "is_aco": True},
            {"ad_id": "1001"},
        ]
        kit.store(kit.chunk(ADS, moments, advertiser_id="2"))
        amounts = [
            "0",
            "-0",
            "0.01",
            "-5.10",
            "0.123456789",
            "99999999999999999999.99",
            "1234567.8901",
            "12.5",
            "7.100",
        ]
        rows = [ad(n, 1, spend=amount, ctr=amount) for n, amount in enumerate([*amounts, "-"])]
        kit.store(kit.chunk(DAILY, rows, (day(1), day(1))))
        assert kit.damaged(ADS) == kit.damaged(ADS, "2") == kit.damaged(DAILY) == []
        assert kit.seals(ADS)[None].seal.rows == len(TEXTS) + 1

    def test_lists_and_objects_have_the_same_seal_when_they_are_stored(self, kit: Kit) -> None:
        groups = STREAMS["ad_groups"]
        of = [["b", "a"], [], None, {"z": [1, 2.5], "a": 'say "x" \\'}, [{"é": None, "b": True}]]
        rows: list[Row] = [{"adgroup_id": f"{n}", "location_ids": given} for n, given in enumerate(of)]
        kit.store(kit.chunk(groups, rows, fields=["location_ids"]))
        assert kit.damaged(groups) == []
        kit.store(kit.chunk(groups, [{"adgroup_id": "0", "location_ids": ["b", "c"]}], fields=["location_ids"]))
        assert kit.damaged(groups) == []

    def test_seals_leave_with_their_days_their_cursor_and_their_table(self, kit: Kit) -> None:
        kit.store(kit.whole(), kit.whole("2"))
        with kit.open() as destination:
            destination.cursors()
            destination.prune(DAILY, {"1": day(3)}, dry_run=True)
            assert len(destination.seals(DAILY, "1")) == 5
            destination.prune(DAILY, {"1": day(3)}, dry_run=False)
        assert sorted(kit.seals(DAILY), key=str) == [day(3), day(4), day(5)]
        assert kit.damaged(DAILY) == kit.damaged(DAILY, "2") == []
        assert len(kit.seals(DAILY, "2")) == 5
        with kit.open() as destination:
            destination.forget(DAILY, ["1"])
        assert (kit.seals(DAILY), len(kit.seals(DAILY, "2"))) == ({}, 5)
        kit.drop_table(DAILY)
        assert kit.seals(DAILY, "2") == {}
        kit.store(kit.chunk(DAILY, [ad(1, 2)], (day(2), day(2)), advertiser_id="2"))
        assert list(kit.seals(DAILY, "2")) == [day(2)]
        assert kit.damaged(DAILY, "2") == []

    def test_a_store_that_fails_leaves_the_seals_as_they_were(self, kit: Kit) -> None:
        kit.store(kit.whole())
        before = kit.seals(DAILY)
        with pytest.raises(StoreFailed):
            kit.store(replace(kit.chunk(DAILY, [ad(1, 2, spend="9")], (day(2), day(2))), seals={}))
        short = kit.chunk(DAILY, [ad(1, 2, spend="9"), ad(2, 2)], (day(2), day(2)))
        short.path.write_text(short.path.read_text().splitlines(keepends=True)[0])
        with pytest.raises(StoreFailed):
            kit.store(short)
        assert kit.seals(DAILY) == before
        assert kit.damaged(DAILY) == []

    # --- opening ------------------------------------------------------------------------------------------------------

    # --- what checks came to ------------------------------------------------------------------------------------------

    def test_a_verdict_stays_with_its_day_until_it_is_read_again_and_what_changed_is_kept(self, kit: Kit) -> None:
        pair, later = (DAILY.name, "1"), AT + timedelta(hours=3)
        rows = [ad(1, 1), ad(2, 1), ad(1, 2), ad(1, 3)]
        first = replace(kit.chunk(DAILY, rows, (day(1), day(3))), confirmed=Window(day(1), day(2)))
        with kit.open() as destination:
            if not isinstance(destination, KeepsChecks):
                pytest.skip("it keeps nothing of checks")
            destination.prepare(DAILY, DAILY.columns(FIELDS[DAILY.name]))
            kit.put(destination, first)
            assert destination.verified() == {pair: {day(1): AT, day(2): AT, day(3): None}}
            checked = [
                DayChecked(*pair, day(1), Verdict.WRONG, "it's | not\n what TikTok has"),
                DayChecked(*pair, day(3), Verdict.EQUAL, requests=("r1", "r2")),
            ]
            destination.keep_checks(checked, later, LIKE_FOR_LIKE)
            assert destination.owed() == {pair: {day(1)}}
            assert destination.verified() == {pair: {day(1): None, day(2): AT, day(3): later}}
            assert destination.wrong_before(AT) == {}
        again = replace(kit.chunk(DAILY, [*rows[:2], ad(1, 2, spend="1.75"), rows[3]], (day(1), day(3))),
                        read_at=later + timedelta(hours=1))  # fmt: skip
        with kit.open() as destination:
            assert isinstance(destination, KeepsChecks)
            destination.cursors()
            destination.prepare(DAILY, DAILY.columns(FIELDS[DAILY.name]))
            kit.put(destination, again)
            assert destination.owed() == {}, "it was read again"
            assert destination.wrong_before(AT) == {pair: {day(1)}}
            assert destination.verified() == {pair: {day(1): None, day(2): None, day(3): later}}
            if not kit.keeps_changes:
                return
            assert destination.restated(day(1)) == []
            (change,) = destination.restated(day(2))
        assert (change["object"], change["advertiser_id"], change["day"]) == (*pair, day(2))
        assert (change["rows_before"], change["rows_after"]) == (1, 1)
        assert (change["spend_before"], change["spend_after"]) == (Decimal("1.5"), Decimal("1.75"))
        assert (change["impressions_before"], change["impressions_after"]) == (10, 10)
        assert change["age_days"] == (AT.date() - day(2)).days

    def test_what_runs_came_to_is_kept_and_their_requests_add_up(self, kit: Kit) -> None:
        run = Run(AT, AT, "done", [DAILY.name], 1, 0, 3, 3, 40, 2, 10, 10, "Confirmed.")
        with kit.open() as destination:
            if not isinstance(destination, KeepsChecks):
                pytest.skip("it keeps nothing of checks")
            assert destination.asked_so_far() == (0, 0)
            destination.keep_run(run)
            destination.keep_run(replace(run, requests=2, check_requests=0))
            assert destination.asked_so_far() == (42, 2)

    def test_reading_only_creates_nothing(self, kit: Kit) -> None:
        before = kit.everything()
        with kit.open(read_only=True) as destination:
            assert destination.cursors() == {}
            assert destination.prune(DAILY, {"1": day(3)}, dry_run=True) == 0
        assert kit.everything() == before
