"""What typed text becomes, how it is displayed, and what formulas give."""

from __future__ import annotations

from typing import Any

import pytest

from owox_tiktok.local.sheets import Server

from .conftest import Book, box


@pytest.mark.parametrize(
    ("typed", "value", "shown"),
    [
        ("53", 53, "53"),
        ("0123456", 123456, "123456"),
        ("2,000,000.01", 2000000.01, "2,000,000.01"),
        ("10%", 0.1, "10%"),
        ("12.5%", 0.125, "12.50%"),
        ("$100.15", 100.15, "$100.15"),
        ("-$5", -5, "-$5"),
        ("1e3", 1000, "1.00E+03"),
        ("TRUE", True, "TRUE"),
        ("false", False, "FALSE"),
        ("2020-01-01", 43831, "2020-01-01"),
        ("1/2/2020", 43832, "1/2/2020"),
        ("Mar 1 2016", 42430, "Mar 1 2016"),
        ("2020-01-01 6:00", 43831.25, "2020-01-01 6:00"),
        ("1:30 PM", 0.5625, "1:30 PM"),
        ("'123", "123", "123"),
        ("3_1_0", "3_1_0", "3_1_0"),
        ("+1 (555)", "+1 (555)", "+1 (555)"),
        ("2020-13-45", "2020-13-45", "2020-13-45"),
        ("1.2.3", "1.2.3", "1.2.3"),
    ],
)
def test_as_typed(book: Book, typed: str, value: Any, shown: str) -> None:
    book.put("A1", [[typed]], "USER_ENTERED")
    assert book.values("A1", "UNFORMATTED_VALUE") == [[value]]
    assert type(book.values("A1", "UNFORMATTED_VALUE")[0][0]) is type(value)
    assert book.values("A1") == [[shown]]
    book.put("B1", [[typed]])
    assert book.values("B1", "UNFORMATTED_VALUE") == [[typed]]


def test_the_locale_decides_how_text_is_read(book: Book) -> None:
    book.batch({"updateSpreadsheetProperties": {"properties": {"locale": "de_DE"}, "fields": "locale"}})
    book.put("A1", [["1.234,5", "31.12.2026", 0.5]], "USER_ENTERED")
    assert book.values("A1:C1", "UNFORMATTED_VALUE") == [[1234.5, 46387, 0.5]]
    assert book.values("A1:C1") == [["1.234,50", "31.12.2026", "0,5"]]


@pytest.mark.parametrize(
    ("kind", "pattern", "number", "shown"),
    [
        ("NUMBER", "#,##0", 1234567.5, "1,234,568"),
        ("NUMBER", "#,##0.00", -1234.5, "-1,234.50"),
        ("NUMBER", "0.0#", 3, "3.0"),
        ("NUMBER", '0,"K"', 12345, "12K"),
        ("PERCENT", "0.00%", 0.12345, "12.35%"),
        ("CURRENCY", "[$EUR] #,##0.00", 1234.5, "EUR 1,234.50"),
        ("CURRENCY", "#,##0.00 [$€]", 2, "2.00 €"),
        ("CURRENCY", '"$"#,##0.00;("$"#,##0.00)', -3, "($3.00)"),
        ("DATE", "yyyy-mm-dd", 46298, "2026-10-03"),
        ("DATE", "ddd, mmm d yyyy", 46298, "Sat, Oct 3 2026"),
        ("DATE_TIME", "yyyy-mm-dd hh:mm:ss", 46298.75, "2026-10-03 18:00:00"),
        ("TIME", "h:mm am/pm", 0.75, "6:00 PM"),
        ("TIME", "[h]:mm:ss", 1.5, "36:00:00"),
        ("DATE", "", 43831, "1/1/2020"),
        ("SCIENTIFIC", "0.00E+00", 12345, "1.23E+04"),
    ],
)
def test_number_formats(book: Book, kind: str, pattern: str, number: float, shown: str) -> None:
    form = {"userEnteredFormat": {"numberFormat": {"type": kind, "pattern": pattern}}}
    book.put("A1", [[number]])
    book.batch({"repeatCell": {"range": box(0, 1, 0, 1), "cell": form, "fields": "userEnteredFormat.numberFormat"}})
    assert book.values("A1") == [[shown]]
    assert book.show("A1", "formattedValue") == [[{"formattedValue": shown}]]


