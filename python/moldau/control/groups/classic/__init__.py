"""The classic group protocol: the group is a barrier (JoinGroup), its leader assigns (SyncGroup), the rest is timers."""
