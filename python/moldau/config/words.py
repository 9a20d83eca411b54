"""The words of the tables: types and limits by their Kafka names, and the reasons that many keys share."""

from __future__ import annotations

import sys
from typing import Final

from moldau.config.key import ConfigType, Dynamic, Matching

BOOLEAN: Final = ConfigType.BOOLEAN
STRING: Final = ConfigType.STRING
INT: Final = ConfigType.INT
SHORT: Final = ConfigType.SHORT
LONG: Final = ConfigType.LONG
DOUBLE: Final = ConfigType.DOUBLE
LIST: Final = ConfigType.LIST
CLASS: Final = ConfigType.CLASS
PASSWORD: Final = ConfigType.PASSWORD

CLUSTER_WIDE: Final = Dynamic.CLUSTER_WIDE
PER_BROKER: Final = Dynamic.PER_BROKER

INT_MAX: Final = 2**31 - 1
LONG_MAX: Final = 2**63 - 1
DOUBLE_MAX: Final = sys.float_info.max
MINUTE_MS: Final = 60_000
HOUR_MS: Final = 60 * MINUTE_MS

THROTTLED_REPLICAS: Final = Matching(r"\*|([0-9]+:[0-9]+)?", "* or partition:broker, partition:broker, …")

# Why a key does not count here.
ONE_NODE: Final = "a node serves alone in this version: there is nobody to replicate to or to hand over to"
ONE_VOTER: Final = "the quorum has one voter in this version: there is nothing to vote on or to fetch"
SECURITY: Final = "listeners speak PLAINTEXT in this version; a listener that asks for more is refused"
WORKERS: Final = "tokio's worker threads serve sockets and disks; their number follows the machine's cores"
MOVES: Final = "a move keeps to replica.alter.log.dirs.io.max.bytes.per.second from block to block, without windows"
CONNECTION_RATES: Final = "only a quota of an address (kafka-configs, entity type ips) limits the rate of connections"
JAVA: Final = "there is no JVM to load the class into"
TIERED: Final = "there is no tiered storage"
PURGATORY: Final = "a waiting request is removed when it is answered: there is nothing to purge"
STREAMS_GROUPS: Final = "streams groups are not served yet"
SHARE_GROUPS: Final = "share groups are not served yet"
METRICS: Final = "metrics are not reported through Java classes"
TOKENS: Final = "delegation tokens are not served"
CLIENT_METRICS: Final = "client metrics are not collected yet"
