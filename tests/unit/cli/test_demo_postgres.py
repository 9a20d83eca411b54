"""The embedded PostgreSQL of the demo."""

import subprocess

import pytest

from moldau.cli.demo.postgres import copied, programs

SERVERS = programs()


@pytest.mark.parametrize("major", SERVERS)
def test_programs_that_are_copied_out_of_a_folder_that_nobody_else_may_enter_still_run(major, tmp_path):
    binaries = copied(SERVERS[major], tmp_path / "programs")
    assert binaries.is_relative_to(tmp_path)
    for program in ("postgres", "initdb"):
        said = subprocess.run([binaries / program, "--version"], capture_output=True, text=True, check=False)
        assert (said.returncode, said.stderr) == (0, "")
        assert f" {major}." in said.stdout