def test_numbers_without_a_format(book: Book) -> None:
    book.put("A1", [[1 / 3, 100 / 3, 1 / 1024, 1e15, 123456789012345, 0.1 + 0.2]])
    assert book.values("A1:F1") == [["0.3333333333", "33.33333333", "0.0009765625", "1E+15", "123456789012345", "0.3"]]


@pytest.mark.parametrize(
    ("formula", "result"),
    [
        ("=1+2*3^2", 19),
        ("=-2^2", -4),
        ("=(1+2)*3%", 0.09),
        ('="a"&1&TRUE', "a1TRUE"),
        ("=SUM(B1:B4)", 60),
        ("=SUM(B:B)/COUNT(B:B)", 20),
        ("=AVERAGE(B2:B4)", 20),
        ('=SUMIFS(B:B,A:A,"x",B:B,">=20")', 30),
        ('=SUMIF(A:A,"x",B:B)', 40),
        ('=COUNTIF(A:A,"x")', 2),
        ('=COUNTIF(A:A,"?")', 3),
        ('=IF(B2>5,"big","small")', "big"),
        ("=IFERROR(1/0,7)", 7),
        ('=IFERROR(VLOOKUP("y",A:B,2,FALSE),0)', 20),
        ('=INDEX(B:B,MATCH("y",A:A,0))', 20),
        ('=ROUND(2.345,2)&""', "2.35"),
        ('=TEXT(DATE(2026,10,3),"yyyy-mm")', "2026-10"),
        ("=YEAR(DATE(2026,13,1))", 2027),
        ("=EOMONTH(DATE(2026,1,31),1)", 46081),
        ('=SUMPRODUCT((A2:A4="x")*B2:B4)', 40),
        ('=TEXTJOIN("-",TRUE,A2:A4)', "x-y-x"),
        ('=MAXIFS(B:B,A:A,"x")', 30),
        ("=AND(TRUE,1>0)", True),
        ("=Sheet1!B2+'Sheet1'!B3", 30),
        ('=LEN("a""b")', 3),
        ("=ISBLANK(Z9)", True),
        ("=COUNTBLANK(B1:B5)", 1),
        ('=SUM(INDIRECT("B"&2&":B3"))', 30),
        ('=IFERROR(SUM(INDIRECT("Nope!B:B")),"none")', "none"),
        ("=ADDRESS(1,28,4)&ADDRESS(2,1)", "AB1$A$2"),
        ('=INDEX(FILTER(B2:B4,A2:A4="x",B2:B4>10),1)', 30),
        ('=IFERROR(FILTER(B2:B4,A2:A4="z"),"none")', "none"),
        ("=INDEX(HSTACK(A1:A4,B1:B4),3,2)", 20),
        (
            '=INDEX(QUERY(HSTACK(A:A,B:B),"select Col1, sum(Col2) group by Col1 '
            'order by sum(Col2) desc limit 1",1),2,2)',
            40,
        ),
        ("=INDEX(QUERY(HSTACK(A:A,B:B),\"select Col2 where Col1 = 'y' and Col2 >= 20\",1),2,1)", 20),
        ("=INDEX(QUERY(HSTACK(A:A,B:B),\"select max(Col2), max(Col1) where Col1 <> ''\",1),2,1)", 30),
        ('=ISBLANK(QUERY(A:B,"select A pivot B"))', True),
        ("=SUM(OFFSET(A:A,0,1))", 60),
        ('=IFERROR(OFFSET(A1,0,-1),"none")', "none"),
        ('=SUM(ARRAYFORMULA(IF(A1:A4="x",IFERROR(INT(B1:B4/7),0),-1)))', 3),
        ('=INDEX(ARRAYFORMULA(IFERROR(VLOOKUP(A1:A4,{"y",5},2,FALSE),0)),3)', 5),
        ("=1/0", "#DIV/0! (Function DIVIDE parameter 2 cannot be zero.)"),
        ("=NOSUCH(1)", "#NAME? (Unknown function: 'NOSUCH'.)"),
        ("=A2+1", "#VALUE!"),
        ("=Nope!A1", "#REF! (Unresolved sheet name 'Nope'.)"),
        ("=1+", "#ERROR! (Formula parse error.)"),
    ],
)
def test_formulas(book: Book, formula: str, result: Any) -> None:
    book.put("A1", [["kind", "cost"], ["x", 10], ["y", 20], ["x", 30]])
    book.put("D1", [[formula]], "USER_ENTERED")
    [[given]] = book.values("D1", "UNFORMATTED_VALUE")
    if isinstance(result, str) and result == "#VALUE!":
        assert given.startswith("#VALUE! (")
    else:
        assert given == pytest.approx(result) if isinstance(result, float) else given == result
    assert book.values("D1", "FORMULA") == [[formula.replace("'Sheet1'", "Sheet1")]]


