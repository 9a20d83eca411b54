//! One connection: read a request, handle it, answer, and only then look at the next.
//!
//! So answers leave in the order of the requests, as Kafka's do: it mutes a channel until the answer is sent. What a
//! client pipelines waits in its socket, and answers to requests that were already here leave in one write. While a
//! request waits (a long poll, a rebalance) the connection reads ahead a little, which is how it learns that the client
//! is gone. Bad input costs the sender this connection and the log one line.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;
use tokio::sync::oneshot::error::RecvError;
use tokio::time::{Instant, timeout, timeout_at};

use crate::access::Permissions;
use crate::config::ApiRange;
use crate::control::{ClientSoftware, ConnectionId, ControlRequest, Outcome, Reply};
use crate::counters::add;
use crate::error_code::ErrorCode;
use crate::handlers::fetch::FetchOperation;
use crate::handlers::produce::ProduceOperation;
use crate::handlers::verification::Answers;
use crate::handlers::{DelayedOperation, api_versions, leased, list_offsets, metadata, offset_for_leader_epoch};
use crate::input::{BadFrameSize, Input};
use crate::node::{ClientContext, Node};
use crate::output::Output;
use crate::quotas::{ANONYMOUS, Principal};
use crate::registry::{Activity, Registry};
use crate::server::shut_down;
use crate::wire::header::{RequestPrefix, decode_client_id};
use crate::wire::{self, DecodeError, add_partitions_to_txn, api_key};
use throttle::Stopwatch;

mod throttle;

/// Answers gather up to this much before they are sent, as long as more requests are here.
const GATHER_BYTES: usize = 64 * 1024;
/// How far to read ahead while a request waits.
const READ_AHEAD_BYTES: usize = 64 * 1024;
/// An idle connection gives back a large buffer after this long.
const GIVE_BACK_AFTER: Duration = Duration::from_secs(1);

/// Why a connection ended.
#[derive(Debug)]
pub(crate) enum Disconnect {
    ByClient,
    ByControlPlane,
    ShuttingDown,
    Io(io::Error),
    Malformed(String),
    /// A test asked for it.
    ByFault,
    /// acks=0 and an error: there is no other way to tell.
    ProduceFailed(String),
}

impl From<io::Error> for Disconnect {
    fn from(error: io::Error) -> Self {
        Disconnect::Io(error)
    }
}

impl From<DecodeError> for Disconnect {
    fn from(error: DecodeError) -> Self {
        Disconnect::Malformed(error.to_string())
    }
}

impl From<BadFrameSize> for Disconnect {
    fn from(size: BadFrameSize) -> Self {
        Disconnect::Malformed(format!("a frame of {} bytes was announced", size.0))
    }
}

/// Where a connection came in, and what its client is told about this node.
#[derive(Clone, Debug)]
pub(crate) struct Origin {
    pub(crate) listener: Arc<str>,
    pub(crate) peer: SocketAddr,
    pub(crate) advertised: (Arc<str>, u16),
}

/// One request, its header taken off.
struct Request {
    api: ApiRange,
    prefix: RequestPrefix,
    header: BytesMut,
    body: BytesMut,
}

impl Request {
    fn parse(prefix: RequestPrefix, api: ApiRange, mut frame: BytesMut) -> Result<Request, DecodeError> {
        let (_, body_at) = decode_client_id(&frame, prefix.api_version >= api.flexible_since)?;
        let body = frame.split_off(body_at);
        Ok(Request {
            api,
            prefix,
            header: frame,
            body,
        })
    }

    fn is_flexible(&self) -> bool {
        self.prefix.api_version >= self.api.flexible_since
    }

    fn client_id(&self) -> Option<&str> {
        decode_client_id(&self.header, self.is_flexible()).ok()?.0
    }

    /// Response headers are tagged in flexible versions, except that of ApiVersions.
    fn has_tagged_response_header(&self) -> bool {
        self.is_flexible() && self.prefix.api_key != api_key::API_VERSIONS
    }
}

