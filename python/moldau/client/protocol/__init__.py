"""Kafka's protocol spoken by ourselves, for what librdkafka has no call for: one broker, one question at a time.

`questions` names what is asked and in which versions, `connection` sends and reads frames, `security` opens a
connection as librdkafka's settings say (plain, TLS, SASL PLAIN, SCRAM-SHA-256, SCRAM-SHA-512, OAUTHBEARER with the
tokens of `oidc` or of a callback), `brokers` remembers who there is to ask, `errors` is how it can fail. Plain blocking
sockets with a deadline for each question; no threads of its own. Members of groups stand on it
(`moldau.client.membership`), and the commands of the command line.
"""
