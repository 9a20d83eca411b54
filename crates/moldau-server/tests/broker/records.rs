//! Producing and fetching as a client does, in any version.

use bytes::Bytes;
use kafka_protocol::messages::fetch_request::{FetchPartition, FetchTopic};
use kafka_protocol::messages::fetch_response::PartitionData;
use kafka_protocol::messages::produce_request::{PartitionProduceData, TopicProduceData};
use kafka_protocol::messages::produce_response::PartitionProduceResponse;
use kafka_protocol::messages::{FetchRequest, FetchResponse, ProduceRequest, ProduceResponse, TopicName};
use kafka_protocol::protocol::StrBytes;
use moldau_log::batch::batches;

use super::{Broker, Client, FETCH, PRODUCE, batch};

pub fn produce_request(
    broker: &Broker,
    version: i16,
    acks: i16,
    topic: &str,
    records: &[(i32, Bytes)],
) -> ProduceRequest {
    let mut data = TopicProduceData::default();
    if version >= 13 {
        data.topic_id = broker.topic_id(topic);
    } else {
        data.name = TopicName(StrBytes::from_string(topic.to_owned()));
    }
    let partition = |(index, records): &(i32, Bytes)| {
        PartitionProduceData::default()
            .with_index(*index)
            .with_records(Some(records.clone()))
    };
    data.partition_data = records.iter().map(partition).collect();
    ProduceRequest::default()
        .with_acks(acks)
        .with_timeout_ms(5_000)
        .with_topic_data(vec![data])
}

pub fn produce(
    client: &mut Client,
    broker: &Broker,
    version: i16,
    topic: &str,
    records: Bytes,
) -> PartitionProduceResponse {
    let request = produce_request(broker, version, -1, topic, &[(0, records)]);
    let answer: ProduceResponse = client.ask(PRODUCE, version, &request);
    answer.responses[0].partition_responses[0].clone()
}

pub struct Ask<'a> {
    pub version: i16,
    pub topic: &'a str,
    pub partitions: &'a [(i32, i64)],
    pub session: (i32, i32),
    pub min_bytes: i32,
    pub max_bytes: i32,
    pub max_wait_ms: i32,
}

impl Default for Ask<'_> {
    fn default() -> Self {
        Ask {
            version: 12,
            topic: "orders",
            partitions: &[(0, 0)],
            session: (0, -1),
            min_bytes: 1,
            max_bytes: 50 << 20,
            max_wait_ms: 0,
        }
    }
}

pub fn fetch_request(broker: &Broker, ask: &Ask<'_>) -> FetchRequest {
    let mut topic = FetchTopic::default();
    if ask.version >= 13 {
        topic.topic_id = broker.topic_id(ask.topic);
    } else {
        topic.topic = TopicName(StrBytes::from_string(ask.topic.to_owned()));
    }
    let partition = |(index, offset): &(i32, i64)| {
        FetchPartition::default()
            .with_partition(*index)
            .with_fetch_offset(*offset)
            .with_partition_max_bytes(1 << 20)
    };
    topic.partitions = ask.partitions.iter().map(partition).collect();
    FetchRequest::default()
        .with_max_wait_ms(ask.max_wait_ms)
        .with_min_bytes(ask.min_bytes)
        .with_max_bytes(ask.max_bytes)
        .with_session_id(if ask.version >= 7 { ask.session.0 } else { 0 })
        .with_session_epoch(if ask.version >= 7 { ask.session.1 } else { -1 })
        .with_topics(if topic.partitions.is_empty() {
            Vec::new()
        } else {
            vec![topic]
        })
}

pub fn fetch(client: &mut Client, broker: &Broker, ask: &Ask<'_>) -> FetchResponse {
    client.ask(FETCH, ask.version, &fetch_request(broker, ask))
}

pub fn only(answer: &FetchResponse) -> &PartitionData {
    assert_eq!((answer.error_code, answer.responses.len()), (0, 1), "{answer:?}");
    &answer.responses[0].partitions[0]
}

pub fn values(partition: &PartitionData) -> Vec<(i64, String)> {
    let records = partition.records.as_ref().unwrap();
    let mut found = Vec::new();
    for batch in batches(records) {
        let batch = batch.unwrap();
        assert!(batch.crc_matches());
        for record in batch.decode().unwrap().iter() {
            let record = record.unwrap();
            found.push((
                record.offset.0,
                String::from_utf8(record.value.unwrap().to_vec()).unwrap(),
            ));
        }
    }
    found
}

pub fn numbered(range: std::ops::Range<i64>) -> Vec<(i64, String)> {
    range.map(|offset| (offset, format!("value {offset}"))).collect()
}

pub fn numbered_batch(range: std::ops::Range<i64>) -> Bytes {
    let values: Vec<_> = range.map(|offset| format!("value {offset}")).collect();
    batch(&values.iter().map(|value| value.as_bytes()).collect::<Vec<_>>())
}
