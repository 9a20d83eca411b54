"""A member as a process of its own, so that it can be killed.

python -m tests.integration.membership.member_process BOOTSTRAP GROUP NAME INSTANCE|-

It says what happens to it, one line each; the leader deals the numbers 0 to 11 out in turn.
"""

import json
import sys

from moldau.client.membership import Brokers, GroupMember, GroupSettings

NUMBERS = 12


class Dealer:
    """Twelve numbers, dealt out by the names of the members."""

    def __init__(self, name, say):
        self.name, self.say = name, say
        self.has = None

    def protocols(self, reason):
        return {"numbers": self.name.encode()}

    def assign(self, protocol, members):
        names = sorted(member.metadata.decode() for member in members)
        return {
            member.member_id: json.dumps(
                [one for one in range(NUMBERS) if names[one % len(names)] == member.metadata.decode()]
            ).encode()
            for member in members
        }

    def assigned(self, membership, assignment):
        self.has = json.loads(assignment)
        self.say({"generation": membership.generation_id, "member": membership.member_id, "has": self.has})

    def lost(self, reason):
        self.has = None
        self.say({"lost": reason})


def settings_of(group, instance_id=None):
    return GroupSettings(
        group, "numbers", instance_id, session_timeout_ms=6_000, heartbeat_interval_ms=200, rebalance_timeout_ms=20_000
    )


def main(bootstrap, group, name, instance):
    def say(what):
        print(json.dumps(what), flush=True)

    settings = settings_of(group, None if instance == "-" else instance)
    with GroupMember(Brokers({"bootstrap.servers": bootstrap}), settings, Dealer(name, say)) as member:
        while True:
            member.poll(1.0)


if __name__ == "__main__":
    main(*sys.argv[1:])
