"""consume and produce with a schema registry: what is shown, what is encoded, and what is said when it cannot be."""

from __future__ import annotations

import datetime as dt
import json
import sys
import uuid
from decimal import Decimal
from typing import Any

import pytest
from confluent_kafka import Producer
from confluent_kafka.schema_registry import Schema, SchemaRegistryClient, header_schema_id_serializer
from confluent_kafka.schema_registry.avro import AvroDeserializer, AvroSerializer
from confluent_kafka.schema_registry.json_schema import JSONDeserializer, JSONSerializer
from confluent_kafka.schema_registry.protobuf import ProtobufDeserializer, ProtobufSerializer
from confluent_kafka.serialization import MessageField, SerializationContext
from google.protobuf.descriptor_pb2 import FieldDescriptorProto, FileDescriptorProto
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.message_factory import GetMessageClass
from tests.cli.conftest import Ended, moldau

from moldau.cli.shapes import SHAPES, complaint
from moldau.registry.service import RegistryThread
from moldau.registry.settings import RegistrySettings

ORDER = {
    "type": "record",
    "name": "Order",
    "namespace": "shop",
    "fields": [
        {"name": "id", "type": "string"},
        {"name": "cents", "type": "long"},
        {"name": "total", "type": {"type": "bytes", "logicalType": "decimal", "precision": 20, "scale": 2}},
        {"name": "at", "type": {"type": "long", "logicalType": "timestamp-micros"}},
        {"name": "day", "type": {"type": "int", "logicalType": "date"}},
        {"name": "raw", "type": "bytes"},
        {"name": "share", "type": "double"},
        {"name": "state", "type": {"type": "enum", "name": "State", "symbols": ["NEW", "PAID"]}, "default": "NEW"},
        {"name": "who", "type": ["null", "long", "string"], "default": None},
    ],
}
VALUE = {
    "id": "ä",
    "cents": 2**63 - 1,
    "total": Decimal("-9007199254740993.10"),
    "at": dt.datetime(2026, 1, 31, 12, 0, 0, 1, tzinfo=dt.UTC),
    "day": dt.date(2026, 1, 31),
    "raw": b"\0\xff",
    "share": float("inf"),
    "state": "PAID",
    "who": "x",
}
SHOWN = {
    "id": "ä",
    "cents": 2**63 - 1,
    "total": "-9007199254740993.10",
    "at": "2026-01-31T12:00:00.000001Z",
    "day": "2026-01-31",
    "raw": "\0\xff",
    "share": "Infinity",
    "state": "PAID",
    "who": "x",
}


@pytest.fixture(scope="module")
def url(servers):
    settings = RegistrySettings(servers, port=0, topic="_schemas-registered", group_id="registered")
    with RegistryThread(settings) as running:
        yield running.url


@pytest.fixture
def client(url) -> SchemaRegistryClient:
    return SchemaRegistryClient({"url": url})


@pytest.fixture
def schema_file(tmp_path) -> str:
    file = tmp_path / "order.avsc"
    file.write_text(json.dumps(ORDER))
    return str(file)


def send(servers: str, topic: str, *values: bytes | None, **more: Any) -> None:
    producer = Producer({"bootstrap.servers": servers})
    for value in values:
        producer.produce(topic, value=value, partition=0, **more)
    assert producer.flush(30) == 0


def read(servers: str, url: str, topic: str, *words: str) -> Ended:
    return moldau("consume", topic, "--from", "earliest", "--end", "-r", url, *words, servers=servers)


def value_of(topic: str) -> SerializationContext:
    return SerializationContext(topic, MessageField.VALUE, [])


@pytest.fixture
def made(servers, topic) -> str:
    assert moldau("topic", "create", topic, servers=servers).code == 0
    return topic


def test_what_their_serializer_wrote_is_shown_exactly(servers, url, client, made):
    write = AvroSerializer(client, json.dumps(ORDER))
    send(servers, made, write(VALUE, value_of(made)), None)
    shown = read(servers, url, made, "--value", "avro")
    assert (shown.code, shown.err) == (0, "")
    assert [json.loads(line) for line in shown.out.splitlines() if line] == [SHOWN]
    first, second = read(servers, url, made, "--value", "registry", "-o", "jsonl").lines
    assert (first["value"], second["value"]) == (SHOWN, None)
    assert complaint([first, second], SHAPES["consume"]) is None


def test_a_key_is_shown_and_a_filter_looks_into_both(servers, url, client, made):
    key = AvroSerializer(client, '"long"')(2**60, SerializationContext(made, MessageField.KEY))
    value = AvroSerializer(client, json.dumps(ORDER))(VALUE, value_of(made))
    send(servers, made, value, key=key)
    words = ("--key", "avro", "--value", "avro", "-F", "%k %v{json}\\n")
    found = read(servers, url, made, *words, "--filter", f"value.cents == {2**63 - 1}")
    assert found.out.startswith(f'{2**60} "{{')
    assert read(servers, url, made, *words, "--filter", "value.cents == 1").out == ""


