"""Measurements. `bench/versus` compares Moldau with Apache Kafka, `bench/micro` measures single kernels in Rust."""
