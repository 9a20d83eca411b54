"""The REST interface: shapes, codes, contexts, and what bad input gets."""

from __future__ import annotations

import json

import pytest

from moldau.registry.rest.routes import ROUTES

STRING = '"string"'
ONE = {"type": "record", "name": "R", "fields": [{"name": "a", "type": "int"}]}
BROKEN = {"type": "record", "name": "R", "fields": [{"name": "b", "type": "int"}]}


def test_a_registration_is_answered_and_read_back_by_every_name_it_has(registry):
    answer = registry.ask("POST", "/subjects/named/versions", {"schema": '{"type": "string"}'}).json()
    schema_id, guid = answer["id"], answer["guid"]
    assert (answer["version"], answer["schemaType"], answer["schema"]) == (1, "AVRO", STRING)
    version = registry.get("/subjects/named/versions/1")
    assert (version["subject"], version["version"], version["id"], version["guid"]) == ("named", 1, schema_id, guid)
    assert registry.get("/subjects/named/versions/latest") == registry.get("/subjects/named/versions/-1") == version
    assert registry.ask("GET", "/subjects/named/versions/1/schema").text == STRING
    assert registry.get(f"/schemas/ids/{schema_id}")["schema"] == STRING
    assert registry.ask("GET", f"/schemas/ids/{schema_id}/schema").text == STRING
    assert "named" in registry.get(f"/schemas/ids/{schema_id}/subjects")
    assert {"subject": "named", "version": 1} in registry.get(f"/schemas/ids/{schema_id}/versions")
    assert registry.get(f"/schemas/guids/{guid}")["schema"] == STRING
    assert registry.get(f"/schemas/guids/{guid}/ids") == [{"context": ".", "id": schema_id}]
    assert registry.ask("POST", "/subjects/named", {"schema": STRING}).json()["version"] == 1
    assert version in registry.get("/schemas?subjectPrefix=named&latestOnly=true")


def test_the_content_type_is_that_of_a_registry_unless_plain_json_is_asked_for(registry):
    assert registry.ask("GET", "/subjects").headers["content-type"] == "application/vnd.schemaregistry.v1+json"
    accept = {"accept": "application/vnd.schemaregistry.v1+json, application/vnd.schemaregistry+json, application/json"}
    assert "v1+json" in registry.ask("GET", "/subjects", headers=accept).headers["content-type"]
    plain = registry.ask("GET", "/subjects", headers={"accept": "application/json"})
    assert plain.headers["content-type"] == "application/json"


@pytest.mark.parametrize(
    ("method", "path", "body", "refusal"),
    [
        ("GET", "/subjects/nobody/versions", None, (404, 40401)),
        ("GET", "/subjects/nobody/versions/1", None, (404, 40401)),
        ("GET", "/subjects/refusing/versions/99", None, (404, 40402)),
        ("GET", "/schemas/ids/999999", None, (404, 40403)),
        ("GET", "/schemas/ids/x", None, (422, 422)),
        ("GET", "/schemas/guids/nonsense", None, (404, 40403)),
        ("POST", "/subjects/refusing", {"schema": '"int"'}, (404, 40403)),
        ("DELETE", "/subjects/refusing?permanent=true", None, (404, 40405)),
        ("DELETE", "/subjects/refusing/versions/1?permanent=true", None, (404, 40407)),
        ("GET", "/config/refusing", None, (404, 40408)),
        ("GET", "/mode/refusing", None, (404, 40409)),
        ("GET", "/associations/resources/-/refusing?resourceType=topic", None, (404, 40410)),
        ("POST", "/subjects/refusing/versions", {"schema": json.dumps(BROKEN)}, (409, 40901)),
        ("POST", "/subjects/refusing/versions", {"schema": "{"}, (422, 42201)),
        ("POST", "/subjects/refusing/versions", {"schema": STRING, "schemaType": "THRIFT"}, (422, 42201)),
        ("POST", "/subjects/refusing/versions", {"schema": ONE}, (422, 422)),
        ("GET", "/subjects/refusing/versions/0", None, (422, 42202)),
        ("GET", "/subjects/refusing/versions/first", None, (422, 42202)),
        ("GET", "/subjects/refusing/versions/99999999999", None, (422, 42202)),
        ("PUT", "/config", {"compatibility": "SIDEWAYS"}, (422, 42203)),
        ("PUT", "/mode", {"mode": "SIDEWAYS"}, (422, 42204)),
        ("PUT", "/mode", {"mode": "IMPORT"}, (422, 42205)),
        ("POST", "/subjects/refusing/versions", {"schema": STRING, "id": 5}, (422, 42205)),
        ("POST", "/subjects/__GLOBAL/versions", {"schema": STRING}, (422, 42208)),
        ("GET", "/nowhere", None, (404, 404)),
        ("PUT", "/subjects", None, (405, 405)),
    ],
)
def test_what_is_refused_has_confluents_status_and_code(registry, method, path, body, refusal):
    registry.register("refusing", ONE)
    assert registry.refused(method, path, body) == refusal


