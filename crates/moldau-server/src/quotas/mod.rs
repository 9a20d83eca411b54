//! Client quotas: how much a client may use, and how long one that used more has to wait.
//!
//! Which quotas there are is decided by the control plane and comes with the image. Here is found which of them counts
//! for a client, and measured what the client uses. A kind of quota that nobody has set costs one atomic load.
//!
//! Source: KIP-13, KIP-124 (time), KIP-219 (answer first, then wait), KIP-599 (changes of topics), KIP-612
//! (connections), Kafka's `ClientQuotaManager`.

pub(crate) mod rate;

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use parking_lot::{Mutex, RwLock};

pub use rate::QuotaWindows;
use rate::{Rate, TokenBucket};

/// The user that every client of a listener without authentication is.
pub(crate) const ANONYMOUS: &str = "ANONYMOUS";
/// So many clients are measured before those that no longer count are looked for.
const SWEEP_FROM: usize = 1024;

/// Whom a quota is for, on one side: the user or the client id.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum QuotaName {
    /// The quota does not look at this side.
    Any,
    /// Each of those that have no quota of their own.
    Default,
    /// This one.
    Named(String),
}

/// What a quota limits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum QuotaKind {
    /// Bytes of Produce requests per second.
    Produce,
    /// Bytes of records in Fetch answers per second.
    Fetch,
    /// Time in which the node works for the client, in percent of one processor.
    Request,
    /// Partitions created and deleted per second.
    Mutation,
}

/// One quota of a user, a client id, or both.
#[derive(Clone, Debug, PartialEq)]
pub struct ClientQuota {
    /// The user.
    pub user: QuotaName,
    /// The client id.
    pub client_id: QuotaName,
    /// What is limited.
    pub kind: QuotaKind,
    /// To how much.
    pub limit: f64,
}

/// Every quota of the cluster.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct QuotaImage {
    /// Of users and client ids.
    pub clients: Vec<ClientQuota>,
    /// New connections per second of an address; `None` for each address without a limit of its own.
    pub connections: Vec<(Option<IpAddr>, f64)>,
}

/// Who is measured.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Principal<'a> {
    pub(crate) user: &'a str,
    pub(crate) client_id: &'a str,
}

impl<'a> Principal<'a> {
    pub(crate) fn anonymous(client_id: Option<&'a str>) -> Self {
        Principal {
            user: ANONYMOUS,
            client_id: client_id.unwrap_or(""),
        }
    }
}

/// What a quota says to a fetch.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct FetchVerdict {
    /// How long the consumer has to wait.
    pub(crate) throttle_ms: u64,
    /// Whether it gets its records only then.
    pub(crate) withheld: bool,
}

/// How one side of an entity is looked up.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Side {
    Any,
    Default,
    Exact,
}

/// The most specific quota counts, in this order of user and client id.
const PRECEDENCE: [(Side, Side); 8] = [
    (Side::Exact, Side::Exact),
    (Side::Exact, Side::Default),
    (Side::Exact, Side::Any),
    (Side::Default, Side::Exact),
    (Side::Default, Side::Default),
    (Side::Default, Side::Any),
    (Side::Any, Side::Exact),
    (Side::Any, Side::Default),
];

/// One string per entity, so that a lookup borrows it: `=name`, `*` for the default, `-` for a side that is not looked at.
fn entity(user: (Side, &str), client_id: (Side, &str)) -> String {
    let mut key = String::with_capacity(user.1.len() + client_id.1.len() + 3);
    for (number, (side, name)) in [user, client_id].into_iter().enumerate() {
        if number > 0 {
            key.push('\0');
        }
        match side {
            Side::Any => key.push('-'),
            Side::Default => key.push('*'),
            Side::Exact => {
                key.push('=');
                key.push_str(name);
            }
        }
    }
    key
}

fn side(name: &QuotaName) -> (Side, &str) {
    match name {
        QuotaName::Any => (Side::Any, ""),
        QuotaName::Default => (Side::Default, ""),
        QuotaName::Named(name) => (Side::Exact, name),
    }
}

/// The limits of one kind.
#[derive(Debug, Default)]
struct Limits {
    by_entity: HashMap<String, f64>,
    /// Which rows of [`PRECEDENCE`] have an entry at all.
    levels: [bool; PRECEDENCE.len()],
}

