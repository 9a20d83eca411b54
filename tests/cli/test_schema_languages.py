"""`moldau schema` in JSON Schema and Protobuf: a schema is registered, changed, refused, compared, as in Avro."""

from __future__ import annotations

import json
import uuid

import pytest
from tests.cli.conftest import moldau

from moldau.registry.service import RegistryThread
from moldau.registry.settings import RegistrySettings


def document(**properties: str) -> str:
    closed = {"type": "object", "additionalProperties": False}
    return json.dumps({**closed, "properties": {name: {"type": kind} for name, kind in properties.items()}}, indent=2)


def proto(*fields: str) -> str:
    return 'syntax = "proto3";\npackage shop;\n\nmessage Order {\n' + "".join(f"  {each};\n" for each in fields) + "}\n"


# For each language: its file names, a schema, one that may follow it, one that may not, and what is said of that.
LANGUAGES = {
    "JSON": (
        "order.json",
        document(id="string", cents="integer"),
        document(id="string", cents="number", note="string"),
        document(id="string", cents="string"),
        ("/properties/cents/type", "[TYPE_CHANGED]"),
        '+    "note": {',
    ),
    "PROTOBUF": (
        "order.proto",
        proto("string id = 1", "int32 cents = 2"),
        proto("string id = 1", "int64 cents = 2", "string note = 3"),
        proto("string id = 1", "string cents = 2"),
        ("/Order/2", "the field 'cents' was written as int32", "[FIELD_SCALAR_KIND_CHANGED]"),
        "+  string note = 3;",
    ),
}


@pytest.fixture(scope="module")
def url(servers):
    settings = RegistrySettings(servers, port=0, topic="_schemas-languages", group_id="languages")
    with RegistryThread(settings) as running:
        yield running.url


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_schema_lives_its_life(url, tmp_path, language):
    name, first, second, broken, told, added = LANGUAGES[language]
    subject, file = f"s-{uuid.uuid4().hex[:8]}", tmp_path / name

    def run(*words: str, text: str = ""):
        if text:
            file.write_text(text)
        return moldau("schema", *words, "-r", url)

    on_file = (str(file), "-s", subject)
    assert run("register", *on_file, text=first).code == 0
    allowed = run("check", *on_file, text=second)
    assert (allowed.code, "BACKWARD allows it" in allowed.err) == (0, True)
    assert run("register", *on_file).code == 0
    refused = run("check", *on_file, text=broken)
    assert refused.code == 1
    assert "consumers with this schema could not read what was written with version 2" in refused.out
    for words in told:
        assert words.replace("int32", "int64") in refused.out
    assert run("register", *on_file).code == 1
    shown = run("diff", subject, "1", "2")
    assert added in shown.out
    assert "version 2 can read what was written with 1" in shown.out
    assert run("compat", subject, "--set", "NONE").code == 0
    assert run("register", *on_file).code == 0
    assert run("get", subject).out.strip() == broken.strip()


def test_a_broken_proto_file_is_told_with_line_and_column(url, tmp_path):
    file = tmp_path / "broken.proto"
    file.write_text(proto("string id = 1").replace("= 1", "= one"))
    for verb in ("check", "register"):
        refused = moldau("schema", verb, str(file), "-s", "broken", "-r", url)
        assert (refused.code, "line 5, column 15: expected the number of the field" in refused.err) == (1, True)


def test_references_of_proto_files_are_followed(url, tmp_path):
    customer, order = tmp_path / "customer.proto", tmp_path / "order.proto"
    customer.write_text('syntax = "proto3"; package people; message Customer { string name = 1; }')
    order.write_text('syntax = "proto3"; import "customer.proto"; message Order { people.Customer by = 1; }')
    assert moldau("schema", "register", str(customer), "-s", "customer", "-r", url).code == 0
    reference = ("--reference", "customer.proto=customer:1")
    assert moldau("schema", "register", str(order), "-s", "order", *reference, "-r", url).code == 0
    assert moldau("schema", "check", str(order), "-s", "order", *reference, "-r", url).code == 0
    refused = moldau("schema", "check", str(order), "-s", "order", "-r", url)
    assert (refused.code, '"customer.proto", and there is no reference' in refused.err) == (1, True)
