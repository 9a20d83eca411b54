"""Where replicas live: asked and told of what has changed, not of everything."""

from pathlib import Path
from types import SimpleNamespace
from uuid import UUID

import pytest

from moldau.control.metadata.brokers import AssignDirectories
from moldau.control.metadata.image import Partition, Topic
from moldau.control.metadata.records import UNASSIGNED_DIRECTORY
from moldau.server.core_types import LogStatus
from moldau.server.directories import DirectoryReports

NODE, EPOCH = 1, 17
ONE, TWO = UUID(int=11), UUID(int=12)


class CoreWithLogs:
    """Two directories; partitions with an odd number are in the second."""

    def __init__(self, topics, folders):
        self.topics, self.folders = topics, folders
        self.told_of = 0

    def logs(self, partitions=None):
        everything = [(topic.name, index) for topic in self.topics.values() for index in topic.partitions]
        asked = everything if partitions is None else partitions
        self.told_of += len(asked)
        return [
            LogStatus(name, index, self.topics[name].id, str(self.folders[index % 2]), 0, 0, 0, 0, online=True)
            for name, index in asked
        ]


@pytest.fixture
def world(tmp_path):
    topics = {f"t{number}": topic(number, 10) for number in range(50)}
    folders = [tmp_path / "one", tmp_path / "two"]
    core = CoreWithLogs(topics, folders)
    submitted = []
    image = SimpleNamespace(topics_by_id={each.id: each for each in topics.values()})
    metadata = SimpleNamespace(machine=SimpleNamespace(image=image), submit=submitted.append)
    reports = DirectoryReports(core, metadata, dict(zip(map(Path, folders), (ONE, TWO), strict=True)), NODE, EPOCH)
    return SimpleNamespace(core=core, reports=reports, topics=topics, submitted=submitted)


def topic(number, partitions):
    made = Topic(f"t{number}", UUID(int=100 + number))
    for index in range(partitions):
        made.partitions[index] = Partition((NODE,), (UNASSIGNED_DIRECTORY,), (NODE,), (), (), (), (), NODE, 0, 0, 0)
    return made


def test_when_topics_have_changed_nobody_looks_at_the_others(world):
    world.reports.report_assignments([world.topics["t7"]])
    (told,) = world.submitted
    assert isinstance(told, AssignDirectories)
    assert told.assignments == tuple((UUID(int=107), index, (ONE, TWO)[index % 2]) for index in range(10))
    assert world.core.told_of == 10


def test_replicas_on_other_nodes_are_not_asked_for(world):
    elsewhere = topic(60, 3)
    elsewhere.partitions[1] = Partition((2,), (UNASSIGNED_DIRECTORY,), (2,), (), (), (), (), 2, 0, 0, 0)
    world.core.topics["t60"] = elsewhere
    world.reports.report_assignments([elsewhere])
    assert world.core.told_of == 2


def test_everything_is_looked_at_when_nobody_says_what_has_changed(world):
    world.reports.report_assignments()
    (told,) = world.submitted
    assert (len(told.assignments), world.core.told_of) == (500, 500)
