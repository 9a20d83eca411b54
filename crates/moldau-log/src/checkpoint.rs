//! The small text files in which Kafka notes offsets.
//!
//! `recovery-point-offset-checkpoint`, `log-start-offset-checkpoint`, `replication-offset-checkpoint`,
//! `cleaner-offset-checkpoint` (one line `topic partition offset` each), `leader-epoch-checkpoint` (`epoch offset`) share one shape: a version line `0`, a
//! line with the number of entries, the entries. `partition.metadata` holds the topic's id. All are replaced whole:
//! a crash leaves the old or the new one.

use crate::types::{Offset, TopicId, TopicPartition};
use std::collections::HashMap;
use std::fmt::Write;
use std::sync::Arc;

/// Everything before these offsets is on the disk.
pub(crate) const RECOVERY_POINTS: &str = "recovery-point-offset-checkpoint";
/// First offsets that may be read.
pub(crate) const LOG_START_OFFSETS: &str = "log-start-offset-checkpoint";
/// High watermarks.
pub(crate) const HIGH_WATERMARKS: &str = "replication-offset-checkpoint";
/// Everything before these offsets has been compacted.
pub(crate) const CLEANED_TO: &str = "cleaner-offset-checkpoint";
/// Where leader epochs began.
pub(crate) const LEADER_EPOCHS: &str = "leader-epoch-checkpoint";
/// The topic's id.
pub(crate) const PARTITION_METADATA: &str = "partition.metadata";
/// The last shutdown was clean.
pub(crate) const CLEAN_SHUTDOWN: &str = ".kafka_cleanshutdown";
/// A process owns the directory.
pub(crate) const LOCK: &str = ".lock";

/// No checkpoint may be larger: over a million partitions of a long name.
pub(crate) const LIMIT_BYTES: u64 = 512 * 1024 * 1024;

/// What a file says instead of entries.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {message}")]
pub(crate) struct CheckpointError {
    pub line: usize,
    pub message: &'static str,
}

fn lines(bytes: &[u8]) -> Result<impl Iterator<Item = Result<(usize, &str), CheckpointError>>, CheckpointError> {
    let wrong = |line, message| CheckpointError { line, message };
    let text = std::str::from_utf8(bytes).map_err(|_| wrong(1, "not text"))?;
    let mut lines = text.lines();
    if lines.next() != Some("0") {
        return Err(wrong(1, "not version 0"));
    }
    let count: usize = lines
        .next()
        .and_then(|line| line.parse().ok())
        .ok_or(wrong(2, "not a number of entries"))?;
    let mut seen = 0;
    Ok(std::iter::from_fn(move || match lines.next() {
        Some(_) if seen == count => Some(Err(wrong(seen + 3, "more entries than counted"))),
        Some(line) => {
            seen += 1;
            Some(Ok((seen + 2, line)))
        }
        None if seen < count => {
            seen = count;
            Some(Err(wrong(seen + 3, "fewer entries than counted")))
        }
        None => None,
    }))
}

/// Offsets by partition.
pub(crate) fn parse_offsets(bytes: &[u8]) -> Result<HashMap<TopicPartition, Offset>, CheckpointError> {
    let mut offsets = HashMap::new();
    // Neighbours usually belong to one topic and then share its name.
    let mut topic: Arc<str> = Arc::from("");
    for line in lines(bytes)? {
        let (line, text) = line?;
        let wrong = CheckpointError {
            line,
            message: "not `topic partition offset`",
        };
        let mut fields = text.split(' ');
        let (Some(name), Some(partition), Some(offset), None) =
            (fields.next(), fields.next(), fields.next(), fields.next())
        else {
            return Err(wrong);
        };
        let (Ok(partition), Ok(offset)) = (partition.parse(), offset.parse()) else {
            return Err(wrong);
        };
        if *topic != *name {
            topic = Arc::from(name);
        }
        offsets.insert(
            TopicPartition {
                topic: Arc::clone(&topic),
                partition,
            },
            Offset(offset),
        );
    }
    Ok(offsets)
}

/// The other way; sorted, so that equal content is equal bytes.
pub(crate) fn format_offsets(mut offsets: Vec<(TopicPartition, Offset)>) -> Vec<u8> {
    offsets.sort();
    let mut text = format!("0\n{}\n", offsets.len());
    for (partition, offset) in offsets {
        writeln!(text, "{} {} {offset}", partition.topic, partition.partition).expect("writing to memory");
    }
    text.into_bytes()
}

