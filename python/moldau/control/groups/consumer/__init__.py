"""The consumer group protocol (KIP-848): the coordinator assigns, members reconcile, one heartbeat does it all."""
