"""Testing a topology without a broker."""

from moldau.streams.testing.driver import TopologyTestDriver
from moldau.streams.testing.topics import TestInputTopic, TestOutputTopic, TestRecord

__all__ = ["TestInputTopic", "TestOutputTopic", "TestRecord", "TopologyTestDriver"]
