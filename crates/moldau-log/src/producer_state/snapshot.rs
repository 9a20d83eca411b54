//! The `.snapshot` file: all producers at one offset, so that recovery need not read the whole log.
//!
//! Version 1 of Kafka's ProducerSnapshot: version, CRC-32C of what follows, number of entries, entries of 46 bytes.
//! Of the five batches only the newest is kept, as in Kafka.

use super::{BatchMetadata, ProducerEntry, ProducerStates};

const VERSION: i16 = 1;
const PREFIX_BYTES: usize = 10;
const CRC_FROM: usize = 6;
const ENTRY_BYTES: usize = 46;

/// The bytes of a snapshot.
pub(crate) fn encode(states: &ProducerStates) -> Vec<u8> {
    let mut entries: Vec<_> = states.iter().collect();
    entries.sort_by_key(|(producer_id, _)| *producer_id);
    let mut bytes = Vec::with_capacity(PREFIX_BYTES + entries.len() * ENTRY_BYTES);
    bytes.extend_from_slice(&VERSION.to_be_bytes());
    bytes.extend_from_slice(&[0; 4]);
    bytes.extend_from_slice(&(entries.len() as i32).to_be_bytes());
    for (producer_id, entry) in entries {
        let newest = entry.batches().last().copied();
        let newest = newest.unwrap_or(BatchMetadata {
            last_sequence: -1,
            last_offset: -1,
            ..BatchMetadata::default()
        });
        bytes.extend_from_slice(&producer_id.to_be_bytes());
        bytes.extend_from_slice(&entry.epoch.to_be_bytes());
        bytes.extend_from_slice(&newest.last_sequence.to_be_bytes());
        bytes.extend_from_slice(&newest.last_offset.to_be_bytes());
        bytes.extend_from_slice(&newest.offset_delta.to_be_bytes());
        bytes.extend_from_slice(&entry.last_timestamp_ms.to_be_bytes());
        bytes.extend_from_slice(&entry.coordinator_epoch.to_be_bytes());
        bytes.extend_from_slice(&entry.transaction_start.unwrap_or(-1).to_be_bytes());
    }
    let crc = crc32c::crc32c(&bytes[CRC_FROM..]);
    bytes[2..CRC_FROM].copy_from_slice(&crc.to_be_bytes());
    bytes
}

/// Reads a snapshot; the text says why it is none.
pub(crate) fn decode(bytes: &[u8]) -> Result<ProducerStates, &'static str> {
    let prefix = bytes.first_chunk::<PREFIX_BYTES>().ok_or("too short")?;
    let [version_high, version_low, a, b, c, d, count @ ..] = *prefix;
    if i16::from_be_bytes([version_high, version_low]) != VERSION {
        return Err("unknown version");
    }
    if crc32c::crc32c(&bytes[CRC_FROM..]) != u32::from_be_bytes([a, b, c, d]) {
        return Err("the checksum does not match");
    }
    let entries = bytes[PREFIX_BYTES..].chunks_exact(ENTRY_BYTES);
    if !entries.remainder().is_empty() || i32::from_be_bytes(count) as usize != entries.len() {
        return Err("the number of entries does not match");
    }
    let mut states = ProducerStates::default();
    for fields in entries {
        let (producer_id, entry) = decode_entry(fields);
        states.load(producer_id, entry);
    }
    Ok(states)
}

fn decode_entry(fields: &[u8]) -> (i64, ProducerEntry) {
    let long = |at: usize| i64::from_be_bytes(*fields[at..].first_chunk().expect("46 bytes"));
    let int = |at: usize| i32::from_be_bytes(*fields[at..].first_chunk().expect("46 bytes"));
    let epoch = i16::from_be_bytes([fields[8], fields[9]]);
    let (last_sequence, last_offset, offset_delta, timestamp_ms) = (int(10), long(14), int(22), long(26));
    let mut entry = ProducerEntry::empty();
    entry.set_epoch(epoch);
    if last_offset >= 0 {
        entry.add_batch(
            epoch,
            BatchMetadata {
                last_sequence,
                last_offset,
                offset_delta,
                timestamp_ms,
            },
        );
    }
    entry.last_timestamp_ms = timestamp_ms;
    entry.coordinator_epoch = int(34);
    entry.transaction_start = Some(long(38)).filter(|&first| first >= 0);
    (long(0), entry)
}
