//! Metadata, ListOffsets and OffsetForLeaderEpoch over a real socket.

mod broker;

use broker::{Broker, Client, LIST_OFFSETS, METADATA, NODE_ID, OFFSET_FOR_LEADER_EPOCH, PRODUCE, config, topic_image};
use kafka_protocol::messages::list_offsets_request::{ListOffsetsPartition, ListOffsetsTopic};
use kafka_protocol::messages::metadata_request::MetadataRequestTopic;
use kafka_protocol::messages::offset_for_leader_epoch_request::{OffsetForLeaderPartition, OffsetForLeaderTopic};
use kafka_protocol::messages::produce_request::{PartitionProduceData, TopicProduceData};
use kafka_protocol::messages::{
    ListOffsetsRequest, ListOffsetsResponse, MetadataRequest, MetadataResponse, OffsetForLeaderEpochRequest,
    OffsetForLeaderEpochResponse, ProduceRequest, ProduceResponse, TopicName,
};
use kafka_protocol::protocol::StrBytes;
use moldau_log::batch::BatchBuilder;
use moldau_server::{Advertised, ImageDelta, ServerConfig};
use uuid::Uuid;

fn name(name: &str) -> TopicName {
    TopicName(StrBytes::from_string(name.to_owned()))
}

fn by_name(names: &[&str]) -> MetadataRequest {
    let topic = |topic: &&str| MetadataRequestTopic::default().with_name(Some(name(topic)));
    MetadataRequest::default()
        .with_topics(Some(names.iter().map(topic).collect()))
        .with_allow_auto_topic_creation(false)
}

fn metadata(client: &mut Client, version: i16, request: &MetadataRequest) -> MetadataResponse {
    let mut request = request.clone();
    if version < 4 {
        request.allow_auto_topic_creation = true;
    }
    client.ask(METADATA, version, &request)
}

#[test]
fn metadata_tells_the_cluster_in_every_version() {
    let broker = Broker::start_with(ServerConfig {
        auto_create_topics: false,
        ..config()
    });
    let id = broker.create_topic("orders", 3);
    let mut client = broker.connect();
    for version in 0..=13 {
        let answer = metadata(&mut client, version, &by_name(&["orders", "orders"]));
        let node = &answer.brokers[0];
        assert_eq!(
            (node.node_id.0, &*node.host, node.port),
            (NODE_ID, "127.0.0.1", i32::from(broker.address().port()))
        );
        assert_eq!(answer.topics.len(), 1, "a repeated name is answered once");
        let topic = &answer.topics[0];
        assert_eq!((topic.error_code, topic.partitions.len()), (0, 3));
        assert!(
            topic
                .partitions
                .iter()
                .all(|partition| partition.leader_id.0 == NODE_ID && partition.error_code == 0)
        );
        assert_eq!(topic.topic_id, if version >= 10 { id } else { Uuid::nil() });
    }
}

#[test]
fn metadata_by_id_by_no_name_and_for_all() {
    let broker = Broker::start();
    let id = broker.create_topic("orders", 1);
    broker.create_topic("__consumer_offsets", 1);
    let mut client = broker.connect();
    let all = metadata(&mut client, 12, &MetadataRequest::default().with_topics(None));
    let mut names: Vec<_> = all
        .topics
        .iter()
        .map(|t| (t.name.as_ref().unwrap().to_string(), t.is_internal))
        .collect();
    names.sort();
    assert_eq!(
        names,
        [("__consumer_offsets".to_owned(), true), ("orders".to_owned(), false)]
    );
    assert!(metadata(&mut client, 12, &by_name(&[])).topics.is_empty());
    assert_eq!(
        metadata(&mut client, 0, &by_name(&[])).topics.len(),
        2,
        "in version 0 an empty list means all"
    );
    let by_id =
        |id| MetadataRequest::default().with_topics(Some(vec![MetadataRequestTopic::default().with_topic_id(id)]));
    let known = metadata(&mut client, 12, &by_id(id));
    assert_eq!(known.topics[0].name, Some(name("orders")));
    let unknown = metadata(&mut client, 12, &by_id(Uuid::from_u128(3)));
    assert_eq!((unknown.topics[0].error_code, &unknown.topics[0].name), (100, &None));
    let refused = metadata(&mut client, 10, &by_id(id));
    assert_eq!(
        refused.topics[0].error_code, 42,
        "ids are understood from version 12 on"
    );
}

#[test]
fn unknown_and_impossible_names_are_told_apart() {
    let broker = Broker::start();
    let answer = metadata(&mut broker.connect(), 12, &by_name(&["nowhere", "not a name"]));
    assert_eq!(
        answer.topics.iter().map(|topic| topic.error_code).collect::<Vec<_>>(),
        [3, 17]
    );
}

