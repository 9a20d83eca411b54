"""The life of a task that has no database."""

import pytest

from moldau.connect.connectors.jdbc.sink import DebeziumJdbcSinkTask, JdbcSinkTask
from moldau.connect.errors import ConfigError


@pytest.mark.parametrize("kind", [JdbcSinkTask, DebeziumJdbcSinkTask])
def test_a_task_whose_start_has_failed_is_stopped_as_any_other(kind):
    task = kind()
    with pytest.raises(ConfigError):
        task.start({"connection.url": "jdbc:oracle:thin:@x"})
    task.stop()
