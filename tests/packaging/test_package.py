"""What a user installs, installed and used far away from this checkout.

`make package-test` runs it: it compiles the sdist once, and makes environments that know nothing of the repository.
"""

from __future__ import annotations

import re
import signal
import subprocess
import tarfile
import threading
import zipfile

import pytest

pytestmark = [pytest.mark.slow, pytest.mark.timeout(3600)]

ROUND_TRIP = """
import moldau

with moldau.Broker() as broker:
    producer = moldau.Producer(bootstrap_servers=broker.bootstrap_servers)
    producer.produce("orders", key=b"customer-1", value=b"order 1")
    assert producer.flush(30) == 0
    print([record.value for record in moldau.consume("orders", bootstrap_servers=broker)])
"""

FRAME = """
import moldau

with moldau.Broker() as broker:
    producer = moldau.Producer(bootstrap_servers=broker.bootstrap_servers)
    producer.produce("orders", b'{"amount": 12}')
    assert producer.flush(30) == 0
    records = moldau.consume("orders", bootstrap_servers=broker, value="json")
    print(records.to_polars()["value"].to_list())
"""

A_TEST = """
def test_orders_arrive(kafka_broker, kafka_client, kafka_topic):
    assert kafka_broker.bootstrap_servers
    kafka_client.send(kafka_topic, ("customer-1", b"order 1"))
    assert kafka_client.read(kafka_topic, 1)[0].value() == b"order 1"
"""


def first_lines(environment, *arguments: str, prefixes: tuple[str, ...]) -> tuple[subprocess.Popen[str], list[str]]:
    """A `moldau` that runs until it is stopped, and what it printed on stdout after each of these words."""
    process = subprocess.Popen(
        [environment.path / "bin" / "moldau", *arguments],
        cwd=environment.home,
        env=environment.variables,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    # A line that does not come ends the process, and with it the reading.
    patience = threading.Timer(60, process.kill)
    patience.start()
    found = []
    for prefix in prefixes:
        line = process.stdout.readline()
        if not line.startswith(prefix):
            process.kill()
            pytest.fail(f"{prefix} was expected: {line}{process.communicate()[1]}")
        found.append(line.split()[1])
    patience.cancel()
    return process, found


def stop(process: subprocess.Popen[str]) -> str:
    """Ctrl-C; what it said on stderr."""
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=60)
    assert process.returncode in {0, 130}, said
    return said


# What is inside


def test_the_wheel_holds_the_package_its_types_and_its_licence_and_nothing_else(packages):
    assert re.fullmatch(r"moldau-[\d.]+-cp311-abi3-\w+\.whl", packages.wheel.name)
    names = zipfile.ZipFile(packages.wheel).namelist()
    inside = [name for name in names if not re.match(r"moldau-[\d.]+\.dist-info/", name)]
    other = {name for name in inside if not name.endswith(".py")}
    assert other == {"moldau/_core.abi3.so", "moldau/_core.pyi", "moldau/py.typed"}
    assert all(name.startswith("moldau/") for name in inside)
    about = {name.partition(".dist-info/")[2] for name in names} - {""}
    assert {"licenses/LICENSE", "licenses/NOTICE", "entry_points.txt", "METADATA"} <= about
    assert {name.partition("/")[0] for name in about} <= {
        "licenses", "entry_points.txt", "METADATA", "RECORD", "WHEEL", "sboms",
    }  # fmt: skip


def test_the_sdist_holds_the_sources_of_both_languages_and_what_locks_them(packages):
    with tarfile.open(packages.sdist) as archive:
        names = {member.name.partition("/")[2] for member in archive.getmembers() if member.isfile()}
    top = {name for name in names if "/" not in name}
    assert top == {"Cargo.lock", "Cargo.toml", "LICENSE", "NOTICE", "PKG-INFO", "README.md", "pyproject.toml"}
    assert {name.partition("/")[0] for name in names - top} == {"crates", "python"}
    kinds = {name.rpartition(".")[2] for name in names - top if not name.endswith("Cargo.toml")}
    assert kinds == {"rs", "py", "pyi", "typed"}


def test_sizes(packages, base, with_extras, capsys):
    """Printed for docs/guides/deploying.md; the limits are there to notice something that does not belong in."""
    rows = {
        "sdist": packages.sdist.stat().st_size,
        "wheel": packages.wheel.stat().st_size,
        "site-packages, moldau": base.size_bytes(),
        "site-packages, moldau[all]": with_extras.size_bytes(),
    }
    with capsys.disabled():
        for name, size in rows.items():
            print(f"\n{name:28}{size / 1e6:8.1f} MB", end="")
    assert rows["sdist"] < 2e6
    assert rows["wheel"] < 15e6
    assert rows["site-packages, moldau"] < 120e6


# In an environment of its own


def test_it_says_its_version(installed, packages):
    told = installed.moldau("--version")
    assert packages.wheel.name.startswith(f"moldau-{told.stdout.strip()}-"), told.stderr


def test_a_node_is_started_filled_read_and_stopped(installed):
    node, (address,) = first_lines(installed, "up", "--port", "0", "--registry-port", "0", prefixes=("kafka",))
    try:
        produced = installed.moldau("produce", "orders", "-b", address, text="order 1\norder 2\n")
        assert produced.returncode == 0, produced.stderr
        read = installed.moldau("consume", "orders", "-b", address, "--from", "earliest", "--end", "-F", "%s\\n")
        assert (read.returncode, sorted(read.stdout.split("\n"))) == (0, ["", "order 1", "order 2"]), read.stderr
    finally:
        said = stop(node)
    assert "pip install 'moldau[registry]'" in said


def test_a_broker_runs_in_a_program(installed):
    assert installed.program(ROUND_TRIP) == "[b'order 1']\n"


def test_an_extra_that_is_not_there_is_asked_for_in_one_line(base):
    refused = base.moldau("registry")
    assert refused.returncode == 2
    assert "hint: pip install 'moldau[registry]'" in refused.stderr
    assert len(refused.stderr.strip().splitlines()) == 2
    ended = base.program(f"try:\n    exec({FRAME!r})\nexcept ImportError as error:\n    print(error)")
    assert ended == "polars is not installed\nhint: python -m pip install 'moldau[frames]'\n"


def test_the_registry_of_the_extra_answers(with_extras):
    node, (address, url) = first_lines(
        with_extras, "up", "--port", "0", "--registry-port", "0", prefixes=("kafka", "registry")
    )
    try:
        ask = "import sys, urllib.request; print(urllib.request.urlopen(sys.argv[1] + '/subjects', timeout=30).read())"
        assert with_extras.program(f"import sys; sys.argv = ['', {url!r}]\n{ask}") == "b'[]'\n"
        alone, (own,) = first_lines(with_extras, "registry", "-b", address, "--port", "0", prefixes=("registry",))
        try:
            assert with_extras.program(f"import sys; sys.argv = ['', {own!r}]\n{ask}") == "b'[]'\n"
        finally:
            stop(alone)
    finally:
        stop(node)


def test_records_become_a_frame_with_the_extra(with_extras):
    assert with_extras.program(FRAME) == "[{'amount': 12}]\n"


def test_pytest_finds_the_fixtures_in_a_project_that_says_nothing_about_them(with_extras):
    with_extras.install("pytest")
    project = with_extras.home / "project"
    project.mkdir()
    (project / "test_orders.py").write_text(A_TEST)
    ended = subprocess.run(
        [with_extras.path / "bin" / "pytest", "-q"],
        cwd=project,
        env=with_extras.variables,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert "1 passed" in ended.stdout, ended.stdout + ended.stderr
