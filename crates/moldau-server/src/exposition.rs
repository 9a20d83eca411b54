//! The part of a scrape that grows with the partitions, in Prometheus' text format.
//!
//! A family's name, kind and help come from `moldau.observe`, where every name is declared once; here is only how each
//! [`Measure`] is read. What is shown is bounded: past the limit, partitions (by the names of their topics, internal
//! topics last) and committed offsets are left out and counted, because a monitoring system dies of series before a
//! broker does.

use std::fmt::Write;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::Relaxed;

use crate::counters::Counters;
use crate::node::Node;
use crate::partition::Partition;
use crate::replica_manager::{ReplicaManager, Topic};

/// What a family shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(
    missing_docs,
    reason = "the names are those of the Python side, where each has its sentence"
)]
pub enum Measure {
    Partitions,
    PartitionsLed,
    PartitionsOffline,
    PartitionsUnderReplicated,
    PartitionsUnderMinIsr,
    PartitionsWithoutLeader,
    LogBytes,
    TopicPartitions,
    TopicMessagesIn,
    TopicBytesIn,
    TopicBytesOut,
    HighWatermark,
    LogStartOffset,
    LogEndOffset,
    LastStableOffset,
    Bytes,
    Segments,
    Leader,
    LeaderIsPreferred,
    Replicas,
    InSyncReplicas,
    UnderReplicated,
    GroupOffset,
    GroupOffsetSum,
    GroupLag,
    GroupLagSum,
}

impl Measure {
    /// The measure of this name; `None` when there is none.
    pub fn named(name: &str) -> Option<Measure> {
        let all = [
            ("partitions", Measure::Partitions),
            ("partitions_led", Measure::PartitionsLed),
            ("partitions_offline", Measure::PartitionsOffline),
            ("partitions_under_replicated", Measure::PartitionsUnderReplicated),
            ("partitions_under_min_isr", Measure::PartitionsUnderMinIsr),
            ("partitions_without_leader", Measure::PartitionsWithoutLeader),
            ("log_bytes", Measure::LogBytes),
            ("topic_partitions", Measure::TopicPartitions),
            ("topic_messages_in", Measure::TopicMessagesIn),
            ("topic_bytes_in", Measure::TopicBytesIn),
            ("topic_bytes_out", Measure::TopicBytesOut),
            ("high_watermark", Measure::HighWatermark),
            ("log_start_offset", Measure::LogStartOffset),
            ("log_end_offset", Measure::LogEndOffset),
            ("last_stable_offset", Measure::LastStableOffset),
            ("bytes", Measure::Bytes),
            ("segments", Measure::Segments),
            ("leader", Measure::Leader),
            ("leader_is_preferred", Measure::LeaderIsPreferred),
            ("replicas", Measure::Replicas),
            ("in_sync_replicas", Measure::InSyncReplicas),
            ("under_replicated", Measure::UnderReplicated),
            ("group_offset", Measure::GroupOffset),
            ("group_offset_sum", Measure::GroupOffsetSum),
            ("group_lag", Measure::GroupLag),
            ("group_lag_sum", Measure::GroupLagSum),
        ];
        all.into_iter()
            .find_map(|(known, measure)| (known == name).then_some(measure))
    }
}

/// One family: what it shows, and how it is called.
#[derive(Clone, Debug)]
pub struct Family {
    /// What is shown.
    pub measure: Measure,
    /// Its name in the text.
    pub name: String,
    /// `counter` or `gauge`.
    pub kind: String,
    /// One sentence.
    pub help: String,
}

/// What one group has committed: topic, partition, offset.
pub type GroupOffsets = (String, Vec<(String, i32, i64)>);

/// A text, and what is not in it.
#[derive(Debug)]
pub struct Exposition {
    /// The families in the order asked for.
    pub text: String,
    /// Partitions and committed offsets that were left out.
    pub left_out: usize,
}

struct PartitionRow {
    labels: String,
    local: Option<Arc<Partition>>,
    leader: i32,
    preferred: i32,
    replicas: usize,
    in_sync: usize,
}

struct TopicRow {
    labels: String,
    partitions: usize,
    messages_in: u64,
    bytes_in: u64,
    bytes_out: u64,
}

/// What is counted over everything, shown or not.
#[derive(Default)]
struct Totals {
    partitions: u64,
    led: u64,
    offline: u64,
    under_replicated: u64,
    under_min_isr: u64,
    without_leader: u64,
    bytes: u64,
}

/// One committed offset with its lag; a sum per group and topic has no partition in its labels.
struct GroupRow {
    labels: String,
    offset: i64,
    lag: i64,
}

