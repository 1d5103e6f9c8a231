"""How the databases that speak SQL call things: a type for each kind of column, quotes, and the table of cursors.

Data, without any database's client: destinations create tables with it, views are written in it, documents list it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date

from owox_tiktok.model import Kind

CURSORS = "_owox_tiktok_cursors"
"""Table of how far each object of an advertiser is read; a row without ``read_on`` says that reading failed."""
SEALS = "_owox_tiktok_days"
"""Table of what was stored of each day of each object of an advertiser: see ``trust.seals``."""
MARK = "Written by owox_tiktok"
"""Begins the description of every table and view that is ours. What lacks it is someone else's and is left alone."""


@dataclass(frozen=True, slots=True)
class Dialect:
    """The words in which two databases differ. ``within`` is where tables live: ``project.dataset``, or nothing.

    ``list_of`` is the type of a list, ``length_of_list`` how long one is, ``first_in_list`` the first text of a JSON
    list; ``days_before`` is a day some days earlier, ``first_day`` the first one of its week or month, and ``each_day``
    what is joined for a row per day. ``escapes`` says that a backslash in a text begins an escape, as in JSON.
    For seals (see ``trust.seals``): ``canonical`` writes a value of a kind as its canonical text, ``sha256`` a text's
    hash in hexadecimal digits, ``all_digits`` says whether a text is digits throughout, ``lines_of`` gives the lines of
    a text as rows, and ``part_of_line`` one of the parts of such a line, the first being 1; ``from_hex`` makes eight
    hexadecimal digits a number, ``list_of_texts`` writes a list, and ``joined`` puts texts that are not null together.
    ``expiry_of_link`` is the moment that a temporary link of TikTok's names as its end, null where it names none.
    ``longest`` is how many characters of a name the database keeps.
    """

    types: Mapping[Kind, str]
    quote: str
    json_as_text: str
    list_of: str
    days_before: str
    first_day: Mapping[str, str]
    first_in_list: str
    each_day: str
    canonical: Mapping[Kind, str]
    sha256: str
    lines_of: str
    part_of_line: str
    all_digits: str
    expiry_of_link: str
    escapes: bool = False
    within: str = ""
    from_hex: str = "CAST(CONCAT('0x', {}) AS BIGINT)"
    list_of_texts: str = "[{}]"
    operator: str = ""
    """Puts two texts together; where there is none, CONCAT does."""
    longest: int = 128
    length_of_list: str = "ARRAY_LENGTH({})"
    any_value: str = "any_value({})"

    def name(self, identifier: str) -> str:
        """Return a column's or table's name for SQL; they come from our own schema, and this keeps it so."""
        if not re.fullmatch(r"\w{1,128}", identifier, re.ASCII):
            raise ValueError(f"{identifier!r} is not a column or table of ours")
        return f"{self.quote}{self.called(identifier)}{self.quote}"

    def called(self, identifier: str) -> str:
        """Return what a column or table is called here; shorter where the database would cut the name off."""
        if len(identifier) <= self.longest:
            return identifier
        short = identifier.replace("tiktok_ads_", "tiktok_", 1)
        if len(short) > self.longest:
            raise ValueError(f"{identifier!r} is too long a name")
        return short

    def joined(self, texts: Sequence[str]) -> str:
        """Return SQL that puts texts together, none of which is null."""
        if len(texts) == 1:
            return texts[0]
        return f"({self.operator.join(texts)})" if self.operator else f"CONCAT({', '.join(texts)})"

    def table(self, identifier: str) -> str:
        """Return a table's or view's whole name for SQL."""
        if not self.within:
            return self.name(identifier)
        return f"{self.quote}{self.within}.{self.name(identifier).strip(self.quote)}{self.quote}"

    def text(self, text: str) -> str:
        """Return a text as SQL has it."""
        return json.dumps(text, ensure_ascii=False) if self.escapes else "'" + text.replace("'", "''") + "'"

    def rows_of_texts(self, names: Sequence[str], rows: Iterable[Sequence[str | None]]) -> str:
        """Return what stands behind FROM for ``rows`` of numbers, days and ids as texts, under these names.

        All of them are one text, which a database reads several times as fast as a long list of values.
        """
        given = "\n".join("|".join("-" if text is None else text for text in row) for row in rows)
        parts = (f"NULLIF({self.part_of_line.format(n)}, '-') AS {self.name(name)}" for n, name in enumerate(names, 1))
        return f"(SELECT {', '.join(parts)} FROM {self.lines_of.format(self.text(given))}) AS given"

    def midnight(self, day: date, kind: Kind) -> str:
        """Return where a day begins in a column of ``kind`` (DAY or HOUR): wall clock, as it is stored."""
        return f"{self.types[kind]} '{day}'" if kind is Kind.DAY else f"{self.types[kind]} '{day} 00:00:00'"

    def create_view(self, identifier: str, select: str) -> str:
        """Return the statement that makes a view, or recreates it."""
        return f"CREATE OR REPLACE VIEW {self.table(identifier)} AS\n{select}"

    def null(self, kind: Kind) -> str:
        """Return a null that has a type."""
        return f"CAST(NULL AS {self.types[kind]})"


