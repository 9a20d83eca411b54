//! OffsetForLeaderEpoch: where an epoch ends, so that a reader finds out where its log left ours (KIP-320).

use crate::access::{Operation, ResourceKind};
use crate::error_code::ErrorCode;
use crate::node::{ClientContext, Node};
use crate::wire::offset_for_leader_epoch::{
    EpochEndOffset, OffsetForLeaderEpochRequest, OffsetForLeaderPartition, encode_response,
};
use crate::wire::{DecodeError, Writer};

pub(crate) fn respond(
    node: &Node,
    client: &ClientContext<'_>,
    body: &[u8],
    version: i16,
    writer: &mut Writer<'_>,
) -> Result<(), DecodeError> {
    let request = OffsetForLeaderEpochRequest::decode(body, version)?;
    // Brokers ask as well as consumers.
    let is_broker = client.of_cluster().allow(Operation::ClusterAction);
    let mut answers = Vec::with_capacity(request.topics.len());
    for topic in &request.topics {
        let allowed = is_broker || client.may(Operation::Describe, ResourceKind::Topic, topic.topic);
        let answer = |asked: &OffsetForLeaderPartition| {
            let found = if allowed {
                find(node, topic.topic, asked)
            } else {
                Err(ErrorCode::TOPIC_AUTHORIZATION_FAILED)
            };
            let (leader_epoch, end_offset) = found.unwrap_or((-1, -1));
            EpochEndOffset {
                error_code: found.err().unwrap_or(ErrorCode::NONE).0,
                partition: asked.partition,
                leader_epoch,
                end_offset,
            }
        };
        answers.push(topic.partitions.iter().map(answer).collect::<Vec<_>>());
    }
    let topics = request
        .topics
        .iter()
        .zip(&answers)
        .map(|(topic, answers)| (topic.topic, answers.as_slice()));
    encode_response(writer, topics);
    Ok(())
}

fn find(node: &Node, topic: &str, asked: &OffsetForLeaderPartition) -> Result<(i32, i64), ErrorCode> {
    let topic = node
        .replicas
        .topic(topic)
        .ok_or(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION)?;
    let partition = topic.partition(asked.partition, node.replicas.node_id())?;
    partition.end_offset_for_epoch(asked.current_leader_epoch, asked.leader_epoch)
}
