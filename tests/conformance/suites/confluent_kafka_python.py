"""confluent-kafka-python's integration tests: admin, consumer, producer, and the registry with its serializers.

They are not part of any package: `checkout` is a clone of the repository, best at the tag of the installed client. They
run in an environment of their own, with the client's version of this project and what the tests of the checkout ask
for, made once. The broker's folders run first and against a node alone: they count the groups of a cluster, and a
registry elects its writer in one. The registry answers 409 for an incompatible schema, as the one these tests know did.
"""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Sequence
from pathlib import Path

from tests.conformance.clients.process import HERE as CLIENTS
from tests.conformance.clients.process import built_once, run_build
from tests.conformance.suites.outcomes import Outcome, Verdict

from moldau.registry.service import RegistryThread
from moldau.registry.settings import RegistrySettings

NAME = "confluent-kafka-python"
BROKER_FOLDERS = ("admin", "consumer", "producer")
REGISTRY_FOLDERS = ("schema_registry", "serialization")
ROOT = CLIENTS.parents[2]
SUITE_TIMEOUT_S = 1800
END = re.compile(r"^(\S+::\S.*?) (PASSED|FAILED|SKIPPED|ERROR|XFAIL|XPASS)\b")
VERDICTS = {"PASSED": Verdict.PASSED, "XFAIL": Verdict.PASSED, "SKIPPED": Verdict.SKIPPED}
BESIDE = '''"""The fixture for a cluster that runs already has no asynchronous registry client, which tests need."""


def pytest_configure():
    from confluent_kafka.schema_registry import AsyncSchemaRegistryClient
    from tests.integration.cluster_fixture import ByoFixture

    ByoFixture.async_schema_registry = lambda self, conf=None: AsyncSchemaRegistryClient({"url": self._sr_url})
'''


def version() -> str:
    import confluent_kafka

    return str(confluent_kafka.__version__)


def prepare(checkout: Path) -> Path:
    """Make the environment of the tests once; returns its folder."""
    requirements = checkout / "requirements"
    client = f"confluent-kafka[schemaregistry,avro,json,protobuf,rules]=={version()}"

    def build(folder: Path) -> None:
        uv = run_build([str(ROOT / "tools" / "ensure-uv.sh")], folder).strip()
        run_build([uv, "venv", "--quiet", "--relocatable", "venv"], folder)
        packages = ["pytest", "pytest-timeout", "pytest-asyncio", "requests-mock", "respx", "requests", "psutil"]
        trivup = next((checkout / "tests" / "trivup").glob("trivup-*.tar.gz"))
        install = [uv, "pip", "install", "--quiet", "--python", "venv", client, *packages, str(trivup)]
        run_build(install, folder)
        (folder / "beside.py").write_text(BESIDE)

    return built_once(NAME, sorted(requirements.glob("requirements-tests*.txt")), build, pinned=client + BESIDE)


def run(bootstrap: str, *, checkout: Path, tests: Sequence[str] = ()) -> list[Outcome]:
    """Run folders of `checkout`'s integration tests against a broker, all that there are without `tests`."""
    folder = prepare(checkout)
    chosen = tests or (*BROKER_FOLDERS, *REGISTRY_FOLDERS)
    outcomes: list[Outcome] = []
    if names := [name for name in chosen if name not in REGISTRY_FOLDERS]:
        outcomes += _pytest(folder, checkout, names, {"BROKERS": bootstrap})
    if names := [name for name in chosen if name in REGISTRY_FOLDERS]:
        with RegistryThread(RegistrySettings(bootstrap, port=0, incompatible_code=409)) as registry:
            outcomes += _pytest(folder, checkout, names, {"BROKERS": bootstrap, "SR_URL": registry.url})
    return outcomes


def _pytest(folder: Path, checkout: Path, names: Sequence[str], where: dict[str, str]) -> list[Outcome]:
    command = [
        *(str(folder / "venv" / "bin" / "python"), "-m", "pytest", "-v", "-p", "no:cacheprovider", "-p", "beside"),
        *("-o", "asyncio_mode=auto", "--timeout=300", *(f"tests/integration/{name}" for name in names)),
    ]
    environment = {**os.environ, **where, "PYTHONPATH": str(folder)}
    done = subprocess.run(
        command, cwd=checkout, env=environment, capture_output=True, text=True, timeout=SUITE_TIMEOUT_S, check=False
    )
    outcomes = [
        Outcome(found[1], VERDICTS.get(found[2], Verdict.FAILED), said=_reason(done.stdout, found[1]))
        for line in done.stdout.splitlines()
        if (found := END.match(line))
    ]
    if not outcomes:
        outcomes.append(Outcome("the run itself", Verdict.FAILED, said=(done.stdout + done.stderr)[-3000:]))
    return outcomes


def _reason(output: str, test: str) -> str:
    """The line of pytest's short summary about a test."""
    line = next((line for line in output.splitlines() if re.match(rf"(FAILED|ERROR) {re.escape(test)}", line)), "")
    return line.partition(" - ")[2][:400]
