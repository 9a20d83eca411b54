//! Who may do what, for the requests that are answered here.
//!
//! The control plane decides which rules there are and hands all of them over whenever one has changed, as a table with
//! a number of its own. A connection looks at the number before each request, and as long as it is the same, what was
//! found for a topic is found again in a table of the connection. Without an authorizer there is no table: a request
//! compares one number with another, and nobody is asked anything.
//!
//! One look gives everything that a client may do with a resource, a bit for each operation, as answers tell it
//! (KIP-430). The rules are those of `moldau.control.access.authorizer`, which says why.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::fmt::{self, Display, Formatter};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::{Mutex, RwLock};

/// The one resource that is the cluster.
pub(crate) const CLUSTER_NAME: &str = "kafka-cluster";
/// `moldau.authorizer`, where the control plane logs its refusals too.
const LOGGER: &str = "moldau_authorizer";
const WILDCARD: &str = "*";
const EVERYBODY: &str = "User:*";
/// So many names are remembered for a connection; then all are forgotten. A client can make up names.
const NAMES_MAX: usize = 10_000;

/// What there is to be protected, by Kafka's number of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ResourceKind {
    /// A topic.
    Topic = 2,
    /// A group.
    Group = 3,
    /// The cluster.
    Cluster = 4,
    /// A transactional id.
    TransactionalId = 5,
}

impl Display for ResourceKind {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            ResourceKind::Topic => "topic",
            ResourceKind::Group => "group",
            ResourceKind::Cluster => "cluster",
            ResourceKind::TransactionalId => "transactional id",
        })
    }
}

const KINDS: usize = 8;

/// What is done with a resource, by Kafka's number of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operation {
    /// Consume.
    Read = 3,
    /// Produce.
    Write = 4,
    /// Bring into being.
    Create = 5,
    /// Know of.
    Describe = 8,
    /// What brokers do.
    ClusterAction = 9,
}

impl Display for Operation {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Operation::Read => "READ",
            Operation::Write => "WRITE",
            Operation::Create => "CREATE",
            Operation::Describe => "DESCRIBE",
            Operation::ClusterAction => "CLUSTER_ACTION",
        })
    }
}

const ALL: i8 = 2;
const DESCRIBE: u32 = 1 << 8;
const DESCRIBE_CONFIGS: u32 = 1 << 10;
/// Allowed reading, writing, deleting or altering includes describing.
const INCLUDES_DESCRIBE: u32 = 1 << 3 | 1 << 4 | 1 << 6 | 1 << 7;
/// Allowed altering of configs includes describing them.
const INCLUDES_DESCRIBE_CONFIGS: u32 = 1 << 11;

/// What a client may do with one resource, a bit for each operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Operations(u32);

impl Operations {
    pub(crate) const EVERYTHING: Operations = Operations(u32::MAX);

    /// Whether `operation` is among them.
    pub fn allow(self, operation: Operation) -> bool {
        self.0 & (1 << operation as u32) != 0
    }

    /// Those of `possible` that are among them, as an answer tells them.
    pub fn told(self, possible: i32) -> i32 {
        self.0 as i32 & possible
    }
}

/// One access rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccessRule {
    /// Kafka's number of the kind of resource.
    pub resource_type: u8,
    /// The name is a prefix.
    pub prefixed: bool,
    /// Of the resource.
    pub name: String,
    /// Type and name, as in `User:alice`.
    pub principal: String,
    /// An address, or `*`.
    pub host: String,
    /// Kafka's number of the operation.
    pub operation: i8,
    /// What the rule says: allowed, or denied.
    pub allows: bool,
}

#[derive(Debug)]
struct Entry {
    principal: String,
    host: String,
    operations: u32,
    allows: bool,
}

#[derive(Debug, Default)]
struct Patterns {
    literal: HashMap<String, Vec<Entry>>,
    prefixed: HashMap<String, Vec<Entry>>,
    /// In bytes, each once: ten thousand prefixes of twelve lengths cost twelve looks.
    prefix_lengths: BTreeSet<usize>,
}

/// Every rule of the cluster at one moment.
#[derive(Debug)]
pub struct AccessTable {
    generation: u64,
    super_users: HashSet<String>,
    open_without_rule: bool,
    kinds: [Patterns; KINDS],
}

