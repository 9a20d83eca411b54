"""What is wrong with `exactly.once.support` and `transaction.boundary` of a configuration, in Kafka's words."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any, Final

from moldau.connect.config_def import ConfigValue
from moldau.connect.plugin import ExactlyOnceSupport, SourceConnector, TransactionBoundaries

logger: Final = logging.getLogger("moldau.connect.validation")

SUPPORT: Final = "exactly.once.support"
BOUNDARY: Final = "transaction.boundary"


def check_exactly_once(
    values: Mapping[str, ConfigValue], config: Mapping[str, str | None], connector: SourceConnector, *, enabled: bool
) -> None:
    """Add to the errors of the two settings. `enabled`: source tasks of this worker write in transactions."""
    given = {key: value for key, value in config.items() if value is not None}
    support, boundary = values[SUPPORT], values[BOUNDARY]
    if not support.errors and str(support.value).lower() == "required":
        if not enabled:
            support.errors.append("This worker does not have exactly-once source support enabled.")
        said = _of_support(connector, given)
        support.errors += [said] if said else []
    if not boundary.errors and str(boundary.value).lower() == "connector":
        said = _of_boundary(connector, given)
        boundary.errors += [said] if said else []


def _of_support(connector: SourceConnector, config: dict[str, str]) -> str | None:
    try:
        said: Any = connector.exactly_once_support(config)
    except Exception as error:
        logger.exception("Failed while validating connector support for exactly-once semantics")
        return _unexpected(str(error))
    if said is ExactlyOnceSupport.SUPPORTED:
        return None
    if said is ExactlyOnceSupport.UNSUPPORTED:
        return "The connector does not support exactly-once semantics with the provided configuration."
    if said is None:
        return (
            "The connector does not implement the API required for preflight validation of exactly-once source "
            "support. Please consult the documentation for the connector to determine whether it supports exactly-once "
            'semantics, and then consider reconfiguring the connector to use the value "requested" for this property '
            "(which will disable this preflight check and allow the connector to be created)."
        )
    return _unexpected(f"Unexpected value returned from SourceConnector::exactlyOnceSupport: {said}")


def _of_boundary(connector: SourceConnector, config: dict[str, str]) -> str | None:
    try:
        said: Any = connector.can_define_transaction_boundaries(config)
    except Exception as error:
        logger.exception("Failed while validating connector support for defining its own transaction boundaries")
        return _unexpected(str(error))
    if said is TransactionBoundaries.SUPPORTED:
        return None
    if said is None:
        return (
            "This connector has returned a null value from its canDefineTransactionBoundaries method, which is not "
            "permitted. The connector will be treated as if it cannot define its own transaction boundaries, and "
            "cannot be configured with 'transaction.boundary' set to 'connector'."
        )
    return (
        "The connector does not support connector-defined transaction boundaries with the given configuration. Please "
        "reconfigure it to use a different transaction boundary definition."
    )


def _unexpected(said: str) -> str:
    if not said.strip():
        return "An unexpected error occurred during validation; please see the worker logs for more details."
    return f"An unexpected error occurred during validation: {said.strip()}"
