//! A real server on a real socket and a temporary directory, with a control plane that the test plays, and a client
//! that sends exactly the bytes it is told to.
#![allow(dead_code, reason = "every test file is a crate of its own and uses a part of this")]

pub mod records;

use std::collections::HashMap;
use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::mpsc::{self, Receiver, Sender};
use std::time::{Duration, Instant};

use bytes::{Bytes, BytesMut};
use kafka_protocol::messages::{AddPartitionsToTxnRequest, RequestHeader, ResponseHeader};
use kafka_protocol::protocol::{Decodable, Encodable, HeaderVersion, StrBytes};
use moldau_log::batch::BatchBuilder;
use moldau_log::{FileSystem, LogConfig, LogManager, LogManagerConfig, PartitionSpec, Storage, TopicPartition};
use moldau_server::{
    Advertised, ApiRange, BrokerEndpoint, BrokerImage, ConnectionId, ControlPlane, ControlRequest, FinalizedFeature,
    ImageDelta, Leases, Listener, PartitionImage, QuotaWindows, Reply, Server, ServerConfig, SupportedFeature,
    TopicImage,
};
use parking_lot::Mutex;
use tempfile::TempDir;
use uuid::Uuid;

pub const PRODUCE: i16 = 0;
pub const FETCH: i16 = 1;
pub const LIST_OFFSETS: i16 = 2;
pub const METADATA: i16 = 3;
/// A key that goes to the control plane.
pub const FIND_COORDINATOR: i16 = 10;
pub const HEARTBEAT: i16 = 12;
pub const API_VERSIONS: i16 = 18;
pub const OFFSET_FOR_LEADER_EPOCH: i16 = 23;
pub const CONSUMER_GROUP_HEARTBEAT: i16 = 68;

pub const NODE_ID: i32 = 1;
pub const WINDOWS: QuotaWindows = QuotaWindows {
    count: 11,
    size_ms: 1000,
};
/// Long enough for a busy machine, short enough to end a broken test.
pub const PATIENCE: Duration = Duration::from_secs(20);

/// What the server told its control plane.
#[derive(Debug)]
pub enum Event {
    Request(ControlRequest),
    Closed(ConnectionId),
    Committed(u64),
}

struct PlayedControlPlane(Mutex<Sender<Event>>);

impl PlayedControlPlane {
    fn tell(&self, event: Event) {
        // The test may have ended already.
        let _ = self.0.lock().send(event);
    }
}

impl ControlPlane for PlayedControlPlane {
    fn submit(&self, request: ControlRequest) {
        self.tell(Event::Request(request));
    }

    fn connection_closed(&self, connection: ConnectionId) {
        self.tell(Event::Closed(connection));
    }

    fn committed(&self, token: u64) {
        self.tell(Event::Committed(token));
    }
}

pub fn config() -> ServerConfig {
    let api = |key, min, max, flexible_since, hot| ApiRange {
        key,
        min,
        max,
        flexible_since,
        hot,
    };
    ServerConfig {
        node_id: NODE_ID,
        cluster_id: "test-cluster".to_owned(),
        listeners: vec![Listener {
            name: "PLAINTEXT".to_owned(),
            host: "127.0.0.1".to_owned(),
            port: 0,
            advertised: Advertised::AsReached,
        }],
        max_request_bytes: 100 * 1024 * 1024,
        connections_max_idle_ms: 600_000,
        max_connections: 100_000,
        max_connections_per_ip: 100_000,
        worker_threads: 2,
        fetch_max_bytes: 55 * 1024 * 1024,
        max_incremental_fetch_sessions: 1000,
        auto_create_topics: true,
        quota_windows: WINDOWS,
        mutation_windows: WINDOWS,
        verify_transactions: true,
        verification_backoff_ms: 5,
        verification_backoff_max_ms: 100,
        socket_send_buffer_bytes: -1,
        socket_receive_buffer_bytes: -1,
        apis: vec![
            api(PRODUCE, 0, 13, 9, true),
            api(FETCH, 4, 18, 12, true),
            api(LIST_OFFSETS, 1, 11, 6, true),
            api(METADATA, 0, 13, 9, true),
            api(FIND_COORDINATOR, 0, 6, 3, false),
            api(HEARTBEAT, 0, 4, 4, false),
            api(API_VERSIONS, 0, 4, 3, true),
            api(OFFSET_FOR_LEADER_EPOCH, 2, 4, 4, true),
            api(CONSUMER_GROUP_HEARTBEAT, 0, 1, 0, false),
        ],
        supported_features: vec![SupportedFeature {
            name: "group.version".to_owned(),
            min: 0,
            max: 1,
        }],
        finalized_features: vec![FinalizedFeature {
            name: "group.version".to_owned(),
            level: 1,
        }],
        finalized_features_epoch: 3,
    }
}