impl Limits {
    fn of(image: &QuotaImage, kind: QuotaKind) -> Limits {
        let mut limits = Limits::default();
        for quota in image.clients.iter().filter(|quota| quota.kind == kind) {
            let (user, client_id) = (side(&quota.user), side(&quota.client_id));
            if let Some(level) = PRECEDENCE.iter().position(|row| *row == (user.0, client_id.0)) {
                limits.levels[level] = true;
                limits.by_entity.insert(entity(user, client_id), quota.limit);
            }
        }
        limits
    }

    /// The limit that counts for a client, and the name under which it is measured: clients of a user share the user's
    /// quota, while each client has a default for itself.
    fn find(&self, who: Principal<'_>) -> Option<(String, f64)> {
        let rows = PRECEDENCE.iter().zip(self.levels).filter(|(_, exists)| *exists);
        rows.filter(|((_, client_id), _)| *client_id == Side::Any || !who.client_id.is_empty())
            .find_map(|((user, client_id), _)| {
                let limit = self
                    .by_entity
                    .get(&entity((*user, who.user), (*client_id, who.client_id)))?;
                let measured = |side: Side| if side == Side::Any { Side::Any } else { Side::Exact };
                let name = entity((measured(*user), who.user), (measured(*client_id), who.client_id));
                Some((name, *limit))
            })
    }
}

/// One kind of quota: its limits, and what was used of them. `M` measures one client.
#[derive(Debug)]
struct Table<M> {
    /// Whether there is any limit: the only thing that is looked at when there is none.
    in_force: AtomicBool,
    limits: RwLock<Limits>,
    used: Mutex<Used<M>>,
}

#[derive(Debug)]
struct Used<M> {
    by_name: HashMap<String, M>,
    sweep_at: usize,
}

impl<M> Table<M> {
    fn new() -> Self {
        Table {
            in_force: AtomicBool::new(false),
            limits: RwLock::default(),
            used: Mutex::new(Used {
                by_name: HashMap::new(),
                sweep_at: SWEEP_FROM,
            }),
        }
    }

    fn change(&self, limits: Limits) {
        self.in_force.store(!limits.by_entity.is_empty(), Ordering::Relaxed);
        *self.limits.write() = limits;
    }

    fn is_in_force(&self) -> bool {
        self.in_force.load(Ordering::Relaxed)
    }

    fn find(&self, who: Principal<'_>) -> Option<(String, f64)> {
        if self.is_in_force() {
            self.limits.read().find(who)
        } else {
            None
        }
    }
}

impl<M> Used<M> {
    /// The measure of `name`. When there are many, those that no longer count make room first: a client that invents
    /// ids must not fill the memory.
    fn measure(&mut self, name: String, new: impl FnOnce() -> M, is_over: impl Fn(&M) -> bool) -> &mut M {
        if self.by_name.len() >= self.sweep_at && !self.by_name.contains_key(&name) {
            self.by_name.retain(|_, measure| !is_over(measure));
            self.sweep_at = (self.by_name.len() * 2).max(SWEEP_FROM);
        }
        self.by_name.entry(name).or_insert_with(new)
    }
}

/// The quotas of a server, and what its clients have used.
#[derive(Debug)]
pub(crate) struct Quotas {
    windows: QuotaWindows,
    mutation_windows: QuotaWindows,
    produce: Table<Rate>,
    fetch: Table<Rate>,
    request: Table<Rate>,
    mutation: Table<(TokenBucket, f64)>,
    connections_limited: AtomicBool,
    connection_limits: RwLock<HashMap<Option<IpAddr>, f64>>,
    connections: Mutex<Used<Rate>>,
}

impl Quotas {
    pub(crate) fn new(windows: QuotaWindows, mutation_windows: QuotaWindows) -> Quotas {
        Quotas {
            windows,
            mutation_windows,
            produce: Table::new(),
            fetch: Table::new(),
            request: Table::new(),
            mutation: Table::new(),
            connections_limited: AtomicBool::new(false),
            connection_limits: RwLock::default(),
            connections: Mutex::new(Used {
                by_name: HashMap::new(),
                sweep_at: SWEEP_FROM,
            }),
        }
    }

    /// Other quotas from now on; what was used is not forgotten.
    pub(crate) fn change(&self, image: &QuotaImage) {
        self.produce.change(Limits::of(image, QuotaKind::Produce));
        self.fetch.change(Limits::of(image, QuotaKind::Fetch));
        self.request.change(Limits::of(image, QuotaKind::Request));
        self.mutation.change(Limits::of(image, QuotaKind::Mutation));
        *self.connection_limits.write() = image.connections.iter().copied().collect();
        self.connections_limited
            .store(!image.connections.is_empty(), Ordering::Relaxed);
    }

