"""The folder of an application: who has it, and what is left when it cannot be taken."""

from __future__ import annotations

import pytest

from moldau.streams.runtime.directory import StateDirectory, StateDirectoryError


def test_a_folder_whose_identity_cannot_be_written_is_not_held(tmp_path):
    blocked = tmp_path / "app" / "kafka-streams-process-metadata.tmp"
    blocked.mkdir(parents=True)
    with pytest.raises(StateDirectoryError, match=r"the folder for state .* cannot be written: Is a directory"):
        StateDirectory(tmp_path / "app", needed=True)
    blocked.rmdir()
    StateDirectory(tmp_path / "app", needed=True).close()


def test_an_instance_that_comes_back_is_the_same_process(tmp_path):
    first = StateDirectory(tmp_path / "app", needed=True)
    with pytest.raises(StateDirectoryError, match="another instance"):
        StateDirectory(tmp_path / "app", needed=True)
    first.close()
    again = StateDirectory(tmp_path / "app", needed=True)
    assert again.process_id == first.process_id
    again.close()
