//! `Leases`: the heartbeats that Rust answers in the place of the control plane.

use std::collections::HashMap;
use std::sync::Arc;

use moldau_server::{ConsumerLease, Lease};
use pyo3::prelude::*;

/// See `python/moldau/_core.pyi`.
#[pyclass(frozen, module = "moldau._core")]
pub struct Leases(pub Arc<moldau_server::Leases>);

#[pymethods]
impl Leases {
    #[pyo3(signature = (group_id, member_id, instance_id, generation_id))]
    fn grant(&self, group_id: &str, member_id: &str, instance_id: Option<String>, generation_id: i32) {
        let lease = Lease {
            instance_id,
            epoch: generation_id,
            consumer: None,
        };
        self.0.grant(group_id, member_id, lease);
    }

    #[pyo3(signature = (group_id, member_id, instance_id, member_epoch, *, client_id, client_host, heartbeat_interval_ms))]
    #[allow(clippy::too_many_arguments)]
    fn grant_consumer(
        &self,
        group_id: &str,
        member_id: &str,
        instance_id: Option<String>,
        member_epoch: i32,
        client_id: String,
        client_host: String,
        heartbeat_interval_ms: i32,
    ) {
        let consumer = ConsumerLease {
            client_id,
            client_host,
            heartbeat_interval_ms,
        };
        let lease = Lease {
            instance_id,
            epoch: member_epoch,
            consumer: Some(consumer),
        };
        self.0.grant(group_id, member_id, lease);
    }

    #[pyo3(signature = (group_id, member_id = None))]
    fn end(&self, group_id: &str, member_id: Option<&str>) -> HashMap<String, i64> {
        self.0.end(group_id, member_id).into_iter().collect()
    }

    fn cluster_changed(&self) {
        self.0.cluster_changed();
    }
}
