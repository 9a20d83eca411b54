"""Registering: ids, versions, what is the same, what is refused."""

from __future__ import annotations

import pytest
from tests.unit.registry.core import Core, record, registration

from moldau.registry.decisions import configs, deletions, modes
from moldau.registry.errors import IncompatibleError, RegistryError

ONE = record(("a", "int"))
TWO = record(("a", "int"), ("b", "int", 0))
BROKEN = record(("a", "int"), ("c", "int"))


@pytest.fixture
def core() -> Core:
    return Core()


def refused(code: int):
    return pytest.raises(RegistryError, check=lambda error: error.code == code)


def test_ids_go_up_and_the_same_schema_keeps_its_id(core):
    first = core.register("s", ONE)
    assert (first.id, first.version) == (1, 1)
    again = core.register("s", ONE)
    assert (again.id, again.version) == (1, 1)
    assert (core.register("s", TWO).id, core.register("t", ONE).id, core.register("t", TWO).version) == (2, 1, 2)


def test_what_differs_in_white_space_is_the_same(core):
    core.register("s", '{"type": "string"}')
    assert core.register("s", '"string"').version == 1


def test_contexts_have_ids_of_their_own(core):
    core.register("s", ONE)
    core.register("s", TWO)
    assert core.register(":.ctx:s", TWO).id == 1
    assert core.state.contexts == {".ctx"}


def test_an_incompatible_schema_is_refused_with_the_field_and_the_rule(core):
    core.register("s", ONE)
    with refused(40901) as refusal:
        core.register("s", BROKEN)
    assert "READER_FIELD_MISSING_DEFAULT_VALUE" in str(refusal.value)
    assert "/fields/1" in str(refusal.value)
    assert "version 1" in str(refusal.value)
    assert len(core.state.versions("s")) == 1


@pytest.mark.parametrize(
    ("level", "schemas", "verdict"),
    [
        ("BACKWARD", [ONE, TWO], True),
        ("BACKWARD", [ONE, BROKEN], False),
        ("FORWARD", [ONE, BROKEN], True),
        ("FORWARD", [BROKEN, ONE], False),
        ("FULL", [ONE, TWO], True),
        ("FULL", [ONE, BROKEN], False),
        ("NONE", [ONE, "string"], True),
        # The last version reads well, the first does not: only the transitive level sees it.
        ("BACKWARD", [record(("a", "string")), record(), record(("a", "int", 0))], True),
        ("BACKWARD_TRANSITIVE", [record(("a", "string")), record(), record(("a", "int", 0))], False),
        ("FORWARD", [record(("a", "string", "")), record(), record(("a", "int"))], True),
        ("FORWARD_TRANSITIVE", [record(("a", "string", "")), record(), record(("a", "int"))], False),
        ("FULL_TRANSITIVE", [record(("a", "string", "")), record(), record(("a", "int", 0))], False),
    ],
)
def test_levels_compare_in_their_direction_with_their_versions(core, level, schemas, verdict):
    core.carry_out(configs.set_config(core.state, "s", {"compatibility": "NONE"}))
    for schema in schemas[:-1]:
        core.register("s", schema)
    core.carry_out(configs.set_config(core.state, "s", {"compatibility": level}))
    if verdict:
        core.register("s", schemas[-1])
    else:
        with refused(40901):
            core.register("s", schemas[-1])


def test_a_schema_of_another_language_is_no_next_version(core):
    core.register("s", ONE)
    with refused(40901):
        core.register("s", "{}", language="JSON")


def test_an_unknown_language_is_refused(core):
    with refused(42201):
        core.register("s", "{}", language="THRIFT")


@pytest.mark.parametrize("text", ["", "  ", "{", "17"])
def test_what_is_no_schema_is_refused(core, text):
    with refused(42201):
        core.register("s", text)


def test_ids_are_never_given_twice_even_when_their_schema_is_gone_and_the_log_is_compacted(core):
    core.register("s", ONE)
    core.register("t", TWO)
    core.carry_out(deletions.delete_subject(core.state, "t", permanent=False))
    core.carry_out(deletions.delete_subject(core.state, "t", permanent=True))
    for later in (core, core.restarted(), core.restarted(compacted=True)):
        assert later.register("u", record(("z", "int"))).id == 3


def test_reading_the_log_anew_gives_the_same(core):
    core.register("s", ONE)
    core.register("s", TWO)
    core.register(":.ctx:s", ONE)
    core.carry_out(configs.set_config(core.state, "s", {"compatibility": "FULL", "alias": "t"}))
    core.carry_out(deletions.delete_version(core.state, "s", 1, permanent=False))
    for again in (core.restarted(), core.restarted(compacted=True)):
        assert again.state.subjects(deleted=True) == core.state.subjects(deleted=True)
        assert again.state.versions("s", deleted=True) == core.state.versions("s", deleted=True)
        assert again.state.config("s") == core.state.config("s")
        assert again.state.contexts == core.state.contexts
        assert again.state.max_ids == core.state.max_ids


def test_a_soft_deleted_schema_comes_back_with_its_id_as_a_new_version(core):
    core.register("s", ONE)
    core.carry_out(deletions.delete_subject(core.state, "s", permanent=False))
    again = core.register("s", ONE)
    assert (again.id, again.version) == (1, 2)
    assert [value.version for value in core.state.versions("s", deleted=True)] == [2]


