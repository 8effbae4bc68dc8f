"""Tables for a terminal and for Markdown."""

from __future__ import annotations

import pytest

from cvbow.tables import Table, duration, figure, percent

TABLE = Table(("name", "%", "by"), [("a", "9.5 ± 1.0", "x|y"), ("long", "81.4", ""), ("b", "", "2.png")])


def test_text_has_figures_to_the_right() -> None:
    assert TABLE.text().splitlines() == [
        "name          %  by",
        "a     9.5 ± 1.0  x|y",
        "long       81.4",
        "b                2.png",
    ]


def test_markdown() -> None:
    assert TABLE.markdown().splitlines() == [
        "| name | % | by |",
        "| --- | ---: | --- |",
        r"| a | 9.5 ± 1.0 | x\|y |",
        "| long | 81.4 | |",
        "| b | | 2.png |",
    ]


def test_title_and_notes_stand_around_it() -> None:
    table = Table((), [("title", "T"), ("n", "4")], "What it is", "What it means.")
    assert table.text() == "What it is\n\ntitle  T\nn      4\n\nWhat it means."
    assert table.markdown() == "What it is:\n\n| | |\n| --- | --- |\n| title | T |\n| n | 4 |\n\nWhat it means."


def test_nothing_steers_the_terminal() -> None:
    text = Table(("image",), [("\x1b[2J\n.png",), ("a",)], "\x07").text()
    assert text == "\\x07\n\nimage\n\\x1b[2J\\n.png\na"


def test_without_rows() -> None:
    empty = Table(("a", "bc"), [])
    assert empty.text() == "a  bc"
    assert empty.markdown() == "| a | bc |\n| --- | --- |"


@pytest.mark.parametrize(
    ("made", "expected"),
    [
        (figure(0.126), "0.13"),
        (figure(9.994), "9.99"),
        (figure(9.996), "10.0"),
        (figure(1234.5), "1,234"),
        (figure(None), ""),
        (percent(0.8333), "83.3"),
        (percent(0.8333, 0.0124), "83.3 ± 1.2"),
        (percent(None), ""),
        (duration(0.0311), "31.1 ms"),
        (duration(3.12), "3.12 s"),
    ],
)
def test_figures(made: str, expected: str) -> None:
    assert made == expected