def test_a_result_fills_the_cells_below_and_beside_its_formula(book: Book) -> None:
    book.put("A1", [["kind", "cost"], ["x", 10], ["y", 20], ["x", 30]])
    book.put(
        "D1", [["=QUERY(HSTACK(A:A,B:B),\"select Col1, sum(Col2) where Col1 <> '' group by Col1\",1)"]], "USER_ENTERED"
    )
    book.put("G1", [["=ARRAY_CONSTRAIN(ARRAYFORMULA(E2:E9*2),2,1)"]], "USER_ENTERED")
    book.put("H1", [["=SUM(E:E)"]], "USER_ENTERED")
    assert book.values("D1:H3") == [["kind", "sum cost", "", "80", "60"], ["x", "40", "", "40"], ["y", "20"]]
    shown = book.show("D3:E3", "userEnteredValue,effectiveValue")
    assert shown == [[{"effectiveValue": {"stringValue": "y"}}, {"effectiveValue": {"numberValue": 20}}]]
    assert book.values("E2:E3", "FORMULA") is None
    book.put("E3", [["mine"]])
    assert book.values("D1:E3") == [["#REF!"], [], ["", "mine"]]
    book.put("E3", [[""]])
    assert book.values("D3:E3") == [["y", "20"]]


def test_formulas_are_calculated_again(book: Book) -> None:
    book.put("A1", [[1, "=A1+1", "=B1+1", "=D1"]], "USER_ENTERED")
    assert book.values("A1:D1") == [["1", "2", "3", "#REF!"]]
    book.put("A1", [[10]])
    assert book.values("A1:C1") == [["10", "11", "12"]]


def test_results_take_the_format_of_their_source(book: Book) -> None:
    book.put("A1", [["$5.00", "=SUM(A1:A1)", "=DATE(2026,1,2)"]], "USER_ENTERED")
    assert book.values("A1:C1") == [["$5.00", "$5.00", "1/2/2026"]]


def test_text_that_looks_like_a_formula(book: Book) -> None:
    book.put("A1", [["=1"]])
    book.put("A2", [["=1"]], "USER_ENTERED")
    assert book.values("A1:A2", "FORMULA") == [["=1"], ["=1"]]
    cells = book.show("A1:A2", "userEnteredValue")
    assert [list(row[0]["userEnteredValue"]) for row in cells] == [["stringValue"], ["formulaValue"]]


def test_columns_first(server: Server) -> None:
    book = Book(server, server.create("b", [{"title": "T", "values": [[1, 2], [3]]}]))
    answer = book.call("GET", "/values/T", majorDimension="COLUMNS")
    assert answer["values"] == [["1", "3"], ["2"]]
    body = {"majorDimension": "COLUMNS", "values": [["a", "b"], ["c"]]}
    book.call("PUT", "/values/D1", json=body, valueInputOption="RAW", includeValuesInResponse="true")
    assert book.values("D1:E2") == [["a", "c"], ["b"]]