impl AccessTable {
    /// Sort the rules. `generation` is above 0, and another one for other rules.
    pub fn new(generation: u64, super_users: HashSet<String>, open_without_rule: bool, rules: Vec<AccessRule>) -> Self {
        let mut kinds: [Patterns; KINDS] = Default::default();
        for rule in rules {
            let Some(patterns) = kinds.get_mut(usize::from(rule.resource_type)) else {
                continue;
            };
            let entry = Entry {
                principal: rule.principal,
                host: rule.host,
                operations: match rule.operation {
                    ALL => u32::MAX,
                    operation => 1u32.checked_shl(operation as u32).unwrap_or(0),
                },
                allows: rule.allows,
            };
            let table = if rule.prefixed {
                patterns.prefix_lengths.insert(rule.name.len());
                &mut patterns.prefixed
            } else {
                &mut patterns.literal
            };
            table.entry(rule.name).or_default().push(entry);
        }
        AccessTable {
            generation,
            super_users,
            open_without_rule,
            kinds,
        }
    }

    /// What somebody may do with a resource. A denial includes nothing but itself, and beats whatever allows.
    pub fn operations(&self, principal: &str, host: &str, kind: ResourceKind, name: &str) -> Operations {
        if self.super_users.contains(principal) {
            return Operations::EVERYTHING;
        }
        let (mut has_rules, mut allowed, mut denied) = (false, 0, 0);
        for entry in self.kinds[kind as usize].rules_for(name) {
            has_rules = true;
            let is_for_principal = entry.principal == principal || entry.principal == EVERYBODY;
            if !is_for_principal || (entry.host != host && entry.host != WILDCARD) {
                continue;
            }
            if entry.allows {
                allowed |= entry.operations;
            } else {
                denied |= entry.operations;
            }
        }
        if !has_rules && self.open_without_rule {
            return Operations::EVERYTHING;
        }
        if allowed & INCLUDES_DESCRIBE != 0 {
            allowed |= DESCRIBE;
        }
        if allowed & INCLUDES_DESCRIBE_CONFIGS != 0 {
            allowed |= DESCRIBE_CONFIGS;
        }
        Operations(allowed & !denied)
    }
}

impl Patterns {
    fn rules_for(&self, name: &str) -> impl Iterator<Item = &Entry> {
        let exact = self.literal.get(name);
        let all = self.literal.get(WILDCARD).filter(|_| name != WILDCARD);
        let prefixes = self.prefix_lengths.range(..=name.len());
        let prefixed = prefixes.filter_map(move |length| self.prefixed.get(name.get(..*length)?));
        exact.into_iter().chain(all).chain(prefixed).flatten()
    }
}

/// The table of a node, if it has one.
#[derive(Debug, Default)]
pub(crate) struct Access {
    generation: AtomicU64,
    table: RwLock<Option<Arc<AccessTable>>>,
}

impl Access {
    pub(crate) fn change(&self, table: Arc<AccessTable>) {
        let mut current = self.table.write();
        self.generation.store(table.generation, Ordering::Release);
        *current = Some(table);
    }

    /// Bring what a connection knows up to date.
    pub(crate) fn refresh(&self, permissions: &mut Option<Permissions>, client: impl FnOnce() -> (Arc<str>, String)) {
        let known = permissions.as_ref().map_or(0, |known| known.table.generation);
        if self.generation.load(Ordering::Acquire) == known {
            return;
        }
        let Some(table) = self.table.read().clone() else { return };
        let (principal, host) = client();
        *permissions = Some(Permissions {
            table,
            principal,
            host,
            known: Mutex::default(),
        });
    }
}

/// What is known of one resource.
#[derive(Clone, Copy, Debug)]
struct Known {
    operations: Operations,
    /// The refusals that were logged, a bit for each operation.
    logged: u32,
}

/// What the client of one connection may do.
#[derive(Debug)]
pub(crate) struct Permissions {
    table: Arc<AccessTable>,
    principal: Arc<str>,
    host: String,
    known: Mutex<[HashMap<Box<str>, Known>; KINDS]>,
}

impl Permissions {
    /// Whether the client may do `operation` with a resource that it named; a refusal is logged once.
    pub(crate) fn allow(&self, operation: Operation, kind: ResourceKind, name: &str) -> bool {
        self.look_up(kind, name, |known| {
            let allowed = known.operations.allow(operation);
            let bit = 1 << operation as u32;
            if !allowed && known.logged & bit == 0 {
                known.logged |= bit;
                tracing::info!(
                    target: LOGGER,
                    "{} at {} may not {operation} {kind} '{}'",
                    self.principal,
                    self.host,
                    name.escape_debug()
                );
            }
            allowed
        })
    }

    /// Everything that the client may do with a resource.
    pub(crate) fn operations(&self, kind: ResourceKind, name: &str) -> Operations {
        self.look_up(kind, name, |known| known.operations)
    }

