//! Producers and their transactions, between Python's plain values and the log's types.

use bytes::BytesMut;
use moldau_log::batch::{BatchBuilder, EndTransaction};
use moldau_log::{
    AppendContext, AppendOrigin, PartitionLog, ProducerEpoch, ProducerId, Verification, VerificationGuard,
};
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;

use crate::error::Refusal;

/// Producer id, epoch, and the guard under which its transaction was verified.
pub type PythonProducer = (i64, i16, Option<u64>);

/// What coordinators' batches have in place of a sequence number.
const NO_SEQUENCE: i32 = -1;

fn append_origin(origin: &str) -> PyResult<AppendOrigin> {
    match origin {
        "client" => Ok(AppendOrigin::Client),
        "coordinator" => Ok(AppendOrigin::Coordinator),
        "raft" => Ok(AppendOrigin::Raft),
        other => Err(PyValueError::new_err(format!("unknown append origin: {other:?}"))),
    }
}

/// Who appends, and in whose transaction.
pub fn context_of(origin: &str, producer: Option<PythonProducer>) -> PyResult<AppendContext> {
    let mut context = AppendContext::from(append_origin(origin)?);
    if let Some((_, _, guard)) = producer {
        context.verification = match guard {
            Some(guard) => Verification::Guarded(VerificationGuard(guard)),
            None => Verification::AlreadyOngoing,
        };
    }
    Ok(context)
}

/// How a marker of a producer of this transaction version is appended.
pub fn marker_context(transaction_version: i16) -> AppendContext {
    AppendContext {
        transaction_version,
        ..AppendOrigin::Coordinator.into()
    }
}

/// The control batch that ends the transaction of `producer`.
pub fn marker(producer: (i64, i16), coordinator_epoch: i32, committed: bool, timestamp_ms: i64) -> BytesMut {
    let end = if committed {
        EndTransaction::Commit
    } else {
        EndTransaction::Abort
    };
    let (id, epoch) = (ProducerId(producer.0), ProducerEpoch(producer.1));
    BatchBuilder::end_transaction(end, id, epoch, coordinator_epoch, timestamp_ms)
}

/// See [`PartitionLog::begin_verification`].
pub fn begin_verification(
    log: &PartitionLog,
    producer: (i64, i16),
    adds_partitions: bool,
    now_ms: i64,
) -> Result<Option<u64>, Refusal> {
    let producer = (ProducerId(producer.0), ProducerEpoch(producer.1));
    let guard = log.begin_verification(producer, NO_SEQUENCE, adds_partitions, now_ms)?;
    Ok(guard.map(|guard| guard.0))
}