@pytest.mark.parametrize(
    ("content", "status"),
    [
        (b"", 400),
        (b"{", 400),
        (b'{"schema": "\xff"}', 400),
        (b'{"schema": "\\ud800"}', 400),
        (b"[" * 100_000, 400),
        (b"[]", 422),
        (b'{"schema": "' + b"x" * 10_000_000 + b'"}', 422),
        (b"x" * 20_000_000, 413),
    ],
)
def test_a_body_that_is_none_is_told_so(registry, content, status):
    answer = registry.ask("POST", "/subjects/bad/versions", content=content)
    assert (answer.status_code, answer.json()["message"] != "") == (status, True)
    assert registry.ask("GET", "/subjects/bad/versions").status_code == 404


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/associations/subjects/orders-value"),
        ("GET", "/associations/resources/-/orders?resourceType=topic&associationType=value"),
        ("GET", "/associations/resources/lkc-1:orders"),
        ("PUT", "/associations/resources/lkc-1:orders"),
        ("DELETE", "/associations/resources/lkc-1:orders?resourceType=topic&cascadeLifecycle=true"),
        ("POST", "/associations"),
        ("PUT", "/associations"),
        ("POST", "/associations:batch"),
        ("POST", "/associations:batchGet"),
        ("POST", "/associations:batchMutate"),
    ],
)
def test_whoever_asks_for_an_association_hears_that_there_is_none_and_never_that_one_may_not_ask(
    registry, method, path
):
    # The default serializer of confluent-kafka asks first; any answer but 404 ends its first value with an error.
    assert registry.refused(method, path, None if method in ("GET", "DELETE") else {}) == (404, 40410)
    assert registry.refused(method, f"/contexts/.other{path}") == (404, 40410)


def test_booleans_are_understood_as_python_writes_them(registry):
    registry.register("python", ONE)
    registry.ask("DELETE", "/subjects/python")
    assert registry.get("/subjects/python/versions?deleted=True") == [1]
    assert registry.ask("GET", "/subjects/python/versions?deleted=False").status_code == 404


def test_a_subject_may_have_any_letters_in_it(registry):
    for subject in ("a%2Fb", "%C3%A4%20b", "a%25b"):
        registry.register(subject, STRING)
        assert registry.get(f"/subjects/{subject}/versions") == [1]
    assert {"a/b", "ä b", "a%b"} <= set(registry.get("/subjects"))
    assert registry.ask("GET", "/subjects/%FF/versions").status_code == 400


def test_contexts_are_named_in_the_subject_or_before_the_path(registry):
    registry.register(":.ctx:inside", STRING)
    assert ".ctx" in registry.get("/contexts")
    assert registry.get("/contexts/.ctx/subjects") == [":.ctx:inside"]
    assert registry.get("/contexts/.ctx/subjects/inside/versions") == [1]
    assert registry.get("/contexts/.ctx/schemas/ids/1")["schema"] == STRING
    assert "inside" not in registry.get("/subjects?subjectPrefix=inside")
    registry.ask("PUT", "/contexts/.ctx/config", {"compatibility": "FULL"})
    assert registry.get("/config/:.ctx:")["compatibilityLevel"] == "FULL"
    assert registry.get("/config")["compatibilityLevel"] == "BACKWARD"
    assert registry.refused("DELETE", "/contexts/:.ctx:") == (422, 42211)


def test_a_verbose_check_names_the_rule_and_the_path(registry):
    registry.register("checked", ONE)
    path = "/compatibility/subjects/checked/versions"
    for each in (path, f"{path}/latest", f"{path}/1"):
        verdict = registry.ask("POST", f"{each}?verbose=true", {"schema": json.dumps(BROKEN)}).json()
        assert verdict["is_compatible"] is False
        assert "READER_FIELD_MISSING_DEFAULT_VALUE" in verdict["messages"][0]
        assert "/fields/0" in verdict["messages"][0]
    assert registry.ask("POST", path, {"schema": json.dumps(ONE)}).json() == {"is_compatible": True}
    assert registry.refused("POST", f"{path}/99", {"schema": STRING}) == (404, 40402)


def test_an_alias_stands_for_its_subject(registry):
    registry.register("real", ONE)
    registry.ask("PUT", "/config/other-name", {"alias": "real"})
    assert registry.get("/subjects/other-name/versions/1")["subject"] == "real"


def test_references_are_listed_where_they_point(registry):
    registry.register("target", {"type": "record", "name": "T", "fields": []})
    user = {"type": "record", "name": "U", "fields": [{"name": "t", "type": "T"}]}
    references = [{"name": "T", "subject": "target", "version": 1}]
    schema_id = registry.register("user", user, references=references)
    assert registry.get("/subjects/target/versions/1/referencedby") == [schema_id]
    assert registry.refused("DELETE", "/subjects/target") == (422, 42206)
    resolved = registry.get(f"/schemas/ids/{schema_id}?format=resolved")["schema"]
    assert json.loads(resolved)["fields"][0]["type"]["name"] == "T"


def test_every_endpoint_has_a_sentence():
    assert all(route.summary for route in ROUTES)
