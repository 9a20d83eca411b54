"""Stream processing: the language of Kafka Streams in Python, an engine, and a driver that needs no broker.

builder = StreamsBuilder()
orders = builder.stream("orders", value=Order)
orders.group_by_key().windowed_by(TimeWindows.of_size_with_no_grace("1h")).count().to_stream().to("hourly")
with TopologyTestDriver(builder.build()) as driver: ...
"""

from moldau.streams.aggregations import count
from moldau.streams.dsl.builder import StreamsBuilder
from moldau.streams.dsl.cogrouped import CogroupedKStream
from moldau.streams.dsl.global_table import GlobalKTable
from moldau.streams.dsl.kstream import KStream
from moldau.streams.dsl.ktable import KTable
from moldau.streams.dsl.options import (
    Branched,
    Consumed,
    Grouped,
    Joined,
    Materialized,
    Named,
    Produced,
    Repartitioned,
    StreamJoined,
    TableJoined,
)
from moldau.streams.dsl.suppressed import BufferConfig, Suppressed
from moldau.streams.dsl.windows import (
    EmitStrategy,
    JoinWindows,
    SessionWindows,
    SlidingWindows,
    TimeWindows,
    UnlimitedWindows,
    hopping,
    sessions,
    sliding,
    tumbling,
)
from moldau.streams.errors import CopartitionError, RecordError, StreamsError, TopologyError
from moldau.streams.expressions import col, left, make, right
from moldau.streams.processor import Processor, ProcessorContext, Record, ValueTransformer
from moldau.streams.punctuation import PunctuationType
from moldau.streams.runtime import KafkaStreams, StreamsConfig
from moldau.streams.serdes import Serde, Serdes, Windowed
from moldau.streams.subject import Subject, SubjectError
from moldau.streams.testing.driver import TopologyTestDriver
from moldau.streams.testing.given import Rows
from moldau.streams.testing.time_travel import TimeTravel
from moldau.streams.testing.topics import TestInputTopic, TestOutputTopic, TestRecord
from moldau.streams.topology.topology import Topology

__all__ = [
    "Branched",
    "BufferConfig",
    "CogroupedKStream",
    "Consumed",
    "CopartitionError",
    "EmitStrategy",
    "GlobalKTable",
    "Grouped",
    "JoinWindows",
    "Joined",
    "KStream",
    "KTable",
    "KafkaStreams",
    "Materialized",
    "Named",
    "Processor",
    "ProcessorContext",
    "Produced",
    "PunctuationType",
    "Record",
    "RecordError",
    "Repartitioned",
    "Rows",
    "Serde",
    "Serdes",
    "SessionWindows",
    "SlidingWindows",
    "StreamJoined",
    "StreamsBuilder",
    "StreamsConfig",
    "StreamsError",
    "Subject",
    "SubjectError",
    "Suppressed",
    "TableJoined",
    "TestInputTopic",
    "TestOutputTopic",
    "TestRecord",
    "TimeTravel",
    "TimeWindows",
    "Topology",
    "TopologyError",
    "TopologyTestDriver",
    "UnlimitedWindows",
    "ValueTransformer",
    "Windowed",
    "col",
    "count",
    "hopping",
    "left",
    "make",
    "right",
    "sessions",
    "sliding",
    "tumbling",
]