/// Leader epochs and where they began.
pub(crate) fn parse_epochs(bytes: &[u8]) -> Result<Vec<(i32, i64)>, CheckpointError> {
    let mut epochs = Vec::new();
    for line in lines(bytes)? {
        let (line, text) = line?;
        let wrong = CheckpointError {
            line,
            message: "not `epoch offset`",
        };
        let Some((epoch, offset)) = text.split_once(' ') else {
            return Err(wrong);
        };
        let (Ok(epoch), Ok(offset)) = (epoch.parse(), offset.parse()) else {
            return Err(wrong);
        };
        epochs.push((epoch, offset));
    }
    Ok(epochs)
}

/// The other way.
pub(crate) fn format_epochs(epochs: &[(i32, i64)]) -> Vec<u8> {
    let mut text = format!("0\n{}\n", epochs.len());
    for (epoch, offset) in epochs {
        writeln!(text, "{epoch} {offset}").expect("writing to memory");
    }
    text.into_bytes()
}

const BASE64_URL: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

/// `partition.metadata` of a topic id: Kafka writes ids as 22 characters of base64, URL alphabet, no padding.
pub(crate) fn format_partition_metadata(topic_id: TopicId) -> Vec<u8> {
    let bits = topic_id.as_u128();
    let mut text = String::from("version: 0\ntopic_id: ");
    for index in 0..22 {
        // The last character holds two bits only.
        let six = if index == 21 {
            (bits << 4) & 0x3f
        } else {
            (bits >> (122 - 6 * index)) & 0x3f
        };
        text.push(char::from(BASE64_URL[six as usize]));
    }
    text.push('\n');
    text.into_bytes()
}

/// The other way; `None` when it is anything else.
pub(crate) fn parse_partition_metadata(bytes: &[u8]) -> Option<TopicId> {
    let text = std::str::from_utf8(bytes).ok()?;
    let mut lines = text.lines();
    if lines.next()? != "version: 0" {
        return None;
    }
    let id = lines.next()?.strip_prefix("topic_id: ")?.trim_end_matches('=');
    if id.len() != 22 {
        return None;
    }
    let mut bits = 0u128;
    for (index, character) in id.bytes().enumerate() {
        let six = BASE64_URL.iter().position(|&known| known == character)? as u128;
        bits = if index == 21 {
            (bits << 2) | (six >> 4)
        } else {
            (bits << 6) | six
        };
    }
    Some(TopicId::from_u128(bits))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn offsets_read_back(entries: Vec<(u8, i32, i64)>) {
            let map: HashMap<_, _> = entries
                .into_iter()
                .map(|(topic, partition, offset)| (TopicPartition::new(format!("t-{topic}"), partition), Offset(offset)))
                .collect();
            let bytes = format_offsets(map.clone().into_iter().collect());
            prop_assert_eq!(parse_offsets(&bytes).unwrap(), map);
        }

        #[test]
        fn epochs_read_back(epochs: Vec<(i32, i64)>) {
            prop_assert_eq!(parse_epochs(&format_epochs(&epochs)).unwrap(), epochs);
        }

        #[test]
        fn topic_ids_read_back(bits: u128) {
            let id = TopicId::from_u128(bits);
            prop_assert_eq!(parse_partition_metadata(&format_partition_metadata(id)), Some(id));
        }

        #[test]
        fn any_bytes_are_entries_or_an_error(bytes: Vec<u8>, text in "0\n[0-9]{1,19}\n([a-z0-9 \n-]{0,60})") {
            for bytes in [&bytes[..], text.as_bytes()] {
                let _ = parse_offsets(bytes);
                let _ = parse_epochs(bytes);
                let _ = parse_partition_metadata(bytes);
            }
        }
    }

    #[test]
    fn the_files_look_like_kafkas() {
        let offsets = vec![
            (TopicPartition::new("orders", 3), Offset(42)),
            (TopicPartition::new("a", 0), Offset(7)),
        ];
        assert_eq!(format_offsets(offsets), b"0\n2\na 0 7\norders 3 42\n");
        assert_eq!(format_epochs(&[(0, 0), (4, 17)]), b"0\n2\n0 0\n4 17\n");
        let id = TopicId::from_u128(0x0001_0203_0405_0607_0809_0a0b_0c0d_0e0f);
        assert_eq!(
            format_partition_metadata(id),
            b"version: 0\ntopic_id: AAECAwQFBgcICQoLDA0ODw\n"
        );
    }

    #[test]
    fn a_count_that_does_not_hold_is_an_error() {
        assert!(parse_offsets(b"0\n2\na 0 7\n").is_err());
        assert!(parse_offsets(b"0\n0\na 0 7\n").is_err());
        assert!(parse_offsets(b"0\n99999999999999\n").is_err());
        assert!(parse_offsets(b"1\n0\n").is_err());
    }
}