    /// A Produce request of so many bytes came. How long its client has to wait, in milliseconds.
    pub(crate) fn produced(&self, who: Principal<'_>, bytes: usize, now_ms: u64) -> u64 {
        self.record(&self.produce, who, bytes as f64, now_ms)
    }

    /// So many bytes are ready for a consumer. If they are to be withheld, they count as not used.
    ///
    /// One batch may be more than all windows together. Kafka withholds it for ever; here it goes out when nothing else
    /// has, and its consumer waits afterwards.
    pub(crate) fn fetched(&self, who: Principal<'_>, bytes: usize, now_ms: u64) -> FetchVerdict {
        let Some((name, limit)) = self.fetch.find(who) else {
            return FetchVerdict::default();
        };
        let (windows, bytes) = (self.windows, bytes as f64);
        let mut used = self.fetch.used.lock();
        let rate = used.measure(name, Rate::default, |rate| rate.is_over(windows, now_ms));
        let must_go = bytes > windows.largest_use(limit) && rate.used(windows, now_ms) <= 0.0;
        rate.record(windows, bytes, now_ms);
        let throttle_ms = rate.throttle_ms(windows, limit, now_ms);
        let withheld = throttle_ms > 0 && !must_go;
        if withheld {
            rate.record(windows, -bytes, now_ms);
        }
        FetchVerdict { throttle_ms, withheld }
    }

    /// The most that one fetch may bring, its first batch aside: more would have to wait, however long nothing was
    /// fetched before.
    pub(crate) fn largest_fetch(&self, who: Principal<'_>) -> usize {
        let limit = self.fetch.find(who);
        limit.map_or(usize::MAX, |(_, limit)| self.windows.largest_use(limit) as usize)
    }

    /// Whether anybody is limited in time, so that requests must be timed.
    pub(crate) fn limits_requests(&self) -> bool {
        self.request.is_in_force()
    }

    /// The node worked so long for a client. Nobody waits for longer than a window for that.
    pub(crate) fn worked(&self, who: Principal<'_>, busy: Duration, now_ms: u64) -> u64 {
        self.record(&self.request, who, busy.as_secs_f64() * 100.0, now_ms)
            .min(self.windows.size_ms)
    }

    /// Whether anybody is limited in changes of topics.
    pub(crate) fn limits_mutations(&self) -> bool {
        self.mutation.is_in_force()
    }

    /// A client wants to create or delete so many partitions: see [`TokenBucket::take`].
    pub(crate) fn mutated(&self, who: Principal<'_>, partitions: u32, strict: bool, now_ms: u64) -> u64 {
        let Some((name, limit)) = self.mutation.find(who) else {
            return 0;
        };
        let windows = self.mutation_windows;
        let mut used = self.mutation.used.lock();
        let (bucket, _) = used.measure(
            name,
            || (TokenBucket::full(windows, limit, now_ms), limit),
            |(bucket, limit)| bucket.is_over(windows, *limit, now_ms),
        );
        bucket.take(windows, limit, f64::from(partitions), strict, now_ms)
    }

    /// A connection comes from `address`. Above its limit it does not count, and is to be closed after so long.
    pub(crate) fn connected(&self, address: IpAddr, now_ms: u64) -> u64 {
        if !self.connections_limited.load(Ordering::Relaxed) {
            return 0;
        }
        let limits = self.connection_limits.read();
        let Some(limit) = limits.get(&Some(address)).or_else(|| limits.get(&None)).copied() else {
            return 0;
        };
        drop(limits);
        let mut used = self.connections.lock();
        let rate = used.measure(address.to_string(), Rate::default, |rate| {
            rate.is_over(self.windows, now_ms)
        });
        rate.record(self.windows, 1.0, now_ms);
        let throttle_ms = rate.throttle_ms(self.windows, limit, now_ms);
        if throttle_ms > 0 {
            rate.record(self.windows, -1.0, now_ms);
        }
        throttle_ms.min(self.windows.size_ms)
    }

    fn record(&self, table: &Table<Rate>, who: Principal<'_>, value: f64, now_ms: u64) -> u64 {
        let Some((name, limit)) = table.find(who) else { return 0 };
        let mut used = table.used.lock();
        let rate = used.measure(name, Rate::default, |rate| rate.is_over(self.windows, now_ms));
        rate.record(self.windows, value, now_ms);
        rate.throttle_ms(self.windows, limit, now_ms)
    }
}

#[cfg(test)]
mod tests;