/// The state of one connection.
pub(crate) struct Connection {
    node: Arc<Node>,
    registry: Arc<Registry>,
    activity: Arc<Activity>,
    id: ConnectionId,
    origin: Origin,
    /// Type and name of the user. A listener that asks for a proof puts another one here.
    principal: Arc<str>,
    permissions: Option<Permissions>,
    stream: TcpStream,
    input: Input,
    output: Output,
    software: Option<ClientSoftware>,
    known_to_control: bool,
    stopwatch: Stopwatch,
    /// For how long this client is not listened to after its answer.
    throttle_ms: u32,
}

impl Connection {
    pub(crate) fn new(
        node: Arc<Node>,
        registry: Arc<Registry>,
        activity: Arc<Activity>,
        id: ConnectionId,
        origin: Origin,
        stream: TcpStream,
    ) -> Self {
        let input = Input::new(node.config.max_request_bytes);
        activity.touch(node.uptime_ms());
        Connection {
            node,
            registry,
            activity,
            id,
            origin,
            principal: format!("User:{ANONYMOUS}").into(),
            permissions: None,
            stream,
            input,
            output: Output::default(),
            software: None,
            known_to_control: false,
            stopwatch: Stopwatch::default(),
            throttle_ms: 0,
        }
    }

    /// Serve until one side ends it.
    pub(crate) async fn run(mut self) {
        let Err(reason) = self.serve().await;
        // Requests before the one that ended the connection are owed their answers.
        self.output.abandon();
        if !matches!(reason, Disconnect::Io(_) | Disconnect::ByClient) {
            let _ = self.flush().await;
        }
        let peer = self.origin.peer;
        match reason {
            Disconnect::Malformed(why) => {
                add(&self.node.counters.malformed_requests, 1);
                tracing::info!(%peer, %why, "closing a connection after a malformed request");
            }
            Disconnect::ProduceFailed(why) => {
                tracing::info!(%peer, %why, "closing a connection after a failed produce request with acks=0");
            }
            Disconnect::Io(error) => tracing::debug!(%peer, %error, "a connection broke"),
            Disconnect::ByClient | Disconnect::ByControlPlane | Disconnect::ByFault | Disconnect::ShuttingDown => {
                tracing::debug!(%peer, ?reason, "a connection ended");
            }
        }
    }

    async fn serve(&mut self) -> Result<std::convert::Infallible, Disconnect> {
        loop {
            let frame = self.next_frame().await?;
            let length = frame.len();
            add(&self.node.counters.bytes_received, length as u64 + 4);
            self.stopwatch = Stopwatch::start(self.node.quotas.limits_requests());
            self.handle(frame).await?;
            if self.throttle_ms > 0 {
                self.mute().await?;
            }
            // After a large frame others have waited, and so has its own answer.
            if length >= GATHER_BYTES || self.output.len() >= GATHER_BYTES {
                self.flush().await?;
            }
            tokio::task::coop::consume_budget().await;
        }
    }

    async fn next_frame(&mut self) -> Result<BytesMut, Disconnect> {
        loop {
            if self.registry.is_shutting_down() {
                self.flush().await?;
                return Err(Disconnect::ShuttingDown);
            }
            if let Some(frame) = self.input.take_frame()? {
                return Ok(frame);
            }
            self.flush().await?;
            self.activity.wait_for_client(true);
            let received = self.receive().await;
            self.activity.wait_for_client(false);
            if received? == 0 {
                return Err(Disconnect::ByClient);
            }
            self.activity.touch(self.node.uptime_ms());
        }
    }

    async fn receive(&mut self) -> io::Result<usize> {
        if self.input.is_bloated() {
            self.input.make_room();
            match timeout(GIVE_BACK_AFTER, self.stream.read_buf(&mut self.input.buffer)).await {
                Ok(received) => return received,
                Err(_) => self.input.give_back(),
            }
        }
        self.input.make_room();
        self.stream.read_buf(&mut self.input.buffer).await
    }

    async fn flush(&mut self) -> io::Result<()> {
        if self.output.is_empty() {
            return Ok(());
        }
        if self.node.faults.any() {
            self.node.faults.resumed().await;
        }
        self.activity.wait_for_client(true);
        let (node, activity) = (&self.node, &self.activity);
        let sent = self
            .output
            .flush(&self.stream, || activity.touch(node.uptime_ms()))
            .await;
        self.activity.wait_for_client(false);
        add(&self.node.counters.bytes_sent, sent? as u64);
        Ok(())
    }

