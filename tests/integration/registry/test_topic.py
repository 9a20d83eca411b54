"""The topic behind a registry: what is written, what is read, what happens when others write or the cluster is away."""

from __future__ import annotations

import asyncio
import json
import re
import subprocess
import sys
import threading

import httpx
import pytest
from confluent_kafka import Producer

import moldau
from moldau.registry.decisions.modes import remembered_ids
from moldau.registry.errors import RegistryError
from moldau.registry.records import ContextKey, Record
from moldau.registry.service import RegistryThread
from moldau.registry.settings import RegistrySettings
from moldau.registry.state import RegistryState
from moldau.registry.store import StoreOpenError, TopicStore
from moldau.testing import KafkaClient

SCHEMA = {"type": "record", "name": "R", "fields": []}


def named(number: int) -> str:
    return json.dumps({"type": "record", "name": f"R{number}", "fields": []})


def settings(broker: moldau.Broker, **more) -> RegistrySettings:
    return RegistrySettings(broker.bootstrap_servers, port=0, **more)


def test_records_stand_in_the_topic_as_confluent_writes_them(fresh, registry_broker, request):
    fresh.register("s", SCHEMA)
    with KafkaClient(registry_broker.bootstrap_servers) as client:
        (record,) = (each for each in client.read(f"_schemas-{request.node.name}", 2) if b"SCHEMA" in each.key())
    assert record.key() == b'{"keytype":"SCHEMA","subject":"s","version":1,"magic":1}'
    value = json.loads(record.value())
    assert (value["subject"], value["version"], value["id"], value["deleted"]) == ("s", 1, 1, False)
    assert json.loads(value["schema"]) == SCHEMA


def test_what_confluent_wrote_is_taken_over_and_bad_records_are_skipped(registry_broker):
    producer = Producer({"bootstrap.servers": registry_broker.bootstrap_servers})
    topic = "_schemas-taken-over"
    with RegistryThread(settings(registry_broker, topic=topic, group_id=topic)):
        pass
    records = [
        (b'{"keytype":"NOOP","magic":0}', None),
        (b'{"keytype":"CONFIG","subject":null,"magic":0}', b'{"compatibilityLevel":"FULL"}'),
        (
            b'{"keytype":"SCHEMA","subject":"theirs","version":1,"magic":1}',
            b'{"subject":"theirs","version":1,"id":41,"schema":"\\"string\\"","deleted":false}',
        ),
        (b'{"keytype":"SCHEMA","subject":"torn","version":1,"magic":1}', b'{"subject":"torn","vers'),
        (b"\x00\x01", b"what is this"),
        (
            b'{"keytype":"SCHEMA","subject":"not-avro","version":1,"magic":1}',
            b'{"subject":"not-avro","version":1,"id":42,"schema":"{{{","deleted":false}',
        ),
    ]
    for key, value in records:
        producer.produce(topic, value, key)
    assert producer.flush(30) == 0
    with RegistryThread(settings(registry_broker, topic=topic, group_id=topic)) as running:
        assert httpx.get(f"{running.url}/subjects/theirs/versions/1").json()["id"] == 41
        assert httpx.get(f"{running.url}/config").json() == {"compatibilityLevel": "FULL"}
        assert httpx.get(f"{running.url}/subjects").json() == ["not-avro", "theirs"]
        body = {"schema": '"int"'}
        assert httpx.post(f"{running.url}/subjects/new/versions", json=body, timeout=60).json()["id"] == 43


def test_a_thousand_registrations_of_one_schema_at_once_give_one_id(fresh):
    body = json.dumps({"schema": named(1)}).encode()
    head = f"POST /subjects/same/versions HTTP/1.1\r\nhost: x\r\ncontent-length: {len(body)}\r\n\r\n".encode()
    request = head + body

    async def four() -> list[bytes]:
        """By hand: a pool of a thousand waiting requests costs a client more than they cost the registry."""
        reader, writer = await asyncio.open_connection("127.0.0.1", int(fresh.url.rpartition(":")[2]))
        answers = []
        for _ in range(4):
            writer.write(request)
            told = await reader.readuntil(b"\r\n\r\n")
            assert told.startswith(b"HTTP/1.1 200 "), told
            length = int(re.search(rb"content-length: (\d+)", told)[1])
            answers.append(await reader.readexactly(length))
        writer.close()
        return answers

    async def scenario() -> list[list[bytes]]:
        return await asyncio.gather(*(four() for _ in range(250)))

    answers = [json.loads(answer) for answers in asyncio.run(scenario()) for answer in answers]
    assert (len(answers), len({answer["id"] for answer in answers})) == (1000, 1)
    assert fresh.get("/subjects/same/versions") == [1]


def test_of_schemas_that_contradict_each_other_one_wins_and_the_others_are_refused(fresh):
    async def scenario() -> list[int]:
        async with httpx.AsyncClient(base_url=fresh.url, timeout=60) as client:
            posts = [client.post("/subjects/contested/versions", json={"schema": named(n)}) for n in range(20)]
            return [answer.status_code for answer in await asyncio.gather(*posts)]

    codes = asyncio.run(scenario())
    assert sorted(codes) == [200] + [409] * 19
    assert fresh.get("/subjects/contested/versions") == [1]


