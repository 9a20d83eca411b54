"""The messages of Kafka's protocol: what is in them, and how they become bytes and objects.

Beneath the node, which answers them, and beneath the clients, which ask; it knows neither. No sockets, no clock.
"""