    fn look_up<T>(&self, kind: ResourceKind, name: &str, tell: impl FnOnce(&mut Known) -> T) -> T {
        let names = &mut self.known.lock()[kind as usize];
        if let Some(known) = names.get_mut(name) {
            return tell(known);
        }
        if names.len() >= NAMES_MAX {
            names.clear();
        }
        let mut known = Known {
            operations: self.table.operations(&self.principal, &self.host, kind, name),
            logged: 0,
        };
        let told = tell(&mut known);
        names.insert(name.into(), known);
        told
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALICE: &str = "User:alice";

    fn rule(name: &str, operation: i8, allows: bool) -> AccessRule {
        AccessRule {
            resource_type: ResourceKind::Topic as u8,
            prefixed: false,
            name: name.to_owned(),
            principal: ALICE.to_owned(),
            host: WILDCARD.to_owned(),
            operation,
            allows,
        }
    }

    fn prefixed(name: &str, operation: i8, allows: bool) -> AccessRule {
        AccessRule {
            prefixed: true,
            ..rule(name, operation, allows)
        }
    }

    fn may(rules: Vec<AccessRule>, operation: Operation, name: &str) -> bool {
        let table = AccessTable::new(1, HashSet::new(), false, rules);
        table
            .operations(ALICE, "10.0.0.1", ResourceKind::Topic, name)
            .allow(operation)
    }

    #[test]
    fn nothing_is_allowed_without_a_rule_unless_that_is_set() {
        assert!(!may(vec![], Operation::Read, "orders"));
        let open = AccessTable::new(1, HashSet::new(), true, vec![rule("payments", 3, true)]);
        let operations = |name| open.operations("User:bob", "10.0.0.1", ResourceKind::Topic, name);
        assert!(operations("orders").allow(Operation::Write));
        assert!(!operations("payments").allow(Operation::Read));
    }

    #[test]
    fn a_denial_beats_whatever_allows_and_includes_nothing_else() {
        let rules = vec![rule("*", ALL, true), prefixed("ord", 4, false)];
        assert!(!may(rules.clone(), Operation::Write, "orders"));
        assert!(may(rules.clone(), Operation::Describe, "orders"));
        assert!(may(rules, Operation::Write, "payments"));
        assert!(!may(
            vec![rule("orders", 3, true), rule("orders", 8, false)],
            Operation::Describe,
            "orders"
        ));
    }

    #[test]
    fn a_prefix_may_end_inside_a_character_of_a_name_without_harm() {
        assert!(!may(vec![prefixed("xyz", 3, true)], Operation::Read, "x\u{fc}z"));
        assert!(may(vec![prefixed("x\u{fc}", 3, true)], Operation::Read, "x\u{fc}z"));
    }

    #[test]
    fn a_rule_for_another_host_or_kind_does_not_count() {
        let elsewhere = AccessRule {
            host: "10.0.0.2".to_owned(),
            ..rule("orders", 3, true)
        };
        assert!(!may(vec![elsewhere], Operation::Read, "orders"));
        let of_a_group = AccessRule {
            resource_type: ResourceKind::Group as u8,
            ..rule("orders", 3, true)
        };
        assert!(!may(vec![of_a_group], Operation::Read, "orders"));
    }

    #[test]
    fn numbers_that_stand_for_nothing_do_no_harm() {
        let strange = AccessRule {
            resource_type: 99,
            ..rule("orders", 3, true)
        };
        assert!(!may(vec![strange, rule("orders", -1, true)], Operation::Read, "orders"));
    }

    #[test]
    fn a_connection_learns_of_new_rules_and_forgets_what_it_found() {
        let (access, mut permissions) = (Access::default(), None);
        let client = || (Arc::from(ALICE), "10.0.0.1".to_owned());
        access.refresh(&mut permissions, client);
        assert!(permissions.is_none(), "without a table nobody is limited");
        access.change(Arc::new(AccessTable::new(1, HashSet::new(), false, vec![])));
        access.refresh(&mut permissions, client);
        let reads = |permissions: &Option<Permissions>| {
            let permissions = permissions.as_ref().expect("there is a table");
            permissions.allow(Operation::Read, ResourceKind::Topic, "orders")
        };
        assert!(!reads(&permissions));
        let rules = vec![rule("orders", 3, true)];
        access.change(Arc::new(AccessTable::new(2, HashSet::new(), false, rules)));
        assert!(!reads(&permissions), "a request that has begun keeps its rules");
        access.refresh(&mut permissions, client);
        assert!(reads(&permissions));
    }
}
