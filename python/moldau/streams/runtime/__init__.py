"""The engine: a topology running over a Kafka cluster, with an ordinary client.

`app` is what users hold, `layout` decides what lies where, `thread` and `session` do the work of one group member,
`task_manager` and `stream_task` hold its tasks, `collector` is their way out and `restorer` the way back of state.
"""

from moldau.streams.runtime.app import KafkaStreams, UncaughtResponse
from moldau.streams.runtime.exception_handlers import Failure, Response, log_and_continue, log_and_fail
from moldau.streams.runtime.settings import StreamsConfig
from moldau.streams.runtime.states import State

__all__ = [
    "Failure",
    "KafkaStreams",
    "Response",
    "State",
    "StreamsConfig",
    "UncaughtResponse",
    "log_and_continue",
    "log_and_fail",
]
