"""`listeners`, `advertised.listeners` and the keys around them, turned into addresses, with everything wrong at once.

A listener has a name; the name stands for a security protocol (`listener.security.protocol.map`) and may belong to
the controller (`controller.listener.names`), in which case no client is sent there. This version speaks PLAINTEXT:
a listener that promises more is refused, because serving it in the clear would be worse than not starting.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from moldau.config import Value, broker_value

_ADDRESS: Final = re.compile(r"([^:/]+)://\[?([0-9a-zA-Z\-%._:]*)\]?:(-?[0-9]+)")
_PROTOCOLS: Final = ("PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL")


@dataclass(frozen=True, slots=True)
class Address:
    """`NAME://host:port`, with the name in capitals."""

    name: str
    host: str
    port: int


@dataclass(frozen=True, slots=True)
class Listener:
    """One address where the node listens."""

    name: str
    host: str
    """Empty for every interface."""
    port: int
    """0 for any free port."""
    advertised: tuple[str, int] | None
    """What clients are told; `None` tells each client the address by which it came."""
    controller: bool
    """Whether it belongs to the controller: brokers of the cluster go there, clients do not."""


def parse_address(text: str) -> Address | None:
    """One entry of `listeners`, or `None` when it is none."""
    match = _ADDRESS.fullmatch(text.strip())
    if match is None or not -1 <= int(match[3]) <= 65535:
        return None
    return Address(match[1].upper(), match[2], int(match[3]))


def parse_listeners(values: Mapping[str, Value]) -> tuple[list[Listener], list[str]]:
    """The listeners that broker values describe, and what is wrong with them; the list is complete when it is empty."""
    problems: list[str] = []
    listeners = _addresses("listeners", values, problems)
    advertised = _addresses("advertised.listeners", values, problems)
    controller_names = {name.upper() for name in _words(values, "controller.listener.names")}
    protocols = _protocols(values, controller_names, problems)
    names = {address.name for address in listeners}

    problems.extend(_duplicates("listeners", listeners, ports=True))
    problems.extend(_duplicates("advertised.listeners", advertised, ports=False))
    problems.extend(_promises(listeners, protocols))
    problems.extend(
        f"advertised.listeners: {address.name} is not in listeners ({', '.join(sorted(names))})"
        for address in advertised
        if address.name not in names
    )
    problems.extend(
        f"advertised.listeners: {address.name} cannot be reached by clients at {address.host}; name a real address"
        for address in advertised
        if address.host in ("0.0.0.0", "::")
    )
    if listeners and names <= controller_names:
        problems.append("listeners: every listener belongs to the controller; clients have none")

    by_name = {address.name: address for address in advertised}
    return [
        Listener(
            name=address.name,
            host=address.host,
            port=address.port,
            advertised=_reachable(by_name.get(address.name)),
            controller=address.name in controller_names,
        )
        for address in listeners
    ], problems


def _reachable(address: Address | None) -> tuple[str, int] | None:
    return (address.host, address.port) if address is not None and address.host else None


def _words(values: Mapping[str, Value], name: str) -> tuple[str, ...]:
    words = broker_value(values, name)
    return words if isinstance(words, tuple) else ()


def _addresses(name: str, values: Mapping[str, Value], problems: list[str]) -> list[Address]:
    addresses = []
    for text in _words(values, name):
        address = parse_address(text)
        if address is None:
            problems.append(f"{name}: {text} is not of the form NAME://host:port")
        else:
            addresses.append(address)
    return addresses


def _protocols(values: Mapping[str, Value], controller_names: set[str], problems: list[str]) -> dict[str, str]:
    """Which protocol each name stands for. Without a map a controller's listener is PLAINTEXT, as in Kafka."""
    text = broker_value(values, "listener.security.protocol.map")
    protocols: dict[str, str] = {}
    for pair in str(text or "").split(","):
        name, separator, protocol = (part.strip().upper() for part in pair.partition(":"))
        if not separator or protocol not in _PROTOCOLS:
            problems.append(f"listener.security.protocol.map: {pair} is not of the form NAME:PROTOCOL")
        else:
            protocols[name] = protocol
    if "listener.security.protocol.map" not in values:
        protocols.update(dict.fromkeys(controller_names - protocols.keys(), "PLAINTEXT"))
    return protocols


def _promises(listeners: list[Address], protocols: Mapping[str, str]) -> list[str]:
    problems = []
    for address in listeners:
        protocol = protocols.get(address.name)
        if protocol is None:
            problems.append(f"listeners: {address.name} has no security protocol in listener.security.protocol.map")
        elif protocol != "PLAINTEXT":
            problems.append(f"listeners: {address.name} asks for {protocol}; this version serves PLAINTEXT only")
    return problems


def _duplicates(key: str, addresses: list[Address], *, ports: bool) -> list[str]:
    problems = []
    names: set[str] = set()
    taken: set[tuple[int, bool]] = set()
    for address in addresses:
        if address.name in names:
            problems.append(f"{key}: {address.name} stands there twice")
        names.add(address.name)
        # An IPv4 and an IPv6 address may share a port (KAFKA-14520).
        place = (address.port, ":" in address.host)
        if ports and address.port != 0 and place in taken:
            problems.append(f"{key}: port {address.port} is used twice")
        taken.add(place)
    return problems