DUCKDB = Dialect(
    types={
        Kind.ID: "VARCHAR",
        Kind.TEXT: "VARCHAR",
        Kind.MONEY: "DECIMAL(38,9)",
        Kind.RATE: "DECIMAL(38,9)",
        Kind.COUNT: "BIGINT",
        Kind.BOOLEAN: "BOOLEAN",
        Kind.DAY: "DATE",
        Kind.HOUR: "TIMESTAMP",
        Kind.INSTANT: "TIMESTAMP WITH TIME ZONE",
        Kind.JSON: "JSON",
    },
    quote='"',
    json_as_text="CAST({} AS VARCHAR)",
    list_of="{}[]",
    days_before="({} - {})",
    first_day={unit: f"CAST(date_trunc('{unit}', {{}}) AS DATE)" for unit in ("week", "month")},
    first_in_list="json_extract_string({}, '$[0]')",
    each_day="(SELECT CAST(unnest(generate_series({}, {}, INTERVAL 1 DAY)) AS DATE) AS day) AS days",
    canonical={
        **dict.fromkeys((Kind.COUNT, Kind.BOOLEAN, Kind.DAY), "CAST({} AS VARCHAR)"),
        **dict.fromkeys((Kind.MONEY, Kind.RATE), "regexp_replace(CAST({} AS VARCHAR), '0{{1,7}}$', '')"),
        Kind.HOUR: "strftime({}, '%Y-%m-%d %H:%M:%S')",
        Kind.INSTANT: "strftime({} AT TIME ZONE 'UTC', '%Y-%m-%d %H:%M:%S+00')",
        Kind.JSON: "array_to_string(list_sort(string_split(CAST({} AS VARCHAR), '')), '')",
    },
    sha256="sha256({})",
    lines_of="(SELECT string_split(unnest(string_split({}, chr(10))), '|') AS line)",
    part_of_line="line[{}]",
    all_digits="regexp_full_match({}, '[0-9]+')",
    expiry_of_link="to_timestamp(CAST(NULLIF(regexp_extract({}, 'x-expires=([0-9]{{1,10}})', 1), '') AS BIGINT))",
)

BIGQUERY = Dialect(
    types={
        Kind.ID: "STRING",
        Kind.TEXT: "STRING",
        Kind.MONEY: "NUMERIC",
        Kind.RATE: "NUMERIC",
        Kind.COUNT: "INT64",
        Kind.BOOLEAN: "BOOL",
        Kind.DAY: "DATE",
        Kind.HOUR: "DATETIME",
        Kind.INSTANT: "TIMESTAMP",
        Kind.JSON: "JSON",
    },
    quote="`",
    # TO_JSON_STRING alone would make the text "null" of a value that is missing.
    json_as_text="IF({0} IS NULL, NULL, TO_JSON_STRING({0}))",
    list_of="ARRAY<{}>",
    days_before="DATE_SUB({}, INTERVAL {} DAY)",
    first_day={"week": "DATE_TRUNC({}, ISOWEEK)", "month": "DATE_TRUNC({}, MONTH)"},
    first_in_list="JSON_VALUE({}, '$[0]')",
    each_day="UNNEST(GENERATE_DATE_ARRAY({}, {})) AS day",
    canonical={
        **dict.fromkeys((Kind.COUNT, Kind.BOOLEAN, Kind.DAY), "CAST({} AS STRING)"),
        **dict.fromkeys(
            (Kind.MONEY, Kind.RATE),
            "REGEXP_EXTRACT(CONCAT(CAST({0} AS STRING), IF(STRPOS(CAST({0} AS STRING), '.') > 0, '00', '.00')), "
            "'^(-?[0-9]+[.][0-9][0-9][0-9]*?)0*$')",
        ),
        Kind.HOUR: "FORMAT_DATETIME('%Y-%m-%d %H:%M:%S', {})",
        Kind.INSTANT: "FORMAT_TIMESTAMP('%Y-%m-%d %H:%M:%S+00', {}, 'UTC')",
        Kind.JSON: "(SELECT STRING_AGG(c, '' ORDER BY c) FROM UNNEST(SPLIT(TO_JSON_STRING({}), '')) AS c)",
    },
    sha256="TO_HEX(SHA256({}))",
    lines_of="(SELECT SPLIT(one, '|') AS line FROM UNNEST(SPLIT({}, CHR(10))) AS one)",
    part_of_line="line[ORDINAL({})]",
    all_digits="REGEXP_CONTAINS({}, '^[0-9]+$')",
    expiry_of_link="TIMESTAMP_SECONDS(CAST(REGEXP_EXTRACT({}, 'x-expires=([0-9]{{1,10}})') AS INT64))",
    escapes=True,
    from_hex="CAST(CONCAT('0x', {}) AS INT64)",
)
"""BigQuery's; a view names its tables in full, so see ``bigquery``."""