    async fn handle(&mut self, frame: BytesMut) -> Result<(), Disconnect> {
        let prefix = RequestPrefix::decode(&frame)?;
        self.node.counters.count_request(prefix.api_key);
        let Some(api) = self.node.api(prefix.api_key).copied() else {
            return Err(Disconnect::Malformed(format!("unknown API key {}", prefix.api_key)));
        };
        if !(api.lowest_served()..=api.max).contains(&prefix.api_version) {
            if prefix.api_key == api_key::API_VERSIONS {
                self.output.begin(prefix.correlation_id, false);
                api_versions::respond_unsupported(&self.node, &mut self.output.writer(false));
                self.output.end();
                return Ok(());
            }
            let (key, version) = (prefix.api_key, prefix.api_version);
            return Err(Disconnect::Malformed(format!(
                "version {version} of API key {key} is not supported"
            )));
        }
        let request = Request::parse(prefix, api, frame)?;
        let (principal, peer) = (&self.principal, self.origin.peer);
        self.node.access.refresh(&mut self.permissions, || {
            (principal.clone(), peer.ip().to_canonical().to_string())
        });
        let (api_key, started) = (request.prefix.api_key, Instant::now());
        if self.node.faults.any() {
            // Boxed: a request that meets no fault carries none of this.
            Box::pin(self.suffer(request)).await?;
        } else {
            self.answer(request).await?;
        }
        self.node.counters.time_request(api_key, started.elapsed());
        Ok(())
    }

    /// Carry out a request with whatever faults a test has asked for.
    async fn suffer(&mut self, request: Request) -> Result<(), Disconnect> {
        self.flush().await?;
        let node = self.node.clone();
        let treatment = node.faults.meet(request.prefix.api_key);
        if !treatment.delay.is_zero() {
            self.wait_for(tokio::time::sleep(treatment.delay)).await?;
        }
        self.wait_for(node.faults.resumed()).await?;
        if treatment.drop_before {
            return Err(Disconnect::ByFault);
        }
        match treatment.refusal {
            Some(code) => self.ask_control(request, Some(code)).await?,
            None => self.answer(request).await?,
        }
        if treatment.drop_after {
            self.output.clear();
            return Err(Disconnect::ByFault);
        }
        Ok(())
    }

    async fn answer(&mut self, request: Request) -> Result<(), Disconnect> {
        let api = request.api;
        match request.prefix.api_key {
            api_key::PRODUCE if api.hot => self.produce(request).await,
            api_key::FETCH if api.hot => self.fetch(request).await,
            api_key::METADATA if api.hot => {
                let client = self.client(&request);
                if metadata::wants_creation(&self.node, &client, &request.body, request.prefix.api_version)? {
                    self.ask_control(request, None).await
                } else {
                    self.answer_at_once(&request)
                }
            }
            api_key::LIST_OFFSETS | api_key::API_VERSIONS | api_key::OFFSET_FOR_LEADER_EPOCH if api.hot => {
                self.answer_at_once(&request)
            }
            api_key::HEARTBEAT | api_key::CONSUMER_GROUP_HEARTBEAT if self.answer_under_lease(&request) => Ok(()),
            _ => self.ask_control(request, None).await,
        }
    }

    /// Who asks. It borrows the connection: where that is being changed, it is made of its parts.
    fn client<'a>(&'a self, request: &'a Request) -> ClientContext<'a> {
        ClientContext::new(&self.origin, request.client_id(), self.permissions.as_ref())
    }

    fn begin_answer(&mut self, request: &Request) {
        self.output
            .begin(request.prefix.correlation_id, request.has_tagged_response_header());
    }

    /// The requests that are answered from what is in memory.
    fn answer_at_once(&mut self, request: &Request) -> Result<(), Disconnect> {
        self.begin_answer(request);
        let (version, body, node) = (request.prefix.api_version, &request.body[..], &self.node);
        let client = ClientContext::new(&self.origin, request.client_id(), self.permissions.as_ref());
        let writer = &mut self.output.writer(request.is_flexible());
        match request.prefix.api_key {
            api_key::METADATA => metadata::respond(node, &client, body, version, writer)?,
            api_key::LIST_OFFSETS => list_offsets::respond(node, &client, body, version, writer)?,
            api_key::OFFSET_FOR_LEADER_EPOCH => {
                offset_for_leader_epoch::respond(node, &client, body, version, writer)?;
            }
            api_key::API_VERSIONS => {
                if let Some(software) = api_versions::respond(node, body, version, writer)? {
                    self.software = Some(software);
                }
            }
            key => return Err(Disconnect::Malformed(format!("API key {key} has no handler here"))),
        }
        let throttle_at = writer.throttle_at();
        self.end_cheap_answer(request, throttle_at);
        Ok(())
    }