def test_two_registries_on_one_topic_are_one(registry_broker, eventually):
    shared = {"topic": "_schemas-two", "group_id": "two"}
    with (
        RegistryThread(settings(registry_broker, **shared)) as one,
        RegistryThread(settings(registry_broker, **shared)) as other,
    ):
        urls = [one.url, other.url]
        ids = []
        for number in range(20):
            answer = httpx.post(
                f"{urls[number % 2]}/subjects/s{number}/versions", json={"schema": named(number)}, timeout=60
            )
            assert answer.status_code == 200, answer.text
            ids.append(answer.json()["id"])
            # Whoever was asked can be asked for it at once.
            assert httpx.get(f"{urls[number % 2]}/schemas/ids/{ids[-1]}").status_code == 200
        assert ids == list(range(1, 21))
        for url in urls:
            eventually(lambda url=url: len(httpx.get(f"{url}/subjects").json()) == 20)
        refusal = httpx.post(f"{urls[1]}/subjects/s0/versions", json={"schema": '"int"'}, timeout=60)
        assert (refusal.status_code, refusal.json()["error_code"]) == (409, 40901)


def test_when_the_leader_leaves_the_other_one_leads(registry_broker):
    shared = {"topic": "_schemas-heir", "group_id": "heir", "leader_timeout_s": 60.0}
    one = RegistryThread(settings(registry_broker, **shared))
    one.start()
    assert httpx.post(f"{one.url}/subjects/s/versions", json={"schema": named(1)}, timeout=60).json()["id"] == 1
    with RegistryThread(settings(registry_broker, **shared)) as other:
        one.close()
        answer = httpx.post(f"{other.url}/subjects/s2/versions", json={"schema": named(2)}, timeout=90)
        assert answer.json()["id"] == 2, answer.text


def test_a_leader_that_was_killed_is_waited_out(registry_broker):
    name = {"topic": "_schemas-killed", "group_id": "killed", "session_timeout_ms": 6000}
    program = (
        "import sys\nfrom moldau.registry.service import run\nfrom moldau.registry.settings import RegistrySettings\n"
        f"run(RegistrySettings(sys.argv[1], port=0, **{name}), lambda url: print(url, flush=True))"
    )
    child = subprocess.Popen(
        [sys.executable, "-c", program, registry_broker.bootstrap_servers], stdout=subprocess.PIPE, text=True
    )
    url = child.stdout.readline().strip()
    assert httpx.post(f"{url}/subjects/s/versions", json={"schema": named(1)}, timeout=60).json()["id"] == 1
    with RegistryThread(settings(registry_broker, leader_timeout_s=60.0, **name)) as heir:
        child.kill()
        child.wait()
        answer = httpx.post(f"{heir.url}/subjects/s2/versions", json={"schema": named(2)}, timeout=90)
        assert answer.json()["id"] == 2, answer.text


def test_an_old_leader_that_still_believes_to_lead_is_shut_out(registry_broker):
    async def scenario() -> None:
        setup = settings(registry_broker, topic="_schemas-fenced", group_id="fenced")
        states = [RegistryState(), RegistryState()]
        old, new = (TopicStore(setup, state.apply) for state in states)
        for store, state in zip((old, new), states, strict=True):
            await store.open()
            await store.lead(lambda state=state: remembered_ids(state))
        context = Record(ContextKey(".ctx"), {"tenant": "default", "context": ".ctx"})
        with pytest.raises(RegistryError) as refusal:
            await old.write([context])
        assert (refusal.value.code, old.leads) == (50001, False)
        await new.write([context])
        assert states[1].contexts == {".ctx"}
        for store in (old, new):
            await store.close()

    asyncio.run(scenario())


def test_a_topic_that_is_not_compacted_is_refused(registry_broker):
    with KafkaClient(registry_broker.bootstrap_servers) as client:
        client.send("not-compacted", ("key", "value"))
    with pytest.raises(StoreOpenError, match=r"cleanup\.policy=delete"):
        RegistryThread(settings(registry_broker, topic="not-compacted", group_id="nc")).start()


def test_a_topic_of_many_partitions_is_refused(registry_broker):
    from confluent_kafka.admin import AdminClient, NewTopic

    admin = AdminClient({"bootstrap.servers": registry_broker.bootstrap_servers})
    admin.create_topics([NewTopic("wide-schemas", 2)])["wide-schemas"].result(30)
    with pytest.raises(StoreOpenError, match="2 partitions"):
        RegistryThread(settings(registry_broker, topic="wide-schemas", group_id="wide")).start()


def test_while_the_cluster_is_away_reads_go_on_and_writes_say_so_and_afterwards_all_is_well(tmp_path, eventually):
    with moldau.Broker(tmp_path) as broker:
        port = int(broker.bootstrap_servers.split(":")[1])
        quick = {"store_timeout_s": 3.0, "leader_timeout_s": 3.0}
        running = RegistryThread(settings(broker, **quick))
        running.start()
        url = running.url
        assert httpx.post(f"{url}/subjects/s/versions", json={"schema": named(1)}, timeout=60).json()["id"] == 1
    try:
        away = httpx.post(f"{url}/subjects/s2/versions", json={"schema": named(2)}, timeout=60)
        assert (away.status_code, away.json()["error_code"]) in {(500, 50001), (500, 50002), (500, 50004)}
        assert httpx.get(f"{url}/schemas/ids/1").status_code == 200
        with moldau.Broker(tmp_path, port=port):
            again = eventually(
                lambda: (
                    (
                        answer := httpx.post(f"{url}/subjects/s3/versions", json={"schema": named(3)}, timeout=60)
                    ).status_code
                    == 200
                    and answer
                ),
                within_s=60,
            )
            assert again.json()["id"] in {2, 3}
            running.close()
    finally:
        running.close()


def test_a_registry_is_stopped_in_the_middle_of_its_start(registry_broker):
    for _ in range(5):
        one = RegistryThread(settings(registry_broker, topic="_schemas-hasty", group_id="hasty"))
        one.start_soon()
        # At once: its thread has no event loop yet.
        closing = threading.Thread(target=one.close, daemon=True)
        closing.start()
        closing.join(60)
        assert not closing.is_alive()
