"""Tables on a terminal: nothing wraps, no number loses a digit."""

import io
from unittest import mock

import pytest

from moldau.cli.output import Output

BIG = 9_223_372_036_854_775_807


class Terminal(io.StringIO):
    """A stdout that somebody watches."""

    def isatty(self):
        return True


def printed(records, columns, width):
    terminal = Terminal()
    with (
        mock.patch("sys.stdout", terminal),
        mock.patch.dict("os.environ", {"COLUMNS": str(width), "NO_COLOR": "1"}),
    ):
        Output().records(records, columns)
    return terminal.getvalue().splitlines()


def test_a_long_text_gives_way_and_a_number_does_not():
    records = [{"topic": "t" * 100, "offset": BIG}, {"topic": "u", "offset": 1}]
    lines = printed(records, ("topic", "offset"), 40)
    assert max(map(len, lines)) == 40
    assert lines[1].endswith(f"…  {BIG}")


@pytest.mark.parametrize("width", [10, 40, 80])
def test_what_does_not_fit_into_lines_is_printed_cell_by_cell(width):
    names = [f"number_{n}" for n in range(6)]
    lines = printed([dict.fromkeys(names, BIG)] * 2, names, width)
    assert lines[0] == f"number 0  {BIG}"
    assert lines[6] == ""
    assert len(lines) == 13


def test_a_name_from_the_cluster_cannot_move_the_cursor():
    assert printed([{"host": "a\x1b[2Jb\n"}], ("host",), 80)[1] == "a\\x1b[2Jb\\x0a"