def test_the_schema_in_a_header_is_found(servers, url, client, made):
    context = value_of(made)
    conf = {"schema.id.serializer": header_schema_id_serializer}
    content = AvroSerializer(client, json.dumps(ORDER), conf=conf)(VALUE, context)
    send(servers, made, content, headers=context.headers)
    assert json.loads(read(servers, url, made, "--value", "avro").out) == SHOWN


def test_json_and_protobuf_are_shown_by_the_type_of_their_schema(servers, url, client, made):
    schema = {"title": "O", "type": "object", "properties": {"cents": {"type": "integer"}}}
    in_json = JSONSerializer(json.dumps(schema), client)({"cents": 2**62}, value_of(f"{made}-json"))
    file = FileDescriptorProto(name="order.proto", package="shop", syntax="proto3")
    kinds = ("id", FieldDescriptorProto.TYPE_STRING), ("cents", FieldDescriptorProto.TYPE_INT64)
    message = file.message_type.add(name="Order")
    for number, (name, kind) in enumerate(kinds, start=1):
        message.field.add(name=name, number=number, type=kind, label=FieldDescriptorProto.LABEL_OPTIONAL)
    pool = DescriptorPool()
    pool.Add(file)
    order = GetMessageClass(pool.FindMessageTypeByName("shop.Order"))
    in_protobuf = ProtobufSerializer(order, client)(order(id="x", cents=2**62), value_of(f"{made}-protobuf"))
    send(servers, made, in_json, in_protobuf)
    shown = read(servers, url, made, "--value", "registry")
    assert [json.loads(line) for line in shown.out.splitlines()] == [
        {"cents": 2**62},
        {"id": "x", "cents": str(2**62)},
    ], shown.err
    only = read(servers, url, made, "--value", "protobuf")
    assert (only.code, len(only.out.splitlines())) == (5, 1)
    assert "is JSON, not PROTOBUF" in only.err


def test_what_cannot_be_read_is_told_with_its_place_and_left_out(servers, url, client, made):
    good = AvroSerializer(client, json.dumps(ORDER))(VALUE, value_of(made))
    send(servers, made, b"{}", good[:20], b"\0\x7f\0\0\0x", good)
    shown = read(servers, url, made, "--value", "avro")
    assert shown.code == 5
    assert [json.loads(line) for line in shown.out.splitlines()] == [SHOWN]
    assert f"{made}-0 at offset 0: the value: 2 bytes are too few" in shown.err
    assert f"{made}-0 at offset 1: the value is no avro: " in shown.err
    assert f"{made}-0 at offset 2: the value: {url} does not give the schema with the id 2130706432" in shown.err
    assert "3 records could not be read, and left out" in shown.err


def test_a_registry_that_does_not_answer_ends_the_command(servers, client, made):
    send(servers, made, AvroSerializer(client, json.dumps(ORDER))(VALUE, value_of(made)))
    shown = read(servers, "http://127.0.0.1:1", made, "--value", "avro")
    assert (shown.code, shown.out) == (3, "")
    assert "no schema registry answers at http://127.0.0.1:1" in shown.err


def test_lines_are_encoded_with_the_schema_that_is_registered_for_them(servers, url, client, made, schema_file):
    line = json.dumps(SHOWN)
    words = ("produce", made, "--value", "avro", "-r", url)
    first = moldau(*words, "--schema", schema_file, text=f"{line}\n", servers=servers)
    assert first.code == 0, first.err
    newest = moldau(*words, "-K", "|", text=f"k|{line}\n", servers=servers)
    assert newest.code == 0, newest.err
    shown = read(servers, url, made, "-o", "jsonl").lines
    assert [one["key"] for one in shown] == [None, "k"]
    decoded = read(servers, url, made, "--value", "avro", "-o", "jsonl")
    assert [one["value"] for one in decoded.lines] == [SHOWN, SHOWN]
    again = moldau(*words, "--json", text=decoded.out, servers=servers)
    assert again.code == 0, again.err
    assert len(read(servers, url, made, "--value", "avro").out.splitlines()) == 4