struct Rows {
    totals: Totals,
    topics: Vec<TopicRow>,
    partitions: Vec<PartitionRow>,
    groups: Vec<GroupRow>,
    group_sums: Vec<GroupRow>,
    left_out: usize,
}

/// Write `families`, at most `limit` partitions and as many committed offsets.
pub(crate) fn render(node: &Node, families: &[Family], groups: &[GroupOffsets], limit: usize) -> Exposition {
    let replicas = &node.replicas;
    let mut topics: Vec<_> = replicas.image().topics().cloned().collect();
    // Internal topics last: where there is no room for all, they are the first to go without.
    topics.sort_by(|one, other| (one.image.internal, &one.image.name).cmp(&(other.image.internal, &other.image.name)));
    let mut rows = Rows {
        totals: Totals::default(),
        topics: Vec::new(),
        partitions: Vec::new(),
        groups: Vec::new(),
        group_sums: Vec::new(),
        left_out: 0,
    };
    for topic in &topics {
        rows.add_topic(topic, replicas.node_id(), limit);
    }
    for (group, offsets) in groups {
        rows.add_group(replicas, group, offsets, limit);
    }
    let mut text = String::with_capacity(rows.partitions.len() * families.len() * 64);
    for family in families {
        let _ = writeln!(text, "# HELP {} {}", family.name, escaped_help(&family.help));
        let _ = writeln!(text, "# TYPE {} {}", family.name, family.kind);
        rows.write(&mut text, family, &node.counters);
    }
    Exposition {
        text,
        left_out: rows.left_out,
    }
}

impl Rows {
    fn add_topic(&mut self, topic: &Topic, node_id: i32, limit: usize) {
        let shown = self.partitions.len() + topic.image.partitions.len() <= limit;
        let name = &topic.image.name;
        let mut row = TopicRow {
            labels: format!("{{topic=\"{name}\"}}"),
            partitions: topic.image.partitions.len(),
            messages_in: 0,
            bytes_in: 0,
            bytes_out: 0,
        };
        for partition in &topic.image.partitions {
            let local = topic.partition(partition.partition, node_id).ok().cloned();
            let (replicas, in_sync) = (partition.replicas.len(), partition.in_sync_replicas.len());
            let led = partition.leader == node_id;
            self.totals.partitions += u64::from(local.is_some());
            self.totals.led += u64::from(led && local.is_some());
            let here = partition.replicas.contains(&node_id);
            let online = local.as_ref().is_some_and(|local| !local.log().is_offline());
            self.totals.offline += u64::from(here && !online);
            self.totals.without_leader += u64::from(partition.leader < 0);
            self.totals.under_replicated += u64::from(led && in_sync < replicas);
            let required = replicas.min(topic.image.min_insync_replicas as usize);
            self.totals.under_min_isr += u64::from(led && in_sync < required);
            if let Some(local) = &local {
                self.totals.bytes += local.log().size_bytes();
                row.messages_in += local.traffic.messages_in.load(Relaxed);
                row.bytes_in += local.traffic.bytes_in.load(Relaxed);
                row.bytes_out += local.traffic.bytes_out.load(Relaxed);
            }
            if shown {
                self.partitions.push(PartitionRow {
                    labels: format!("{{topic=\"{name}\",partition=\"{}\"}}", partition.partition),
                    local,
                    leader: partition.leader,
                    preferred: partition.replicas.first().copied().unwrap_or(-1),
                    replicas,
                    in_sync,
                });
            }
        }
        if shown {
            self.topics.push(row);
        } else {
            self.left_out += topic.image.partitions.len();
        }
    }

    fn add_group(&mut self, replicas: &ReplicaManager, group: &str, offsets: &[(String, i32, i64)], limit: usize) {
        if self.groups.len() + offsets.len() > limit {
            self.left_out += offsets.len();
            return;
        }
        let group = escaped_label(group);
        let mut sums: Vec<(&str, i64, i64)> = Vec::new();
        for (topic, partition, offset) in offsets {
            let Some(known) = replicas.topic(topic) else { continue };
            let Ok(local) = known.partition(*partition, replicas.node_id()) else {
                continue;
            };
            let lag = (local.log().high_watermark().0 - offset).max(0);
            self.groups.push(GroupRow {
                labels: format!("{{consumergroup=\"{group}\",topic=\"{topic}\",partition=\"{partition}\"}}"),
                offset: *offset,
                lag,
            });
            match sums.iter_mut().rev().find(|(known, _, _)| known == topic) {
                Some((_, offset_sum, lag_sum)) => {
                    *offset_sum += offset;
                    *lag_sum += lag;
                }
                None => sums.push((topic, *offset, lag)),
            }
        }
        self.group_sums
            .extend(sums.into_iter().map(|(topic, offset, lag)| GroupRow {
                labels: format!("{{consumergroup=\"{group}\",topic=\"{topic}\"}}"),
                offset,
                lag,
            }));
    }