    /// Answer a heartbeat that brings nothing new, if its member holds a lease; false when it was not answered.
    fn answer_under_lease(&mut self, request: &Request) -> bool {
        let prefix = &request.prefix;
        let (asked, peer) = ((prefix.api_key, prefix.api_version), self.origin.peer.ip());
        let Some(unchanged) = leased::look(&self.node, asked, &request.body, &self.client(request), peer) else {
            return false;
        };
        self.begin_answer(request);
        let mut writer = self.output.writer(request.is_flexible());
        unchanged.encode(prefix.api_version, &mut writer);
        let throttle_at = writer.throttle_at();
        self.end_cheap_answer(request, throttle_at);
        true
    }

    /// End the answer to a request that costs nothing but time.
    fn end_cheap_answer(&mut self, request: &Request, throttle_at: Option<usize>) {
        self.throttle_ms = self.charge_request(request);
        self.output.set_throttle_time(throttle_at, self.throttle_ms);
        self.output.end();
    }

    async fn produce(&mut self, mut request: Request) -> Result<(), Disconnect> {
        let version = request.prefix.api_version;
        let frame_bytes = request.header.len() + request.body.len();
        let body = std::mem::take(&mut request.body);
        let mut operation = ProduceOperation::start(&self.node, &self.client(&request), body, version)?;
        self.verify(&request, &mut operation).await?;
        operation.append(&self.node, &self.client(&request));
        self.complete(&mut operation).await?;
        self.throttle_ms = self.charge_produce(&request, frame_bytes, operation.wants_answer());
        if operation.wants_answer() {
            self.begin_answer(&request);
            let mut writer = self.output.writer(wire::produce::is_flexible(version));
            operation.encode(&mut writer, version);
            let throttle_at = writer.throttle_at();
            self.output.set_throttle_time(throttle_at, self.throttle_ms);
            self.output.end();
        } else if let Some((partition, code)) = operation.first_error() {
            return Err(Disconnect::ProduceFailed(format!("error {} on {partition}", code.0)));
        }
        Ok(())
    }

    /// Ask the transaction coordinator what a produce request has to know before its records are appended.
    async fn verify(&mut self, request: &Request, operation: &mut ProduceOperation) -> Result<(), Disconnect> {
        let Some(question) = operation.question() else {
            return Ok(());
        };
        let config = &self.node.config;
        let pause = Duration::from_millis(config.verification_backoff_ms);
        let deadline = Instant::now() + Duration::from_millis(config.verification_backoff_max_ms);
        let answers = loop {
            let asked = (api_key::ADD_PARTITIONS_TO_TXN, add_partitions_to_txn::VERSION);
            let answer = match self.submit(request, asked, question.encode(), None, None).await? {
                Ok(Outcome::Body(body, _)) => question.read(Some(&body)),
                _ => question.read(None),
            };
            let unfinished = answers_say(&answer, ErrorCode::CONCURRENT_TRANSACTIONS);
            if !unfinished || !question.may_be_repeated() || Instant::now() >= deadline {
                break answer;
            }
            self.wait_for(tokio::time::sleep(pause)).await?;
        };
        operation.answered(&answers);
        Ok(())
    }

    async fn fetch(&mut self, request: Request) -> Result<(), Disconnect> {
        let largest = self
            .node
            .quotas
            .largest_fetch(Principal::anonymous(request.client_id()));
        let (version, client) = (request.prefix.api_version, self.client(&request));
        let mut operation = FetchOperation::start(&self.node, &client, &request.body, version, largest)?;
        self.complete(&mut operation).await?;
        let (throttle_ms, withheld) = self.charge_fetch(&request, operation.readable_bytes());
        self.throttle_ms = throttle_ms;
        self.begin_answer(&request);
        if withheld {
            operation.respond_without_records(throttle_ms, &mut self.output);
        } else {
            let client = ClientContext::new(&self.origin, request.client_id(), self.permissions.as_ref());
            operation.respond(&client, throttle_ms, &mut self.output)?;
        }
        self.output.end();
        Ok(())
    }