def test_references_are_looked_up_pinned_and_protect_what_they_refer_to(core):
    core.register("customer", record(("id", "long"), name="Customer"))
    order = core.register("order", record(("by", "Customer"), name="Order"), references=[("Customer", "customer", -1)])
    assert order.schema.references[0].version == 1
    with refused(42206):
        deletions.delete_version(core.state, "customer", 1, permanent=False)
    with refused(42206):
        deletions.delete_subject(core.state, "customer", permanent=False)
    core.carry_out(deletions.delete_subject(core.state, "order", permanent=False))
    core.carry_out(deletions.delete_subject(core.state, "customer", permanent=False))
    with refused(42206):
        deletions.delete_subject(core.state, "customer", permanent=True)


def test_a_schema_with_its_references_written_out_is_the_same(core):
    core.register("customer", record(("id", "long"), name="Customer"))
    core.register("order", record(("by", "Customer"), name="Order"), references=[("Customer", "customer", 1)])
    whole = record(("by", record(("id", "long"), name="Customer")), name="Order")
    assert core.registrar.look_up(registration("order", whole), deleted=False).version == 1
    assert core.register("order", whole).version == 1


def test_a_reference_to_nothing_is_refused(core):
    with refused(42201):
        core.register("order", record(("by", "Customer")), references=[("Customer", "customer", 1)])


def test_a_bomb_of_references_is_no_larger_than_the_number_of_its_schemas(core):
    core.register("s0", record(name="R0"))
    for level in range(1, 40):
        fields = [(f"f{side}", f"R{level - 1}") for side in range(2)]
        names = [(f"R{each}", f"s{each}", 1) for each in (level - 1, max(level - 2, 0))]
        core.register(f"s{level}", record(*fields, name=f"R{level}"), references=list(dict.fromkeys(names)))
    assert len(core.parser.resolve("s39", core.state.latest("s39").schema.references)) == 39


def test_references_nested_without_end_are_refused(core):
    core.register("s0", record(name="R0"))
    with refused(42201) as refusal:
        for level in range(1, 200):
            core.register(
                f"s{level}",
                record(("f", f"R{level - 1}"), name=f"R{level}"),
                references=[(f"R{level - 1}", f"s{level - 1}", 1)],
            )
    assert "nested deeper" in str(refusal.value)


def test_unions_too_large_to_be_compared_are_refused_and_not_computed_for_minutes(core):
    def union(prefix: str) -> list[dict]:
        return [record(("a", "int"), name=f"{prefix}{number}") for number in range(2000)]

    core.register("s", union("A"))
    with refused(42201) as refusal:
        core.register("s", union("B"))
    assert "comparisons" in str(refusal.value)


def test_modes_say_who_may_write(core):
    core.register("s", ONE)
    core.carry_out(modes.set_mode(core.state, "s", "READONLY", force=False))
    with refused(42205):
        core.register("s", TWO)
    with refused(42205):
        deletions.delete_subject(core.state, "s", permanent=False)
    with refused(42205):
        core.register("t", TWO, id=17)
    with refused(42205):
        modes.set_mode(core.state, None, "IMPORT", force=False)
    core.carry_out(modes.set_mode(core.state, "t", "IMPORT", force=False))
    assert core.register("t", TWO, id=17, version=4).version == 4
    assert core.state.next_id(".") == 18
    with refused(42205):
        core.register("t", BROKEN, id=17, version=5)
    with refused(42205):
        core.register("t", BROKEN)


def test_metadata_and_rules_are_part_of_what_a_schema_is_and_go_on_to_the_next_version(core):
    first = core.register("s", ONE, metadata={"properties": {"owner": "me"}})
    assert core.register("s", ONE, metadata={"properties": {"owner": "you"}}).id != first.id
    assert core.register("s", TWO).schema.metadata == {"properties": {"owner": "you"}}


def test_compatibility_groups_are_compared_among_themselves(core):
    core.carry_out(configs.set_config(core.state, "s", {"compatibilityGroup": "major"}))
    core.register("s", ONE, metadata={"properties": {"major": "1"}})
    core.register("s", "string", metadata={"properties": {"major": "2"}})
    with refused(40901):
        core.register("s", "int", metadata={"properties": {"major": "2"}})


def test_normalizing_finds_what_means_the_same(core):
    core.register("s", '{"type":"string","b":1,"a":2}', normalize=True)
    assert core.register("s", '{"type":"string","a":2,"b":1}', normalize=True).version == 1
    assert core.register("s", '{"type":"string","b":1,"a":2}').version == 2


def test_a_protobuf_text_and_its_descriptor_are_one_version_and_with_normalize_one_id():
    core = Core()
    text = 'syntax = "proto3"; package p; message A { B b = 1; map<string, B> m = 2; } message B {}'
    first = core.register("s", text, language="PROTOBUF")
    descriptor = core.parser.parse_value(first).formatted("serialized")
    assert core.register("s", descriptor, language="PROTOBUF") == first
    assert core.restarted().register("s", descriptor, language="PROTOBUF").id == first.id
    one = core.register("one", text, language="PROTOBUF", normalize=True)
    other = core.register("other", descriptor, language="PROTOBUF", normalize=True)
    assert (one.id, one.md5) == (other.id, other.md5)


def test_a_protobuf_schema_that_would_break_readers_is_refused():
    core = Core()
    core.register("s", "message A { optional int32 a = 1; }", language="PROTOBUF")
    core.register("s", "message A { optional int64 a = 1; }", language="PROTOBUF")
    with pytest.raises(IncompatibleError) as refusal:
        core.register("s", "message A { optional string a = 1; }", language="PROTOBUF")
    assert "FIELD_SCALAR_KIND_CHANGED" in refusal.value.message