/// Without a word of the transaction coordinator.
pub fn unverified() -> ServerConfig {
    ServerConfig {
        verify_transactions: false,
        ..config()
    }
}

pub struct Broker {
    pub server: Server,
    pub logs: Arc<LogManager>,
    pub leases: Arc<Leases>,
    events: Mutex<Receiver<Event>>,
    ids: Mutex<HashMap<String, Uuid>>,
    _directory: TempDir,
}

impl Broker {
    pub fn start() -> Broker {
        Broker::start_with(config())
    }

    pub fn start_with(config: ServerConfig) -> Broker {
        Broker::start_on(Arc::new(FileSystem), config)
    }

    pub fn start_on(storage: Arc<dyn Storage>, config: ServerConfig) -> Broker {
        let directory = TempDir::new().unwrap();
        let settings = LogManagerConfig {
            directories: vec![directory.path().to_owned()],
            storage,
            durable: false,
            ..LogManagerConfig::default()
        };
        let logs = Arc::new(LogManager::open(settings).unwrap());
        let (sender, events) = mpsc::channel();
        let endpoint = BrokerEndpoint {
            listener: "PLAINTEXT".into(),
            host: "not-used".into(),
            port: 1,
        };
        let image = vec![
            ImageDelta::Broker(BrokerImage {
                id: NODE_ID,
                rack: Some("r1".into()),
                endpoints: vec![endpoint],
            }),
            ImageDelta::Controller(NODE_ID),
        ];
        let control = Arc::new(PlayedControlPlane(Mutex::new(sender)));
        let leases = Arc::<Leases>::default();
        let server = Server::start(config, logs.clone(), control, leases.clone(), image).unwrap();
        Broker {
            server,
            logs,
            leases,
            events: Mutex::new(events),
            ids: Mutex::default(),
            _directory: directory,
        }
    }

    pub fn address(&self) -> SocketAddr {
        self.server.addresses()[0]
    }

    /// Create the logs of a topic, and let the image know.
    pub fn create_topic(&self, name: &str, partitions: i32) -> Uuid {
        self.create_topic_with(name, partitions, LogConfig::default())
    }

    pub fn create_topic_with(&self, name: &str, partitions: i32, config: LogConfig) -> Uuid {
        let id = Uuid::new_v4();
        for partition in 0..partitions {
            let topic_partition = TopicPartition::new(name, partition);
            self.logs
                .create(
                    PartitionSpec {
                        topic_partition,
                        topic_id: id,
                        config: config.clone(),
                    },
                    0,
                )
                .unwrap();
        }
        self.ids.lock().insert(name.to_owned(), id);
        self.server.apply(ImageDelta::Topic(topic_image(name, id, partitions)));
        id
    }

    pub fn topic_id(&self, name: &str) -> Uuid {
        self.ids.lock()[name]
    }

    pub fn delete_topic(&self, name: &str, partitions: i32) {
        self.server.apply(ImageDelta::TopicRemoved(name.into()));
        let all: Vec<_> = (0..partitions)
            .map(|partition| TopicPartition::new(name, partition))
            .collect();
        let failures = self.logs.delete_all(&all, 0);
        assert!(failures.is_empty(), "{failures:?}");
    }

    pub fn connect(&self) -> Client {
        Client::connect(self.address())
    }

    /// The next event that is not about the end of a connection.
    pub fn next_event(&self) -> Event {
        self.events
            .lock()
            .recv_timeout(PATIENCE)
            .expect("the control plane is told something")
    }

    pub fn next_request(&self) -> ControlRequest {
        match self.next_event() {
            Event::Request(request) => request,
            other => panic!("expected a request, got {other:?}"),
        }
    }

    /// What the control plane is asked about a transaction, and where the answer goes.
    pub fn next_question(&self) -> (AddPartitionsToTxnRequest, Reply) {
        let asked = self.next_request();
        assert_eq!((asked.api_key, asked.api_version), (24, 5));
        let mut body = asked.body.clone();
        let question = AddPartitionsToTxnRequest::decode(&mut body, 5).unwrap();
        assert!(body.is_empty(), "{} bytes are left over after the question", body.len());
        (question, asked.reply)
    }

