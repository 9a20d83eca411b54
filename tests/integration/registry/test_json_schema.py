"""How a JSON schema evolves over REST: levels, directions, policies, references, and what is said."""

from __future__ import annotations

import json
from typing import Any

from confluent_kafka.schema_registry import SchemaRegistryClient
from confluent_kafka.schema_registry.json_schema import JSONDeserializer, JSONSerializer
from confluent_kafka.serialization import MessageField, SerializationContext


def document(required: tuple[str, ...] = (), **properties: Any) -> dict[str, Any]:
    return {"title": "Order", "type": "object", "properties": properties, "required": list(required)}


STRING, INTEGER, NUMBER = ({"type": name} for name in ("string", "integer", "number"))
FIRST = {**document(("id",), id=STRING, cents=INTEGER), "additionalProperties": False}
WIDER = {**document(("id",), id=STRING, cents=NUMBER, note=STRING), "additionalProperties": False}


def refusal(registry: Any, subject: str, schema: Any, **more: Any) -> str:
    body = {"schema": json.dumps(schema), "schemaType": "JSON", **more}
    answer = registry.ask("POST", f"/subjects/{subject}/versions", body)
    assert (answer.status_code, answer.json()["error_code"]) == (409, 40901), answer.text
    return answer.json()["message"]


def test_each_level_looks_in_its_direction(registry):
    for level, allowed in (("BACKWARD", True), ("FORWARD", False), ("FULL", False), ("NONE", True)):
        subject = f"json-{level}"
        registry.ask("PUT", f"/config/{subject}", {"compatibility": level})
        registry.register(subject, FIRST, schemaType="JSON")
        if allowed:
            registry.register(subject, WIDER, schemaType="JSON")
        else:
            assert "readers with version 1 cannot read data of the new schema" in refusal(registry, subject, WIDER)


def test_a_refusal_names_the_rule_the_place_and_the_version(registry):
    registry.register("json-refused", FIRST, schemaType="JSON")
    message = refusal(registry, "json-refused", {**FIRST, "properties": {"id": INTEGER, "cents": INTEGER}})
    assert "TYPE_CHANGED" in message
    assert "/properties/id/type" in message
    assert "the new schema cannot read data of version 1" in message


def test_transitive_looks_at_every_version(registry):
    for level, code in (("BACKWARD", 200), ("BACKWARD_TRANSITIVE", 409)):
        subject = f"json-{level}-of-three"
        registry.ask("PUT", f"/config/{subject}", {"compatibility": "NONE"})
        registry.register(subject, document(a=STRING), schemaType="JSON")
        registry.register(subject, document(b=STRING), schemaType="JSON")
        registry.ask("PUT", f"/config/{subject}", {"compatibility": level})
        body = {"schema": json.dumps(document(a=INTEGER, b=STRING)), "schemaType": "JSON"}
        registry.ask("PUT", f"/config/{subject}", {"compatibility": level, "compatibilityPolicy": "LENIENT"})
        assert registry.ask("POST", f"/subjects/{subject}/versions", body).status_code == code


def test_the_policy_decides_about_a_property_added_to_an_open_model(registry):
    subject = "json-policy"
    registry.register(subject, document(id=STRING), schemaType="JSON")
    added = document(id=STRING, note=STRING)
    assert "PROPERTY_ADDED_TO_OPEN_CONTENT_MODEL" in refusal(registry, subject, added)
    registry.ask("PUT", f"/config/{subject}", {"compatibility": "BACKWARD", "compatibilityPolicy": "LENIENT"})
    assert registry.register(subject, added, schemaType="JSON")


def test_what_is_referred_to_is_compared(registry):
    registry.ask("PUT", "/config/json-customer", {"compatibility": "NONE"})
    for schema in (document(name=STRING), document(name=INTEGER)):
        registry.register("json-customer", schema, schemaType="JSON")
    order = {"type": "object", "properties": {"by": {"$ref": "customer.json"}}, "additionalProperties": False}
    references = [{"name": "customer.json", "subject": "json-customer", "version": 1}]
    registry.register("json-order", order, schemaType="JSON", references=references)
    newer = [{**references[0], "version": 2}]
    assert "TYPE_CHANGED" in refusal(registry, "json-order", order, references=newer)


def test_a_reader_of_the_new_schema_reads_what_was_written_before(registry):
    client = SchemaRegistryClient({"url": registry.url})
    context = SerializationContext("json-evolving", MessageField.VALUE)
    before = JSONSerializer(json.dumps(FIRST), client)({"id": "a", "cents": 5}, context)
    after = JSONSerializer(json.dumps(WIDER), client)({"id": "b", "cents": 0.5, "note": "x"}, context)
    read = JSONDeserializer(json.dumps(WIDER), schema_registry_client=client)
    assert [read(each, context)["id"] for each in (before, after)] == ["a", "b"]
    assert registry.get("/subjects/json-evolving-value/versions") == [1, 2]