def test_theirs_reads_what_produce_encoded(servers, url, client, made, schema_file):
    words = ("produce", made, "--value", "avro", "-r", url, "--schema", schema_file)
    assert moldau(*words, text=json.dumps(SHOWN), servers=servers).code == 0
    content = read(servers, url, made, "-F", "%v{hex}")
    assert AvroDeserializer(client)(bytes.fromhex(content.out), value_of(made)) == VALUE


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"cents": 2**63}, "cents: 9223372036854775808 is no long"),
        ({"cents": "1"}, 'cents: "1" is no long'),
        ({"total": "x"}, 'total: "x" is no decimal'),
        ({"total": "1.005"}, "total: 1.005 has more than 2 digits behind the point"),
        ({"state": "GONE"}, 'state: "GONE" is none of the symbols of State: NEW, PAID'),
        ({"at": "yesterday"}, 'at: "yesterday" is no timestamp-micros'),
        ({"at": "2026-01-31T12:00:00"}, "is no timestamp-micros"),
        ({"who": []}, "who: [] is none of null, long, string"),
        ({"colour": "red"}, "colour: Order has no such field, only id, cents"),
    ],
)
def test_a_line_that_is_no_value_is_told_with_its_number(servers, url, made, schema_file, change, said):
    text = f"{json.dumps(SHOWN)}\n{json.dumps({**SHOWN, **change})}\n"
    words = ("produce", made, "--value", "avro", "-r", url, "--schema", schema_file)
    refused = moldau(*words, text=text, servers=servers)
    assert refused.code == 2
    assert f"line 2: {said}" in refused.err or ("line 2: " in refused.err and said in refused.err)
    assert len(read(servers, url, made, "--value", "avro").out.splitlines()) == 1


def test_missing_fields_and_broken_json_are_told(servers, url, made, schema_file):
    words = ("produce", made, "--value", "avro", "-r", url, "--schema", schema_file)
    missing = moldau(*words, text='{"id": "x"}', servers=servers)
    assert "line 1: cents: it is missing, and the schema has no default for it" in missing.err
    broken = moldau(*words, text="{", servers=servers)
    assert (broken.code, "line 1: Expecting property name" in broken.err) == (2, True)