    fn write(&self, text: &mut String, family: &Family, counters: &Counters) {
        let totals = &self.totals;
        let all = |counter: &AtomicU64| counter.load(Relaxed);
        match family.measure {
            Measure::Partitions => sample(text, family, "", totals.partitions),
            Measure::PartitionsLed => sample(text, family, "", totals.led),
            Measure::PartitionsOffline => sample(text, family, "", totals.offline),
            Measure::PartitionsUnderReplicated => sample(text, family, "", totals.under_replicated),
            Measure::PartitionsUnderMinIsr => sample(text, family, "", totals.under_min_isr),
            Measure::PartitionsWithoutLeader => sample(text, family, "", totals.without_leader),
            Measure::LogBytes => sample(text, family, "", totals.bytes),
            Measure::TopicPartitions => self.topics(text, family, |topic| topic.partitions as u64),
            Measure::TopicMessagesIn => {
                sample(text, family, "", all(&counters.produced_messages));
                self.topics(text, family, |topic| topic.messages_in);
            }
            Measure::TopicBytesIn => {
                sample(text, family, "", all(&counters.produced_bytes));
                self.topics(text, family, |topic| topic.bytes_in);
            }
            Measure::TopicBytesOut => {
                sample(text, family, "", all(&counters.fetched_bytes));
                self.topics(text, family, |topic| topic.bytes_out);
            }
            Measure::HighWatermark => self.local(text, family, |here| here.log().high_watermark().0),
            Measure::LogStartOffset => self.local(text, family, |here| here.log().log_start_offset().0),
            Measure::LogEndOffset => self.local(text, family, |here| here.log().log_end_offset().0),
            Measure::LastStableOffset => self.local(text, family, |here| here.log().last_stable_offset().0),
            Measure::Bytes => self.local(text, family, |here| here.log().size_bytes() as i64),
            Measure::Segments => self.local(text, family, |here| here.log().segments().len() as i64),
            Measure::Leader => self.partitions(text, family, |row| i64::from(row.leader)),
            Measure::LeaderIsPreferred => {
                self.partitions(text, family, |row| {
                    i64::from(row.leader >= 0 && row.leader == row.preferred)
                });
            }
            Measure::Replicas => self.partitions(text, family, |row| row.replicas as i64),
            Measure::InSyncReplicas => self.partitions(text, family, |row| row.in_sync as i64),
            Measure::UnderReplicated => self.partitions(text, family, |row| i64::from(row.in_sync < row.replicas)),
            Measure::GroupOffset => groups(text, family, &self.groups, |row| row.offset),
            Measure::GroupOffsetSum => groups(text, family, &self.group_sums, |row| row.offset),
            Measure::GroupLag => groups(text, family, &self.groups, |row| row.lag),
            Measure::GroupLagSum => groups(text, family, &self.group_sums, |row| row.lag),
        }
    }

    fn topics(&self, text: &mut String, family: &Family, value: impl Fn(&TopicRow) -> u64) {
        for row in &self.topics {
            sample(text, family, &row.labels, value(row));
        }
    }

    fn partitions(&self, text: &mut String, family: &Family, value: impl Fn(&PartitionRow) -> i64) {
        for row in &self.partitions {
            sample(text, family, &row.labels, value(row));
        }
    }

    fn local(&self, text: &mut String, family: &Family, value: impl Fn(&Partition) -> i64) {
        for row in &self.partitions {
            if let Some(local) = &row.local {
                sample(text, family, &row.labels, value(local));
            }
        }
    }
}

fn groups(text: &mut String, family: &Family, rows: &[GroupRow], value: impl Fn(&GroupRow) -> i64) {
    for row in rows {
        sample(text, family, &row.labels, value(row));
    }
}

fn sample(text: &mut String, family: &Family, labels: &str, value: impl std::fmt::Display) {
    let _ = writeln!(text, "{}{labels} {value}", family.name);
}

/// A label value may hold anything; three characters are written with a backslash.
fn escaped_label(value: &str) -> String {
    value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

fn escaped_help(help: &str) -> String {
    help.replace('\\', "\\\\").replace('\n', "\\n")
}
