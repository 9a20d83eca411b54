"""The programs of the guide on Avro run as they stand there, one after the other."""

import re
from pathlib import Path

import moldau
from moldau.registry.service import RegistryThread
from moldau.registry.settings import RegistrySettings

GUIDE = Path(__file__).resolve().parents[2] / "docs" / "guides" / "avro.md"


def test_the_guide_on_avro_runs():
    programs = re.findall(r"^```python\n(.*?)^```$", GUIDE.read_text(), re.DOTALL | re.MULTILINE)
    assert len(programs) >= 4
    names: dict[str, object] = {"__name__": "__main__"}
    with (
        moldau.Broker() as broker,
        RegistryThread(RegistrySettings(broker.bootstrap_servers, port=0)) as registry,
    ):
        # Annotations are looked up where a class was made: all programs are one module.
        text = "\n".join(programs)
        for address, ours in (("127.0.0.1:9092", broker.bootstrap_servers), ("http://localhost:8081", registry.url)):
            assert address in text
            text = text.replace(address, ours)
        exec(compile(text, str(GUIDE), "exec"), names)
        # Clients that outlive their broker complain.
        names.clear()