def bigquery(project: str, dataset: str) -> Dialect:
    """Return BigQuery's dialect for tables of one dataset; raises ValueError for ids that cannot be."""
    within = f"{project}.{dataset}"
    if not re.fullmatch(r"[a-z0-9.:-]+\.\w+", within, re.ASCII):
        raise ValueError(f"{within!r} is not a dataset of BigQuery")
    return replace(BIGQUERY, within=within)


# Types are called as the database's own catalogue calls them, so that the two can be compared.
POSTGRESQL = Dialect(
    types={
        Kind.ID: "text",
        Kind.TEXT: "text",
        Kind.MONEY: "numeric(38,9)",
        Kind.RATE: "numeric(38,9)",
        Kind.COUNT: "bigint",
        Kind.BOOLEAN: "boolean",
        Kind.DAY: "date",
        Kind.HOUR: "timestamp without time zone",
        Kind.INSTANT: "timestamp with time zone",
        Kind.JSON: "jsonb",
    },
    quote='"',
    json_as_text="CAST({} AS text)",
    list_of="{}[]",
    days_before="({} - {})",
    first_day={unit: f"CAST(date_trunc('{unit}', {{}}) AS DATE)" for unit in ("week", "month")},
    first_in_list="({} ->> 0)",
    each_day="LATERAL (SELECT CAST(generate_series({}, {}, INTERVAL '1 day') AS date) AS day) AS days",
    canonical={
        **dict.fromkeys((Kind.COUNT, Kind.BOOLEAN, Kind.DAY), "CAST({} AS text)"),
        **dict.fromkeys((Kind.MONEY, Kind.RATE), "regexp_replace(CAST({} AS text), '0{{1,7}}$', '')"),
        Kind.HOUR: "to_char({}, 'YYYY-MM-DD HH24:MI:SS')",
        Kind.INSTANT: "to_char({} AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS+00')",
        # It writes a space behind each colon and comma; those within texts stay.
        Kind.JSON: "(SELECT string_agg(c, '' ORDER BY c COLLATE \"C\") FROM unnest(string_to_array("
        "regexp_replace(CAST({} AS text), '(\"([^\"\\\\]|\\\\.)*\")| ', '\\1', 'g'), NULL)) AS c)",
    },
    sha256="encode(sha256(convert_to({}, 'UTF8')), 'hex')",
    lines_of="(SELECT string_to_array(unnest(string_to_array({}, chr(10))), '|') AS line) AS lines",
    part_of_line="line[{}]",
    all_digits="({} ~ '^[0-9]+$')",
    expiry_of_link="to_timestamp(CAST(substring({} from 'x-expires=([0-9]{{1,10}})') AS bigint))",
    from_hex="CAST(CAST('x' || {} AS bit(32)) AS bigint)",
    list_of_texts="CAST(ARRAY[{}] AS text[])",
    operator=" || ",  # a call of CONCAT may have 100 arguments
    longest=63,
    length_of_list="cardinality({})",
    any_value="(array_agg({}))[1]",  # it has any_value from version 16 on
)
