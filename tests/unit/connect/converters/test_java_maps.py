"""The order of Java's `HashMap`: grown, copied and made for a number of keys, as Java 25 printed it."""

from __future__ import annotations

import pytest

from moldau.connect.converters.java_maps import copied_order, hash_order

ORDERS = [
    ("q b a", "q a b", "q a b", "q a b"),
    (
        "int8 int16 int32 int64 float32 float64 boolean string bytes array map mapNonStringKeys",
        *["boolean string int32 array int64 bytes int8 float32 float64 map mapNonStringKeys int16"] * 3,
    ),
    (
        "id name price created_at tags größe Ω😀 customer_id quantity order_id status address zip city",
        *["zip quantity address Ω😀 city created_at tags größe price name id customer_id order_id status"] * 3,
    ),
    (
        "connect.type connect.index connect.version connect.parameters",
        "connect.version connect.index connect.type connect.parameters",
        *["connect.index connect.version connect.type connect.parameters"] * 2,
    ),
    ("key value", *["value key"] * 3),
]


@pytest.mark.parametrize(("keys", "grown", "copied", "made"), ORDERS)
def test_keys_stand_where_java_has_them(keys, grown, copied, made):
    names = keys.split()
    order = hash_order(names)
    assert order == grown.split()
    assert copied_order(order) == copied.split()
    assert hash_order(order, len(order)) == made.split()