    pub fn counter(&self, name: &str) -> u64 {
        self.server.counters().get(name).copied().unwrap_or(0)
    }

    pub fn wait_until(&self, what: &str, condition: impl Fn(&Broker) -> bool) {
        let deadline = Instant::now() + PATIENCE;
        while !condition(self) {
            assert!(Instant::now() < deadline, "waited in vain until {what}");
            std::thread::sleep(Duration::from_millis(2));
        }
    }
}

pub fn topic_image(name: &str, id: Uuid, partitions: i32) -> TopicImage {
    let partition = |partition| PartitionImage {
        partition,
        leader: NODE_ID,
        leader_epoch: 0,
        replicas: vec![NODE_ID],
        in_sync_replicas: vec![NODE_ID],
        offline_replicas: Vec::new(),
    };
    TopicImage {
        name: name.into(),
        id,
        internal: name.starts_with("__"),
        min_insync_replicas: 1,
        partitions: (0..partitions).map(partition).collect(),
    }
}

/// One batch with these values.
pub fn batch(values: &[&[u8]]) -> Bytes {
    let mut builder = BatchBuilder::new();
    for value in values {
        builder.append(1_000, None, Some(value), &[]);
    }
    builder.finish().freeze()
}

/// A connection that sends what it is told.
pub struct Client {
    pub stream: TcpStream,
    pub next_correlation_id: i32,
}

impl Client {
    pub fn connect(address: SocketAddr) -> Client {
        let stream = TcpStream::connect(address).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.set_nodelay(true).unwrap();
        Client {
            stream,
            next_correlation_id: 1,
        }
    }

    /// The bytes of a request, its size before it.
    pub fn frame<R: Encodable + HeaderVersion>(&mut self, key: i16, version: i16, request: &R) -> (i32, Vec<u8>) {
        let correlation_id = self.next_correlation_id;
        self.next_correlation_id += 1;
        let mut body = BytesMut::new();
        RequestHeader::default()
            .with_request_api_key(key)
            .with_request_api_version(version)
            .with_correlation_id(correlation_id)
            .with_client_id(Some(StrBytes::from_static_str("tester")))
            .encode(&mut body, R::header_version(version))
            .unwrap();
        request.encode(&mut body, version).unwrap();
        let mut frame = (body.len() as i32).to_be_bytes().to_vec();
        frame.extend_from_slice(&body);
        (correlation_id, frame)
    }

    pub fn send<R: Encodable + HeaderVersion>(&mut self, key: i16, version: i16, request: &R) -> i32 {
        let (correlation_id, frame) = self.frame(key, version, request);
        self.stream.write_all(&frame).unwrap();
        correlation_id
    }

    /// The next answer: its bytes after the size.
    pub fn receive_bytes(&mut self) -> io::Result<Bytes> {
        let mut size = [0; 4];
        self.stream.read_exact(&mut size)?;
        let mut body = vec![0; i32::from_be_bytes(size) as usize];
        self.stream.read_exact(&mut body)?;
        Ok(body.into())
    }

    pub fn receive<A: Decodable + HeaderVersion>(&mut self, version: i16) -> (i32, A) {
        let mut bytes = self.receive_bytes().expect("an answer");
        let header = ResponseHeader::decode(&mut bytes, A::header_version(version)).unwrap();
        let answer = A::decode(&mut bytes, version).unwrap();
        assert!(bytes.is_empty(), "{} bytes are left over after the answer", bytes.len());
        (header.correlation_id, answer)
    }

    pub fn ask<R, A>(&mut self, key: i16, version: i16, request: &R) -> A
    where
        R: Encodable + HeaderVersion,
        A: Decodable + HeaderVersion,
    {
        let asked = self.send(key, version, request);
        let (answered, answer) = self.receive(version);
        assert_eq!(asked, answered, "the answer belongs to the request");
        answer
    }

    /// The server closes, without another byte.
    pub fn expect_closed(&mut self) {
        let mut byte = [0];
        match self.stream.read(&mut byte) {
            Ok(0) => {}
            Ok(_) => panic!("the server sent a byte where it should have closed"),
            Err(error) => {
                assert_eq!(
                    error.kind(),
                    io::ErrorKind::ConnectionReset,
                    "the server should have closed: {error}"
                );
            }
        }
    }
}