def test_a_branch_is_said_as_avros_own_json_says_it(servers, url, client, made, tmp_path):
    file = tmp_path / "u.avsc"
    file.write_text(json.dumps(["int", "long", "string"]))
    words = ("produce", made, "--value", "avro", "-r", url, "--schema", str(file))
    assert moldau(*words, text='5\n{"long": 5}\n"x"\n', servers=servers).code == 0
    branches = read(servers, url, made, "-F", "%v{hex}\\n").out.split()
    assert [bytes.fromhex(one)[5] // 2 for one in branches] == [0, 1, 2]


def test_a_subject_that_nobody_knows_is_told(servers, url, client, made):
    subject = f"s-{uuid.uuid4().hex[:8]}"
    words = ("produce", made, "--value", "avro", "-r", url, "--subject", subject)
    unknown = moldau(*words, text="1", servers=servers)
    assert unknown.code == 1
    assert f"has no schema for {subject}" in unknown.err
    client.register_schema(subject, Schema('{"type": "object"}', "JSON"))
    other = moldau(*words, text="1", servers=servers)
    assert f"the newest schema of {subject} is JSON, not AVRO" in other.err
    lone = moldau("produce", made, "--subject", subject, text="1", servers=servers)
    assert (lone.code, "add --value avro" in lone.err) == (2, True)


CLOSED = {"type": "object", "properties": {"cents": {"type": "integer"}}, "additionalProperties": False}
PROTO = """
syntax = "proto3";
package shop;
message Order { string id = 1; int64 cents = 2; Line line = 3; message Line { int32 count = 1; } }
message Refund { int64 cents = 1; }
"""


@pytest.mark.parametrize(
    ("form", "name", "schema", "line", "shown"),
    [
        ("json-schema", "o.json", json.dumps(CLOSED), {"cents": 2**62}, {"cents": 2**62}),
        ("protobuf", "o.proto", PROTO, {"id": "x", "cents": 2**62}, {"id": "x", "cents": str(2**62)}),
        ("avro", "o.avsc", json.dumps(ORDER), SHOWN, SHOWN),
    ],
)
def test_keys_and_values_are_encoded_in_every_language(servers, url, made, tmp_path, form, name, schema, line, shown):
    file, key = tmp_path / name, tmp_path / "key.avsc"
    file.write_text(schema)
    key.write_text('"string"')
    words = ("produce", made, "-r", url, "--value", form, "--key-as", "avro", "-K", "|")
    text = f"customer-1|{json.dumps(line)}\n"
    first = moldau(*words, "--schema", str(file), "--key-schema", str(key), text=text, servers=servers)
    assert first.code == 0, first.err
    newest = moldau(*words[:4], "--value", "registry", "--key-as", "registry", *words[8:], text=text, servers=servers)
    assert newest.code == 0, newest.err
    read_back = read(servers, url, made, "--value", form, "--key-as", "avro", "-o", "jsonl")
    assert [(one["key"], one["value"]) for one in read_back.lines] == [("customer-1", shown)] * 2
    again = moldau(*words[:8], "--json", text=read_back.out, servers=servers)
    assert again.code == 0, again.err
    assert len(read(servers, url, made, "--value", form, "--key", "avro").out.splitlines()) == 4


def test_theirs_reads_json_and_protobuf_that_produce_encoded(servers, url, client, made, tmp_path):
    file, proto = tmp_path / "o.json", tmp_path / "o.proto"
    file.write_text(json.dumps(CLOSED))
    proto.write_text(PROTO)
    for form, given, text in (("json-schema", file, '{"cents": 5}'), ("protobuf", proto, '{"cents": "5"}')):
        words = ("--subject", f"{made}-{form}", "--schema", str(given), "-r", url)
        refund = ("--message", "shop.Refund") if form == "protobuf" else ()
        done = moldau("produce", made, "--value", form, *words, *refund, text=text, servers=servers)
        assert done.code == 0, done.err
    in_json, in_protobuf = map(bytes.fromhex, read(servers, url, made, "-F", "%v{hex}\\n").out.split())
    assert JSONDeserializer(json.dumps(CLOSED))(in_json, value_of(made)) == {"cents": 5}
    pool = DescriptorPool()
    message = FileDescriptorProto(name="r.proto", package="shop", syntax="proto3").message_type.add(name="Refund")
    message.field.add(name="cents", number=1, type=FieldDescriptorProto.TYPE_INT64, label=1)
    file_of_one = FileDescriptorProto(name="r.proto", package="shop", syntax="proto3", message_type=[message])
    pool.Add(file_of_one)
    refund = GetMessageClass(pool.FindMessageTypeByName("shop.Refund"))
    assert in_protobuf[5:7] == b"\x02\x02"
    assert ProtobufDeserializer(refund, {"use.deprecated.format": False})(in_protobuf, value_of(made)).cents == 5
    assert json.loads(read(servers, url, made, "--value", "registry").out.splitlines()[1]) == {"cents": "5"}


def test_json_and_protobuf_that_do_not_fit_are_told_with_their_line(servers, url, made, tmp_path):
    file, proto = tmp_path / "o.json", tmp_path / "o.proto"
    file.write_text(json.dumps(CLOSED))
    proto.write_text(PROTO)

    def refused(form: str, given: Any, text: str, *more: str) -> str:
        words = ("--subject", f"{made}-{form}", "--schema", str(given), "-r", url, *more)
        ended = moldau("produce", made, "--value", form, *words, text=text, servers=servers)
        assert ended.code == 2, ended.err
        return ended.err

    assert "line 2: $.cents: 'x' is not of type 'integer'" in refused("json-schema", file, '{}\n{"cents": "x"}')
    assert "line 1: NaN is no JSON" in refused("json-schema", file, "NaN")
    assert "line 1: no shop.Order: " in refused("protobuf", proto, '{"nobody": 1}')
    assert "no message Nobody, only Order, Order.Line, Refund" in refused(
        "protobuf", proto, "{}", "--message", "Nobody"
    )
    assert "--message names a message of a .proto file" in refused("json-schema", file, "{}", "--message", "Order")


def test_the_key_of_all_records_and_of_a_tombstone_is_encoded_too(servers, url, made, tmp_path):
    key = tmp_path / "key.avsc"
    key.write_text('"long"')
    words = ("produce", made, "-r", url, "--key-as", "avro", "--key-schema", str(key))
    assert moldau(*words, "--key", "7", text="x\n", servers=servers).code == 0
    # Its value is nothing, so nobody is asked for a schema of values.
    assert moldau(*words, "--key", "8", "--tombstone", "--value", "avro", servers=servers).code == 0
    shown = read(servers, url, made, "--key", "avro", "-o", "jsonl").lines
    assert [(one["key"], one["value"]) for one in shown] == [(7, "x"), (8, None)]
    wrong = moldau(*words, "--key", "seven", text="x\n", servers=servers)
    assert (wrong.code, "--key: " in wrong.err) == (2, True)
    line = moldau(*words, "-K", "|", text="seven|x\n", servers=servers)
    assert (line.code, "line 1: the key: " in line.err) == (2, True)
    lone = moldau("produce", made, "--key-subject", "s", text="1", servers=servers)
    assert (lone.code, "add --key-as avro" in lone.err) == (2, True)


def test_a_package_of_the_extra_that_is_not_there_is_named(servers, url, made, tmp_path, monkeypatch):
    file = tmp_path / "o.json"
    file.write_text(json.dumps(CLOSED))
    command = ("produce", made, "--value", "json-schema", "-r", url)
    assert moldau(*command, "--schema", str(file), text='{"cents": 5}', servers=servers).code == 0
    monkeypatch.setitem(sys.modules, "jsonschema", None)
    done = moldau(*command, text='{"cents": 5}', servers=servers)
    assert done.code == 2
    assert "jsonschema" in done.err
    assert "hint: pip install 'moldau[registry]'" in done.err