#[test]
fn a_topic_that_may_be_created_goes_to_the_control_plane_first() {
    let broker = Broker::start();
    let mut client = broker.connect();
    let request = by_name(&["orders"]).with_allow_auto_topic_creation(true);
    client.send(METADATA, 12, &request);
    let asked = broker.next_request();
    assert_eq!(asked.api_key, METADATA);
    broker.create_topic("orders", 2);
    asked.reply.serve_hot();
    let answer = client.receive::<MetadataResponse>(12).1;
    assert_eq!((answer.topics[0].error_code, answer.topics[0].partitions.len()), (0, 2));
    // Known now, so it is answered here; and an impossible name needs nobody's help.
    assert_eq!(metadata(&mut client, 12, &request).topics[0].error_code, 0);
    let impossible = by_name(&["not a name"]).with_allow_auto_topic_creation(true);
    assert_eq!(metadata(&mut client, 12, &impossible).topics[0].error_code, 17);
    broker.server.apply(ImageDelta::AutoCreateTopics(false));
    let other = by_name(&["payments"]).with_allow_auto_topic_creation(true);
    assert_eq!(metadata(&mut client, 12, &other).topics[0].error_code, 3);
}

#[test]
fn serve_hot_creates_nothing() {
    let broker = Broker::start();
    let mut client = broker.connect();
    client.send(METADATA, 12, &by_name(&["orders"]).with_allow_auto_topic_creation(true));
    broker.next_request().reply.serve_hot();
    assert_eq!(client.receive::<MetadataResponse>(12).1.topics[0].error_code, 3);
}

#[test]
fn authorized_operations_are_told_when_asked() {
    let broker = Broker::start();
    broker.create_topic("orders", 1);
    let mut client = broker.connect();
    let request = by_name(&["orders"]).with_include_topic_authorized_operations(true);
    assert_eq!(
        metadata(&mut client, 12, &request).topics[0].topic_authorized_operations,
        3576
    );
    assert_eq!(
        metadata(&mut client, 12, &by_name(&["orders"])).topics[0].topic_authorized_operations,
        i32::MIN
    );
    let request = by_name(&[]).with_include_cluster_authorized_operations(true);
    assert_eq!(metadata(&mut client, 8, &request).cluster_authorized_operations, 8096);
}

#[test]
fn a_fixed_advertised_address_is_what_clients_are_told() {
    let mut settings = config();
    settings.listeners[0].advertised = Advertised::Fixed {
        host: "kafka.example".to_owned(),
        port: 1234,
    };
    let broker = Broker::start_with(settings);
    let answer = metadata(&mut broker.connect(), 12, &by_name(&[]));
    assert_eq!(
        (&*answer.brokers[0].host, answer.brokers[0].port),
        ("kafka.example", 1234)
    );
    assert_eq!(
        (answer.controller_id.0, answer.cluster_id.as_deref()),
        (NODE_ID, Some("test-cluster"))
    );
    assert_eq!(answer.brokers[0].rack.as_deref(), Some("r1"));
}

#[test]
fn a_partition_without_a_leader_says_so() {
    let broker = Broker::start();
    let id = broker.create_topic("orders", 1);
    let mut image = topic_image("orders", id, 1);
    image.partitions[0].leader = -1;
    broker.server.apply(ImageDelta::Topic(image));
    let answer = metadata(&mut broker.connect(), 12, &by_name(&["orders"]));
    let partition = &answer.topics[0].partitions[0];
    assert_eq!((partition.error_code, partition.leader_id.0), (5, -1));
}

/// Three records, one batch each, at the times given.
fn produce_at(client: &mut Client, acks: i16, times: &[i64]) {
    for time in times {
        let mut builder = BatchBuilder::new();
        builder.append(*time, None, Some(b"x"), &[]);
        let partition = PartitionProduceData::default().with_records(Some(builder.finish().freeze()));
        let topic = TopicProduceData::default()
            .with_name(name("orders"))
            .with_partition_data(vec![partition]);
        let request = ProduceRequest::default()
            .with_acks(acks)
            .with_timeout_ms(1000)
            .with_topic_data(vec![topic]);
        let answer: ProduceResponse = client.ask(PRODUCE, 9, &request);
        assert_eq!(answer.responses[0].partition_responses[0].error_code, 0);
    }
}

fn list_offsets(timestamps: &[i64], partition: i32) -> ListOffsetsRequest {
    let asked = |timestamp: &i64| {
        ListOffsetsPartition::default()
            .with_partition_index(partition)
            .with_timestamp(*timestamp)
    };
    let topic = ListOffsetsTopic::default()
        .with_name(name("orders"))
        .with_partitions(timestamps.iter().map(asked).collect());
    ListOffsetsRequest::default()
        .with_replica_id(kafka_protocol::messages::BrokerId(-1))
        .with_topics(vec![topic])
}

fn list_offset(client: &mut Client, version: i16, timestamp: i64) -> (i16, i64, i64, i32) {
    let answer: ListOffsetsResponse = client.ask(LIST_OFFSETS, version, &list_offsets(&[timestamp], 0));
    let partition = &answer.topics[0].partitions[0];
    (
        partition.error_code,
        partition.timestamp,
        partition.offset,
        partition.leader_epoch,
    )
}

