"""The classic group protocol: JoinGroup is the barrier, the leader assigns in SyncGroup, the rest is timers."""
