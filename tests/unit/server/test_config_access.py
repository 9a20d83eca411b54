"""Whose configs a client may see or change, and what becomes of a resource that a request names twice."""

import asyncio
from types import SimpleNamespace

from moldau.control.access.authorizer import Authorizer, Client
from moldau.control.metadata.image import TOPIC_RESOURCE, ConfigResource
from moldau.errors import ErrorCode
from moldau.server.access import Access, AccessControl
from moldau.server.config_access import sort_out
from moldau.server.handlers import RequestContext, k32_describe_configs

NOBODY = Access(AccessControl(Authorizer()), Client("User:alice", "127.0.0.1"))
ORDERS = ConfigResource(TOPIC_RESOURCE, "orders")


def describe(*resources, access):
    shell = SimpleNamespace(metadata=SimpleNamespace(machine=SimpleNamespace(situation=lambda: None)))
    asked = [
        SimpleNamespace(resource_type=kind, resource_name=name, configuration_keys=None) for kind, name in resources
    ]
    request = SimpleNamespace(resources=asked, include_synonyms=False)
    context = RequestContext(4, 1, "tester", "/127.0.0.1", "PLAINTEXT", ("localhost", 9092), 1, access)
    return asyncio.run(k32_describe_configs.handle(shell, request, context))["results"]


def test_to_name_a_resource_twice_is_no_way_to_see_its_configs():
    results = describe(ORDERS, ORDERS, access=NOBODY)
    assert [(each["resource_name"], each["error_code"], each["configs"]) for each in results] == [
        ("orders", ErrorCode.TOPIC_AUTHORIZATION_FAILED, []),
        ("orders", ErrorCode.TOPIC_AUTHORIZATION_FAILED, []),
    ]


def test_a_change_of_a_resource_that_is_named_twice_is_wrong_whoever_wants_it():
    twice = ((ORDERS, "one"), (ORDERS, "two"))
    payments = ConfigResource(TOPIC_RESOURCE, "payments")
    allowed, refused = sort_out(NOBODY, (*twice, (payments, "three")))
    assert allowed == twice
    assert [(resource, outcome.code) for resource, outcome in refused] == [
        (payments, ErrorCode.TOPIC_AUTHORIZATION_FAILED)
    ]


def test_a_type_that_nobody_knows_is_not_a_matter_of_rights():
    unknown = ((ConfigResource(99, "x"), None),)
    assert sort_out(NOBODY, unknown) == (unknown, [])
