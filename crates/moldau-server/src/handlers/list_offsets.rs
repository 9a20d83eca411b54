//! ListOffsets: the first, the last, the newest or the first since a time.

use std::collections::HashSet;

use moldau_log::{Offset, TimestampQuery};

use crate::access::{Operation, ResourceKind};
use crate::error_code::ErrorCode;
use crate::node::{ClientContext, Node};
use crate::partition::FetchIsolation;
use crate::wire::list_offsets::{
    ListOffsetsPartition, ListOffsetsPartitionResponse, ListOffsetsRequest, encode_response,
};
use crate::wire::{DecodeError, Writer};

const LATEST: i64 = -1;
const EARLIEST: i64 = -2;
const MAX_TIMESTAMP: i64 = -3;
const EARLIEST_LOCAL: i64 = -4;
const LATEST_TIERED: i64 = -5;
const EARLIEST_PENDING_UPLOAD: i64 = -6;

const CONSUMER_REPLICA_ID: i32 = -1;

pub(crate) fn respond(
    node: &Node,
    client: &ClientContext<'_>,
    body: &[u8],
    version: i16,
    writer: &mut Writer<'_>,
) -> Result<(), DecodeError> {
    let request = ListOffsetsRequest::decode(body, version)?;
    let isolation = match (request.replica_id, request.isolation_level) {
        (CONSUMER_REPLICA_ID, 1) => Some(FetchIsolation::LastStableOffset),
        (CONSUMER_REPLICA_ID, _) => Some(FetchIsolation::HighWatermark),
        _ => None,
    };
    let duplicates = duplicates(&request);
    let mut answers = Vec::with_capacity(request.topics.len());
    for topic in &request.topics {
        let allowed = client.may(Operation::Describe, ResourceKind::Topic, topic.name);
        let answer = |partition: &ListOffsetsPartition| {
            let found = if !allowed {
                Err(ErrorCode::TOPIC_AUTHORIZATION_FAILED)
            } else if duplicates.contains(&(topic.name, partition.partition)) {
                Err(ErrorCode::INVALID_REQUEST)
            } else {
                find(node, topic.name, partition, isolation, version)
            };
            let none = Found {
                timestamp: -1,
                offset: -1,
                leader_epoch: -1,
            };
            let found_or_none = found.unwrap_or(none);
            ListOffsetsPartitionResponse {
                partition: partition.partition,
                error_code: found.err().unwrap_or(ErrorCode::NONE).0,
                timestamp: found_or_none.timestamp,
                offset: found_or_none.offset,
                leader_epoch: found_or_none.leader_epoch,
            }
        };
        answers.push(topic.partitions.iter().map(answer).collect::<Vec<_>>());
    }
    let topics = request
        .topics
        .iter()
        .zip(&answers)
        .map(|(topic, answers)| (topic.name, answers.as_slice()));
    encode_response(writer, version, topics);
    Ok(())
}

/// Partitions that are asked about twice: each mention is answered with INVALID_REQUEST.
fn duplicates<'a>(request: &ListOffsetsRequest<'a>) -> HashSet<(&'a str, i32)> {
    let mut seen = HashSet::new();
    let names = request
        .topics
        .iter()
        .flat_map(|topic| topic.partitions.iter().map(|p| (topic.name, p.partition)));
    names.filter(|name| !seen.insert(*name)).collect()
}

#[derive(Clone, Copy)]
struct Found {
    timestamp: i64,
    offset: i64,
    leader_epoch: i32,
}

/// The first version that may ask for a special timestamp.
fn first_version(timestamp: i64) -> i16 {
    match timestamp {
        MAX_TIMESTAMP => 7,
        EARLIEST_LOCAL => 8,
        LATEST_TIERED => 9,
        EARLIEST_PENDING_UPLOAD => 11,
        i64::MIN..EARLIEST_PENDING_UPLOAD => i16::MAX,
        _ => 1,
    }
}

fn find(
    node: &Node,
    topic: &str,
    asked: &ListOffsetsPartition,
    isolation: Option<FetchIsolation>,
    version: i16,
) -> Result<Found, ErrorCode> {
    let none = Found {
        timestamp: -1,
        offset: -1,
        leader_epoch: -1,
    };
    if version < first_version(asked.timestamp) {
        return Err(ErrorCode::UNSUPPORTED_VERSION);
    }
    let topic = node
        .replicas
        .topic(topic)
        .ok_or(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION)?;
    let partition = topic.partition(asked.partition, node.replicas.node_id())?;
    partition.check_leader(asked.current_leader_epoch)?;
    let end = partition.last_fetchable_offset(isolation);
    let query = match asked.timestamp {
        LATEST => {
            return Ok(Found {
                timestamp: -1,
                offset: end.0,
                leader_epoch: partition.leader_epoch(),
            });
        }
        // Nothing is tiered: there is no last tiered offset and nothing waits for its upload.
        LATEST_TIERED | EARLIEST_PENDING_UPLOAD => return Ok(none),
        EARLIEST => TimestampQuery::Earliest,
        EARLIEST_LOCAL => TimestampQuery::EarliestLocal,
        MAX_TIMESTAMP => TimestampQuery::Max,
        timestamp => TimestampQuery::At(timestamp),
    };
    let beyond_end =
        |offset: Offset| offset >= end && !matches!(query, TimestampQuery::Earliest | TimestampQuery::EarliestLocal);
    Ok(match partition.find_timestamp(query, node.now_ms())? {
        Some(found) if !beyond_end(found.offset) => Found {
            timestamp: found.timestamp_ms,
            offset: found.offset.0,
            leader_epoch: found.leader_epoch.map_or(-1, |epoch| epoch.0),
        },
        _ => none,
    })
}
