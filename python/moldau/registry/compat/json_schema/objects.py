"""Rules of objects.

An object schema is *open* if it takes properties that it does not speak of, *closed* if it does not
(`additionalProperties: false`), *partially open* if it takes some (a schema there, or `patternProperties`).
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

from moldau.registry.compat.json_schema.found import Comparison, Found, broken, step
from moldau.registry.compat.json_schema.node import Node, matching
from moldau.registry.compat.json_schema.values import at_least, at_most
from moldau.registry.compat.json_schema.writer import Writer, additional, is_false, says_nothing
from moldau.registry.languages.language import Incompatibility


def objects_have_enough_properties(comparison: Comparison, reader: Node, writer: Writer, path: str) -> Found:
    """Every object has `minProperties` properties; those that are required are there."""
    if "object" not in writer.kinds:
        return
    wanted = reader.number("minProperties")
    if wanted is not None and wanted > len(writer.required):
        yield from at_least("minProperties", "MIN_PROPERTIES", "objects of fewer properties than", reader, writer, path)


def objects_have_few_enough_properties(comparison: Comparison, reader: Node, writer: Writer, path: str) -> Found:
    """No object has more than `maxProperties` properties."""
    if "object" in writer.kinds:
        yield from at_most("maxProperties", "MAX_PROPERTIES", "objects of more properties than", reader, writer, path)


def what_is_required_was_written(comparison: Comparison, reader: Node, writer: Writer, path: str) -> Found:
    """A property that the reader requires was required before, or has a default to take its place."""
    if "object" not in writer.kinds:
        return
    properties = reader.named("properties")
    for name in reader.names("required"):
        if name in writer.required or (name in properties and properties[name].has("default")):
            continue
        rule = "REQUIRED_ATTRIBUTE_ADDED"
        if name not in writer.properties() and not any(says_nothing(each) for each in writer.at_property(name)):
            rule = "REQUIRED_PROPERTY_ADDED_TO_UNOPEN_CONTENT_MODEL"
        message = f"the property {name!r} need not have been written, and has no default to take its place"
        yield broken(rule, f"{path}/required", message, name)


def every_property_is_read(comparison: Comparison, reader: Node, writer: Writer, path: str) -> Found:
    """What was written under a name is what the reader takes under that name."""
    if "object" not in writer.kinds:
        return
    known = writer.properties()
    for name in [*reader.named("properties"), *sorted(known - reader.named("properties").keys())]:
        written = writer.at_property(name)
        if is_false(written):
            continue
        if name not in known:
            yield from _added(comparison, reader, name, written, path)
        elif name in reader.named("properties"):
            for expected in (reader.named("properties")[name], *matching(reader.named("patternProperties"), name)):
                yield from comparison.compare(expected, written, f"{path}/properties{step(name)}")
        else:
            yield from _removed(comparison, reader, name, written, path)


def _added(comparison: Comparison, reader: Node, name: str, written: Sequence[Node], path: str) -> Found:
    place = f"{path}/properties{step(name)}"
    expected = [reader.named("properties")[name], *matching(reader.named("patternProperties"), name)]
    found = [each for schema in expected for each in comparison.compare(schema, written, place)]
    if not found:
        return
    if all(says_nothing(each) for each in written):
        yield broken(
            "PROPERTY_ADDED_TO_OPEN_CONTENT_MODEL",
            place,
            f"the property {name!r} is new, and anything may have been written under its name before, "
            "because other properties were allowed",
            name,
        )
    else:
        yield broken(
            "PROPERTY_ADDED_NOT_COVERED_BY_PARTIALLY_OPEN_CONTENT_MODEL",
            place,
            f"the property {name!r} is new, and may have been written as something else: {found[0].message}",
            name,
        )


def _removed(comparison: Comparison, reader: Node, name: str, written: Sequence[Node], path: str) -> Found:
    place = f"{path}/properties{step(name)}"
    patterns = matching(reader.named("patternProperties"), name)
    expected = patterns or [additional(reader)]
    found = [each for schema in expected for each in comparison.compare(schema, written, place)]
    if not found:
        return
    if not patterns and expected[0].raw is False:
        message = f"the property {name!r} may have been written, and the reader takes none that it does not know"
        yield broken("PROPERTY_REMOVED_FROM_CLOSED_CONTENT_MODEL", place, message, name)
    else:
        rule = "PROPERTY_REMOVED_NOT_COVERED_BY_PARTIALLY_OPEN_CONTENT_MODEL"
        message = f"the property {name!r} may have been written, and the reader takes other values: {found[0].message}"
        yield broken(rule, place, message, name)


def every_further_property_is_read(comparison: Comparison, reader: Node, writer: Writer, path: str) -> Found:
    """Properties that neither speaks of by name: what the writer allows, the reader takes."""
    if "object" not in writer.kinds:
        return
    patterns = reader.named("patternProperties")
    place, expected = f"{path}/additionalProperties", additional(reader)
    if not writer.any(lambda node: additional(node).raw is False):
        found = comparison.compare(expected, [additional(node) for node in writer.nodes], place)
        yield from _further(expected, writer, found, place)
    for text in sorted({text for node in writer.nodes for text in node.named("patternProperties")} - patterns.keys()):
        if found := comparison.compare(expected, _under_pattern(writer, text), place):
            yield _pattern("PATTERN_PROPERTY_REMOVED", f"{path}/patternProperties{step(text)}", text, found)


def _further(expected: Node, writer: Writer, found: list[Incompatibility], place: str) -> Found:
    if not found:
        return
    if expected.raw is False:
        message = "properties with other names may have been written, and none are read"
        yield broken("ADDITIONAL_PROPERTIES_REMOVED", place, message)
    elif all(says_nothing(additional(node)) for node in writer.nodes):
        message = f"properties with other names may have been written as anything: {found[0].message}"
        yield broken("ADDITIONAL_PROPERTIES_NARROWED", place, message)
    else:
        yield from found


def _under_pattern(writer: Writer, text: str) -> list[Node]:
    """What holds for the properties of a pattern that nobody names; empty when nobody has the pattern.

    Its schemas, and what those without any pattern take as further properties. Those of other patterns may hold or not.
    """
    same = [schema for node in writer.nodes if (schema := node.named("patternProperties").get(text)) is not None]
    return same and same + [additional(node) for node in writer.nodes if not node.named("patternProperties")]


def patterns_of_names_are_read(comparison: Comparison, reader: Node, writer: Writer, path: str) -> Found:
    """What may have been written under names that match a pattern of the reader is what it takes there."""
    if "object" not in writer.kinds:
        return
    for text, expected in reader.named("patternProperties").items():
        place = f"{path}/patternProperties{step(text)}"
        same = _under_pattern(writer, text)
        if same:
            yield from comparison.compare(expected, same, place)
            continue
        # A name that matches may be one that the writer says nothing of, or one of any of its patterns.
        ways = [[additional(node) for node in writer.nodes]]
        ways += [[schema] for node in writer.nodes for schema in node.named("patternProperties").values()]
        for written in ways:
            if not is_false(written) and (found := comparison.compare(expected, written, place)):
                yield _pattern("PATTERN_PROPERTY_ADDED", place, text, found)
                break


def _pattern(rule: str, place: str, text: str, found: list[Incompatibility]) -> Incompatibility:
    message = f"properties that match {text!r} may have been written as something else: {found[0].message}"
    return broken(rule, place, message, text)


def every_name_is_read(comparison: Comparison, reader: Node, writer: Writer, path: str) -> Found:
    """The names of properties are valid under `propertyNames`."""
    expected = reader.child("propertyNames")
    if expected is None or "object" not in writer.kinds:
        return
    written = [each for node in writer.nodes if (each := node.child("propertyNames")) is not None]
    place = f"{path}/propertyNames"
    found = comparison.compare(expected, [*written, STRING], place)
    if found and not written:
        message = f"properties of other names may have been written: {found[0].message}"
        yield broken("PROPERTY_NAMES_ADDED", place, message)
    else:
        yield from found


STRING = Node({"type": "string"}, 7, None)
"""Names are strings."""


def what_depends_was_written(comparison: Comparison, reader: Node, writer: Writer, path: str) -> Found:
    """With a property come those that the reader wants with it (`dependentRequired`, `dependencies`)."""
    if "object" not in writer.kinds:
        return
    for keyword, name, wanted in _dependent_names(reader):
        given = [names for node in writer.nodes for _, other, names in _dependent_names(node) if other == name]
        missing = set(wanted) - writer.required - {each for names in given for each in names} - {name}
        if not missing or is_false(writer.at_property(name)):
            continue
        rule = "DEPENDENCY_ARRAY_EXTENDED" if given else "DEPENDENCY_ARRAY_ADDED"
        if given and not all(set(names) <= set(wanted) for names in given):
            rule = "DEPENDENCY_ARRAY_CHANGED"
        listed = ", ".join(sorted(missing))
        yield broken(rule, f"{path}/{keyword}{step(name)}", f"{name!r} may have been written without {listed}", listed)


def _dependent_names(node: Node) -> list[tuple[str, str, list[str]]]:
    found = []
    for keyword in ("dependentRequired", "dependencies"):
        given = node.get(keyword)
        if isinstance(given, dict):
            found += [(keyword, name, names) for name, names in given.items() if isinstance(names, list)]
    return found


def what_depends_is_read(comparison: Comparison, reader: Node, writer: Writer, path: str) -> Found:
    """With a property, the object is valid under the schema that depends on it (`dependentSchemas`, `dependencies`)."""
    if "object" not in writer.kinds:
        return
    for keyword in ("dependentSchemas", "dependencies"):
        for name, expected in reader.named(keyword).items():
            if is_false(writer.at_property(name)):
                continue
            given = [each for node in writer.nodes for each in _dependent_schemas(node, name)]
            place = f"{path}/{keyword}{step(name)}"
            found = comparison.compare(expected, [*writer.nodes, *given, OBJECT, _with(name)], place)
            if found and not given:
                message = f"objects with {name!r} may have been written that break this: {found[0].message}"
                yield broken("DEPENDENCY_SCHEMA_ADDED", place, message, name)
            else:
                yield from found


OBJECT = Node({"type": "object"}, 7, None)


@lru_cache(maxsize=1000)
def _with(name: str) -> Node:
    # The same node for the same name: a comparison knows nodes again by what they are.
    return Node({"required": [name]}, 7, None)


def _dependent_schemas(node: Node, name: str) -> list[Node]:
    found = (node.named(keyword).get(name) for keyword in ("dependentSchemas", "dependencies"))
    return [each for each in found if each is not None]
