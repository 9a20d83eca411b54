//! One partition on disk, in Apache Kafka's own format.
//!
//! Plain blocking Rust: no tokio, no sockets, no Python. See `docs/internals/log.md`.