    /// Wait until an operation can be answered.
    async fn complete(&mut self, operation: &mut impl DelayedOperation) -> Result<(), Disconnect> {
        if operation.try_complete() {
            return Ok(());
        }
        let deadline = Instant::now() + operation.max_wait();
        let waiter = operation.waiter();
        self.flush().await?;
        while !operation.try_complete() {
            if self.wait_for(timeout_at(deadline, waiter.woken())).await?.is_err() {
                operation.expire();
                break;
            }
        }
        Ok(())
    }

    /// Wait for something on our side, reading ahead meanwhile: the end of the client ends the wait.
    async fn wait_for<T>(&mut self, awaited: impl Future<Output = T>) -> Result<T, Disconnect> {
        tokio::pin!(awaited);
        let paused = self.stopwatch.pause();
        loop {
            let reads_ahead = self.input.buffer.len() < READ_AHEAD_BYTES;
            if reads_ahead {
                self.input.make_room();
            }
            tokio::select! {
                biased;
                done = &mut awaited => {
                    self.stopwatch.resume(paused);
                    return Ok(done);
                }
                received = self.stream.read_buf(&mut self.input.buffer), if reads_ahead => {
                    if received? == 0 {
                        return Err(Disconnect::ByClient);
                    }
                }
            }
        }
    }

    /// Hand a request to the control plane, and its answer to the client.
    async fn ask_control(&mut self, request: Request, refusal: Option<ErrorCode>) -> Result<(), Disconnect> {
        let asked = (request.prefix.api_key, request.prefix.api_version);
        let (body, principal) = (request.body.clone().freeze(), Some(self.principal.clone()));
        match self.submit(&request, asked, body, principal, refusal).await? {
            Ok(Outcome::Body(body, throttle_ms)) => {
                self.begin_answer(&request);
                self.output.put(&body);
                self.output.end();
                self.throttle_ms = throttle_ms;
                Ok(())
            }
            Ok(Outcome::ServeHot) => self.answer_at_once(&request),
            Ok(Outcome::Close) | Err(_) => Err(Disconnect::ByControlPlane),
        }
    }

    /// Have the control plane answer `body`, a request of key and version `asked` that belongs to `request`; without a
    /// principal it is this node that asks.
    async fn submit(
        &mut self,
        request: &Request,
        asked: (i16, i16),
        body: Bytes,
        principal: Option<Arc<str>>,
        refusal: Option<ErrorCode>,
    ) -> Result<Result<Outcome, RecvError>, Disconnect> {
        self.flush().await?;
        let (reply, outcome) = Reply::channel();
        self.known_to_control = true;
        self.node.control.submit(ControlRequest {
            connection_id: self.id,
            listener: self.origin.listener.clone(),
            principal,
            peer: self.origin.peer,
            advertised: self.origin.advertised.clone(),
            api_key: asked.0,
            api_version: asked.1,
            correlation_id: request.prefix.correlation_id,
            client_id: request.client_id().map(str::to_owned),
            software: self.software.clone(),
            refusal,
            body,
            reply,
        });
        self.wait_for(outcome).await
    }
}

fn answers_say(answers: &Answers, code: ErrorCode) -> bool {
    answers.values().any(|each| *each == code)
}

impl<'a> ClientContext<'a> {
    fn new(origin: &'a Origin, client_id: Option<&'a str>, permissions: Option<&'a Permissions>) -> Self {
        ClientContext {
            client_id,
            permissions,
            listener: &origin.listener,
            advertised_host: &origin.advertised.0,
            advertised_port: origin.advertised.1,
        }
    }
}

impl Drop for Connection {
    /// Also when the task was aborted: everybody who counts connections is told.
    fn drop(&mut self) {
        // A process that was forked from this one may hold the socket too: for the client it ends all the same.
        shut_down(&self.stream);
        self.registry.leave(self.id, self.origin.peer.ip());
        if self.known_to_control {
            self.node.control.connection_closed(self.id);
        }
    }
}
