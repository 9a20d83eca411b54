from moldau.config import topic_defaults
from moldau.config.listeners import Listener
from moldau.server.core_types import LogSettings
from moldau.server.handlers import Api, Route, load
from moldau.server.translation import api_ranges, listener_settings, log_settings


def test_a_topic_without_settings_has_kafkas_defaults():
    settings = log_settings(topic_defaults({}))
    assert settings["segment_bytes"] == 1 << 30
    assert settings["retention_ms"] == 7 * 24 * 60 * 60 * 1000
    assert settings["retention_bytes"] == -1
    assert (settings["delete"], settings["compact"]) == (True, False)


def test_a_cleanup_policy_may_name_both_ways():
    values = topic_defaults({}) | {"cleanup.policy": ("compact", "delete")}
    assert (log_settings(values)["delete"], log_settings(values)["compact"]) == (True, True)


def test_nothing_that_the_log_must_know_is_left_out():
    assert set(log_settings(topic_defaults({}))) == LogSettings.__required_keys__


def test_a_listener_of_the_controller_is_not_opened_to_clients():
    listeners = [
        Listener("PLAINTEXT", "", 9092, None, controller=False),
        Listener("CONTROLLER", "", 9093, None, controller=True),
    ]
    assert listener_settings(listeners) == [{"name": "PLAINTEXT", "host": "", "port": 9092}]


def test_what_is_advertised_goes_with_its_listener():
    (settings,) = listener_settings([Listener("A", "0.0.0.0", 9092, ("kafka.example", 443), controller=False)])
    assert (settings["advertised_host"], settings["advertised_port"]) == ("kafka.example", 443)


def test_produce_advertises_versions_that_it_refuses():
    (row,) = api_ranges({0: Route(Api(0, "Produce", (3, 13), advertised_lowest=0, hot=True), None)})
    assert row == (0, 0, 13, 9, True)


def test_every_handler_has_its_row_in_the_table():
    routes = load()
    assert [row.key for row in api_ranges(routes)] == sorted(routes)
    assert all(route.api.hot or route.handle is not None for route in routes.values())
