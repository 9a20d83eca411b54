"""What `moldau connect status` shows of a trace."""

import pytest

from moldau.cli.connect import end_of

PYTHON = """Traceback (most recent call last):
  File "a.py", line 1, in f
    g()
    ^^^
OSError: first

The above exception was the direct cause of the following exception:

Traceback (most recent call last):
  File "b.py", line 2, in h
    raise Second from error
moldau.connect.errors.ConnectError: bucket 'lake': it is not there
hint: make it
"""
JAVA = (
    "org.apache.kafka.connect.errors.ConnectException: Exiting\n\tat a.B.c(B.java:1)\n"
    "Caused by: java.io.IOException: disk\n\tat d.E.f(E.java:2)\n\t... 3 more\n"
)


@pytest.mark.parametrize(
    ("trace", "end"),
    [
        (PYTHON, "moldau.connect.errors.ConnectError: bucket 'lake': it is not there\nhint: make it"),
        (JAVA, "Caused by: java.io.IOException: disk"),
        ("one line", "one line"),
        ("", ""),
        (
            PYTHON.replace("bucket 'lake': it is not there\nhint: make it", "Tolerance exceeded in error handler"),
            "OSError: first",
        ),
    ],
)
def test_of_a_trace_the_last_exception_is_shown(trace, end):
    assert end_of(trace) == end
