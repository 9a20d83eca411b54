//! The settings of one topic, already resolved: plain values, Kafka's names, Kafka's defaults.
//!
//! Where a value comes from (topic, broker, default) is decided by the control plane; the log only obeys. A changed
//! setting arrives as a whole new [`LogConfig`] through [`crate::PartitionLog::apply_config`].

/// Whose clock stamps the records (`message.timestamp.type`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum TimestampType {
    /// The producer's.
    CreateTime,
    /// The broker's, when it appends.
    LogAppendTime,
}

/// How batches are compressed on disk (`compression.type` with its level).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CompressionSetting {
    /// As the producer sent them; the only setting that never decodes a batch.
    Producer,
    /// Not at all.
    Uncompressed,
    /// gzip, level 1 to 9, or -1 for its default.
    Gzip {
        /// `compression.gzip.level`
        level: i32,
    },
    /// Snappy in the block framing of snappy-java.
    Snappy,
    /// LZ4 frames. The level is accepted and without effect: our encoder has one speed.
    Lz4 {
        /// `compression.lz4.level`
        level: i32,
    },
    /// Zstandard.
    Zstd {
        /// `compression.zstd.level`
        level: i32,
    },
}

/// One topic's effective settings.
#[derive(Clone, Debug, PartialEq)]
pub struct LogConfig {
    /// `segment.bytes`
    pub segment_bytes: u32,
    /// `segment.ms`
    pub segment_ms: i64,
    /// `segment.jitter.ms`
    pub segment_jitter_ms: i64,
    /// `segment.index.bytes`
    pub segment_index_bytes: u32,
    /// `index.interval.bytes`
    pub index_interval_bytes: u32,
    /// `retention.ms`, -1 for no limit
    pub retention_ms: i64,
    /// `retention.bytes`, -1 for no limit
    pub retention_bytes: i64,
    /// `file.delete.delay.ms`
    pub file_delete_delay_ms: i64,
    /// `max.message.bytes`: the largest batch taken
    pub max_message_bytes: u32,
    /// `message.timestamp.type`
    pub timestamp_type: TimestampType,
    /// `message.timestamp.before.max.ms`
    pub timestamp_before_max_ms: i64,
    /// `message.timestamp.after.max.ms`
    pub timestamp_after_max_ms: i64,
    /// `compression.type` and its level
    pub compression: CompressionSetting,
    /// `flush.messages`
    pub flush_messages: i64,
    /// `flush.ms`
    pub flush_ms: i64,
    /// `preallocate`
    pub preallocate: bool,
    /// `cleanup.policy` names `delete`
    pub delete: bool,
    /// `cleanup.policy` names `compact`: every record needs a key
    pub compact: bool,
    /// `min.cleanable.dirty.ratio`
    pub min_cleanable_dirty_ratio: f64,
    /// `min.compaction.lag.ms`
    pub min_compaction_lag_ms: i64,
    /// `max.compaction.lag.ms`
    pub max_compaction_lag_ms: i64,
    /// `delete.retention.ms`
    pub delete_retention_ms: i64,
}

impl LogConfig {
    /// The age at which the active segment is rolled: a segment that stayed active would not be compacted in time.
    pub(crate) fn roll_after_ms(&self) -> i64 {
        if self.compact && self.max_compaction_lag_ms > 0 {
            self.segment_ms.min(self.max_compaction_lag_ms)
        } else {
            self.segment_ms
        }
    }
}

impl Default for LogConfig {
    fn default() -> LogConfig {
        LogConfig {
            segment_bytes: 1024 * 1024 * 1024,
            segment_ms: 7 * 24 * 60 * 60 * 1000,
            segment_jitter_ms: 0,
            segment_index_bytes: 10 * 1024 * 1024,
            index_interval_bytes: 4096,
            retention_ms: 7 * 24 * 60 * 60 * 1000,
            retention_bytes: -1,
            file_delete_delay_ms: 60_000,
            max_message_bytes: 1024 * 1024 + 12,
            timestamp_type: TimestampType::CreateTime,
            timestamp_before_max_ms: i64::MAX,
            timestamp_after_max_ms: 3_600_000,
            compression: CompressionSetting::Producer,
            flush_messages: i64::MAX,
            flush_ms: i64::MAX,
            preallocate: false,
            delete: true,
            compact: false,
            min_cleanable_dirty_ratio: 0.5,
            min_compaction_lag_ms: 0,
            max_compaction_lag_ms: i64::MAX,
            delete_retention_ms: 24 * 60 * 60 * 1000,
        }
    }
}