#[test]
fn offsets_are_found_by_every_kind_of_timestamp() {
    let broker = Broker::start();
    broker.create_topic("orders", 1);
    let mut client = broker.connect();
    produce_at(&mut client, -1, &[1000, 3000, 2000]);
    for version in 1..=10 {
        let epoch = if version >= 4 { 0 } else { -1 };
        let find = |client: &mut Client, timestamp| list_offset(client, version, timestamp);
        assert_eq!(find(&mut client, -1), (0, -1, 3, epoch), "latest, version {version}");
        assert_eq!(find(&mut client, -2), (0, -1, 0, epoch), "earliest, version {version}");
        assert_eq!(find(&mut client, 1001), (0, 3000, 1, epoch));
        assert_eq!(find(&mut client, 3001), (0, -1, -1, -1));
        let since = |first, found| if version >= first { found } else { (35, -1, -1, -1) };
        assert_eq!(find(&mut client, -3), since(7, (0, 3000, 1, epoch)), "max timestamp");
        assert_eq!(find(&mut client, -4), since(8, (0, -1, 0, epoch)), "earliest local");
        assert_eq!(find(&mut client, -5), since(9, (0, -1, -1, -1)), "latest tiered");
        assert_eq!(
            find(&mut client, -6),
            (35, -1, -1, -1),
            "earliest pending upload needs version 11"
        );
        assert_eq!(find(&mut client, -7), (35, -1, -1, -1));
    }
}

#[test]
fn a_consumer_is_not_pointed_at_what_is_not_committed() {
    let broker = Broker::start();
    let id = broker.create_topic("orders", 1);
    let mut client = broker.connect();
    produce_at(&mut client, -1, &[1000]);
    let mut image = topic_image("orders", id, 1);
    image.partitions[0].replicas = vec![NODE_ID, 2];
    image.partitions[0].in_sync_replicas = vec![NODE_ID, 2];
    broker.server.apply(ImageDelta::Topic(image));
    produce_at(&mut client, 1, &[2000]);
    assert_eq!(list_offset(&mut client, 7, -1), (0, -1, 1, 0));
    assert_eq!(list_offset(&mut client, 7, 2000), (0, -1, -1, -1));
    assert_eq!(list_offset(&mut client, 7, 1000), (0, 1000, 0, 0));
}

#[test]
fn list_offsets_refuses_duplicates_and_what_is_not_there() {
    let broker = Broker::start();
    broker.create_topic("orders", 1);
    let mut client = broker.connect();
    let answer: ListOffsetsResponse = client.ask(LIST_OFFSETS, 5, &list_offsets(&[-1, -2], 0));
    assert!(
        answer.topics[0]
            .partitions
            .iter()
            .all(|partition| partition.error_code == 42)
    );
    let answer: ListOffsetsResponse = client.ask(LIST_OFFSETS, 5, &list_offsets(&[-1], 9));
    assert_eq!(answer.topics[0].partitions[0].error_code, 3);
    let mut fenced = list_offsets(&[-1], 0);
    fenced.topics[0].partitions[0].current_leader_epoch = 3;
    let answer: ListOffsetsResponse = client.ask(LIST_OFFSETS, 5, &fenced);
    assert_eq!(answer.topics[0].partitions[0].error_code, 75);
}

#[test]
fn the_end_of_an_epoch_is_found() {
    let broker = Broker::start();
    let id = broker.create_topic("orders", 1);
    let mut client = broker.connect();
    produce_at(&mut client, -1, &[1000, 2000]);
    let mut image = topic_image("orders", id, 1);
    image.partitions[0].leader_epoch = 4;
    broker.server.apply(ImageDelta::Topic(image));
    produce_at(&mut client, -1, &[3000]);
    for version in 2..=4 {
        let mut end = |current, epoch| {
            let asked = OffsetForLeaderPartition::default()
                .with_current_leader_epoch(current)
                .with_leader_epoch(epoch);
            let topic = OffsetForLeaderTopic::default()
                .with_topic(name("orders"))
                .with_partitions(vec![asked]);
            let request = OffsetForLeaderEpochRequest::default().with_topics(vec![topic]);
            let answer: OffsetForLeaderEpochResponse = client.ask(OFFSET_FOR_LEADER_EPOCH, version, &request);
            let found = &answer.topics[0].partitions[0];
            (found.error_code, found.leader_epoch, found.end_offset)
        };
        assert_eq!(end(-1, 0), (0, 0, 2));
        assert_eq!(end(4, 2), (0, 0, 2));
        assert_eq!(end(4, 4), (0, 4, 3));
        assert_eq!(end(4, 9), (0, -1, -1));
        assert_eq!(end(3, 4), (74, -1, -1));
        assert_eq!(end(5, 4), (75, -1, -1));
    }
}
