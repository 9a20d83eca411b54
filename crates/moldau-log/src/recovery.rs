//! From a folder on disk to a partition that can be used.
//!
//! After a clean shutdown nothing is scanned: file sizes come from one listing, the log end from the last batch, the
//! producers from their snapshot. After a crash the segments past the recovery point are read whole: the first batch
//! that is torn, corrupt or out of order, and everything behind it, is cut, and said in one log line; the indexes of
//! these segments, the leader epochs and the producers are made anew from what is left. What lies before the
//! recovery point was flushed and is not looked at.

mod leftovers;

use crate::batch::BatchView;
use crate::checkpoint;
use crate::config::LogConfig;
use crate::directory::is_shortage;
use crate::epoch_cache::EpochCache;
use crate::error::LogError;
use crate::folder::{Folder, SNAPSHOT, parse_name};
use crate::producer_state::{self, ProducerStates};
use crate::scan::{BatchScan, HeaderScan, ScanError};
use crate::segment::{FileSizes, Segment};
use crate::types::Offset;
use leftovers::Contents;
use std::io;
use std::sync::Arc;

/// No snapshot may be larger: ten million producers.
const SNAPSHOT_LIMIT_BYTES: u64 = 512 * 1024 * 1024;

/// What the checkpoints of the directory say about a partition.
#[derive(Clone, Copy, Debug)]
pub(crate) struct LoadParameters {
    /// The last shutdown was clean.
    pub clean: bool,
    pub recovery_point: Offset,
    pub log_start: Offset,
    /// Compaction may have left holes up to here.
    pub cleaned_to: Option<Offset>,
    pub now_ms: i64,
}

/// A partition, read from its folder.
#[derive(Debug)]
pub(crate) struct Loaded {
    pub segments: Vec<Arc<Segment>>,
    pub producers: ProducerStates,
    pub snapshot_offset: i64,
    pub epochs: EpochCache,
    /// Their file also has some that begin at the log end or behind it.
    pub epochs_behind: bool,
    pub log_start: Offset,
    pub log_end: Offset,
    pub recovery_point: Offset,
    /// Segments had to be scanned.
    pub recovered: bool,
}

/// Opens the partition in `folder`, which must exist; an empty folder becomes an empty partition.
pub(crate) fn load(folder: &Arc<Folder>, parameters: LoadParameters, config: &LogConfig) -> Result<Loaded, LogError> {
    load_or_scan(folder, parameters, config).map_err(|error| match error {
        ScanError::Storage(source) => LogError::Storage {
            path: folder.path(),
            source,
        },
        invalid => LogError::Invalid {
            path: folder.path(),
            message: invalid.to_string(),
        },
    })
}

fn load_or_scan(folder: &Arc<Folder>, parameters: LoadParameters, config: &LogConfig) -> Result<Loaded, ScanError> {
    let contents = leftovers::tidy(folder)?;
    let mut segments = open_segments(folder, &contents, parameters.now_ms, config)?;
    if segments.is_empty() {
        let preallocated_bytes = config.preallocate.then_some(config.segment_bytes);
        let first = Segment::create(folder, parameters.log_start, preallocated_bytes, parameters.now_ms)?;
        segments.push(Arc::new(first));
    }
    let log_start = parameters.log_start.max(segments[0].base_offset);
    let mut epochs = read_epochs(folder, &segments)?;
    let mut known_epochs = epochs.clone();

    let active = &segments[segments.len() - 1];
    let clean_end = if parameters.clean { clean_end(active)? } else { None };
    let recovered = clean_end.is_none() && segments.iter().any(|segment| segment.size_bytes() > 0);
    let (log_end, producers, snapshot_offset) = match clean_end {
        Some(log_end) => {
            let (producers, snapshot_offset) =
                load_producers(folder, &contents.snapshots, &segments, log_start, log_end)?;
            (log_end, producers, snapshot_offset)
        }
        None => scan(folder, &mut segments, parameters, config, log_start, &mut epochs)?,
    };
    if log_end < log_start {
        return start_over(folder, segments, parameters, config);
    }
    epochs.truncate_end(log_end);
    epochs.truncate_start(log_start);
    let mut epochs_behind = known_epochs.truncate_end(log_end) && epochs == known_epochs;
    if epochs != known_epochs {
        let bytes = checkpoint::format_epochs(epochs.entries());
        let path = folder.path().join(checkpoint::LEADER_EPOCHS);
        // On a full disk, the next epoch writes them.
        epochs_behind = !has_room(folder.storage.replace_file(&path, &bytes, folder.durable))?;
    }
    let recovery_point = parameters.recovery_point.clamp(segments[0].base_offset, log_end);
    Ok(Loaded {
        segments,
        producers,
        snapshot_offset,
        epochs,
        epochs_behind,
        log_start,
        log_end,
        recovery_point,
        recovered,
    })
}

/// Everything left is below the log start offset: it was deleted on request and must not come back.
fn start_over(
    folder: &Arc<Folder>,
    segments: Vec<Arc<Segment>>,
    parameters: LoadParameters,
    config: &LogConfig,
) -> Result<Loaded, ScanError> {
    tracing::warn!(folder = %folder.path().display(), log_start = %parameters.log_start,
        "the log ends before its start offset; beginning anew there");
    for segment in segments {
        for path in segment.mark_deleted()? {
            folder.storage.remove_file(&path)?;
        }
    }
    remove_snapshots_after(folder, Offset(-1))?;
    folder
        .storage
        .remove_file(&folder.path().join(checkpoint::LEADER_EPOCHS))?;
    load_or_scan(folder, parameters, config)
}

/// Makes the segments of what was listed, and their indexes where a file is missing or has an impossible size.
fn open_segments(
    folder: &Arc<Folder>,
    contents: &Contents,
    now_ms: i64,
    config: &LogConfig,
) -> Result<Vec<Arc<Segment>>, ScanError> {
    let mut segments = Vec::with_capacity(contents.segments.len());
    for (&base_offset, files) in &contents.segments {
        let sizes = FileSizes {
            log: files.log.unwrap_or(0),
            offset_index: files.offset_index.unwrap_or(0),
            time_index: files.time_index.unwrap_or(0),
            transaction_index: files.transaction_index.unwrap_or(0),
        };
        let segment = Segment::existing(folder, Offset(base_offset), sizes, now_ms);
        let whole = |size: Option<u64>, entry_bytes: u64| size.is_some_and(|size| size.is_multiple_of(entry_bytes));
        if sizes.log > 0 && !(whole(files.offset_index, 8) && whole(files.time_index, 12)) {
            match segment.rebuild_indexes(config.index_interval_bytes) {
                // A torn batch is the business of the scan, which makes the indexes once more.
                Ok(()) | Err(ScanError::Invalid { .. }) => {}
                Err(error) => return Err(error),
            }
        }
        segments.push(Arc::new(segment));
    }
    Ok(segments)
}

/// The log end after a clean shutdown; `None` when the active segment does not look like one.
fn clean_end(active: &Segment) -> io::Result<Option<Offset>> {
    match active.last_batch() {
        Ok(last) => Ok(Some(last.map_or(active.base_offset, |last| last.header.next_offset()))),
        Err(ScanError::Invalid { .. }) => Ok(None),
        Err(ScanError::Storage(error)) if error.kind() == io::ErrorKind::InvalidData => Ok(None),
        Err(ScanError::Storage(error)) => Err(error),
    }
}

/// Where a segment had to be cut.
struct Cut {
    position: u64,
    bytes: u64,
    reason: String,
}

fn scan(
    folder: &Arc<Folder>,
    segments: &mut Vec<Arc<Segment>>,
    parameters: LoadParameters,
    config: &LogConfig,
    log_start: Offset,
    epochs: &mut EpochCache,
) -> Result<(Offset, ProducerStates, i64), ScanError> {
    let first = segments
        .partition_point(|segment| segment.base_offset <= parameters.recovery_point)
        .saturating_sub(1);
    let may_have_holes =
        |at: Offset| config.compact || parameters.cleaned_to.is_some_and(|cleaned_to| at <= cleaned_to);
    let mut end = segments[first].base_offset;
    remove_snapshots_after(folder, end)?;
    let (mut producers, mut snapshot_offset) =
        load_producers(folder, &snapshots(folder)?, &segments[..first], log_start, end)?;
    for index in first..segments.len() {
        let segment = Arc::clone(&segments[index]);
        if index > first {
            // As the roll did: the next recovery may begin here.
            let bytes = producer_state::encode_snapshot(&producers);
            let path = folder.file(segment.base_offset.0, SNAPSHOT);
            if has_room(folder.storage.replace_file(&path, &bytes, false))? {
                snapshot_offset = segment.base_offset.0;
            }
        }
        let (segment_end, cut) = scan_segment(&segment, config, &mut producers, epochs)?;
        end = segment_end;
        let next = segments.get(index + 1).map(|next| next.base_offset);
        if let Some(cut) = cut.or_else(|| lost_end(&segment, end, next.filter(|&next| !may_have_holes(next)))) {
            let dropped = segments.split_off(index + 1);
            tracing::warn!(segment = %segment.log_path().display(), position = cut.position, bytes = cut.bytes,
                reason = %cut.reason, segments_dropped = dropped.len(), log_end = %end,
                "cut the end of a log that was not shut down cleanly");
            for segment in dropped {
                for path in segment.mark_deleted()? {
                    folder.storage.remove_file(&path)?;
                }
            }
            break;
        }
    }
    Ok((end, producers, snapshot_offset))
}

/// The end of this segment is gone although the next one is there: pages of either may reach the disk first. What
/// follows the hole was not flushed, so it was not promised; a log is a prefix of what was sent. (Compaction makes such
/// holes on purpose; `next` is not given where it may have been.)
fn lost_end(segment: &Segment, end: Offset, next: Option<Offset>) -> Option<Cut> {
    let next = next.filter(|&next| next != end)?;
    let reason = format!("the segment ends at offset {end}, the next begins at {next}");
    Some(Cut {
        position: segment.size_bytes(),
        bytes: 0,
        reason,
    })
}

/// Reads one segment whole, cuts it where it stops making sense, and makes its indexes anew.
fn scan_segment(
    segment: &Segment,
    config: &LogConfig,
    producers: &mut ProducerStates,
    epochs: &mut EpochCache,
) -> Result<(Offset, Option<Cut>), ScanError> {
    let size = segment.size_bytes();
    segment.reset_indexes();
    segment.aborted.truncate(segment.base_offset)?;
    let mut scan = BatchScan::new(segment.log_file()?, size, segment.base_offset);
    let mut end = segment.base_offset;
    let mut since_entry = 0;
    let mut cut = None;
    loop {
        match scan.next() {
            Ok(None) => break,
            Ok(Some((position, batch))) if segment.can_hold(batch.last_offset()) => {
                let header = batch.header();
                segment.note_timestamp(header, position == 0);
                if since_entry > u64::from(config.index_interval_bytes) {
                    segment.index_batch(header, position);
                    since_entry = 0;
                }
                since_entry += header.size_bytes as u64;
                end = header.next_offset();
                if epochs.latest().is_none_or(|latest| header.leader_epoch > latest) {
                    epochs.assign(header.leader_epoch, header.base_offset);
                }
                if let Some(aborted) = producers.replay(&batch) {
                    segment.aborted.append(&aborted)?;
                }
            }
            Ok(Some((position, _))) => {
                cut = Some(Cut {
                    position,
                    bytes: size - position,
                    reason: "offset out of range".to_owned(),
                });
                break;
            }
            Err(ScanError::Invalid { position, reason }) => {
                cut = Some(Cut {
                    position,
                    bytes: size - position,
                    reason: reason.to_string(),
                });
                break;
            }
            Err(error) => return Err(error),
        }
    }
    if let Some(cut) = &cut {
        segment.cut_at(cut.position)?;
    }
    segment.index_largest_timestamp();
    // What is not written waits in memory, as it does after an append.
    has_room(segment.persist_indexes())?;
    Ok((end, cut))
}

/// Whether something was written that a start can do without; a full disk must not keep anybody from reading, or from
/// deleting what fills it.
fn has_room(written: io::Result<()>) -> io::Result<bool> {
    match written {
        Err(error) if is_shortage(&error) => Ok(false),
        other => other.map(|()| true),
    }
}

/// The leader epochs as noted; from the batches where the file was torn by a crash.
fn read_epochs(folder: &Folder, segments: &[Arc<Segment>]) -> Result<EpochCache, ScanError> {
    let path = folder.path().join(checkpoint::LEADER_EPOCHS);
    let bytes = match folder.storage.read_file(&path, checkpoint::LIMIT_BYTES) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(EpochCache::default()),
        other => other?,
    };
    match checkpoint::parse_epochs(&bytes) {
        Ok(entries) => Ok(EpochCache::from_entries(entries)),
        Err(error) => {
            tracing::warn!(file = %path.display(), %error, "finding the leader epochs anew in the log");
            let mut epochs = EpochCache::default();
            for segment in segments {
                // What does not scan is cut in a moment, or lies before the recovery point and is as it is.
                for batch in segment.headers_from(0)?.map_while(Result::ok) {
                    if epochs.latest().is_none_or(|latest| batch.header.leader_epoch > latest) {
                        epochs.assign(batch.header.leader_epoch, batch.header.base_offset);
                    }
                }
            }
            Ok(epochs)
        }
    }
}

/// The producers at `end`: the newest good one of `snapshots` (ascending), and the log from there on. Also gives the
/// snapshot's offset.
pub(crate) fn load_producers(
    folder: &Folder,
    snapshots: &[i64],
    segments: &[Arc<Segment>],
    log_start: Offset,
    end: Offset,
) -> Result<(ProducerStates, i64), ScanError> {
    let (mut producers, snapshot_offset) = read_newest_snapshot(folder, snapshots, end)?;
    let snapshot_offset = snapshot_offset.unwrap_or(log_start.0);
    let from = log_start.max(Offset(snapshot_offset));
    if from >= end {
        return Ok((producers, snapshot_offset));
    }
    let first = segments
        .partition_point(|segment| segment.base_offset <= from)
        .saturating_sub(1);
    for segment in segments.get(first..).unwrap_or_default() {
        let size = segment.size_bytes();
        let Some(located) = segment.locate(from, size)? else {
            continue;
        };
        for batch in HeaderScan::new(segment.log_file()?, located.position, size) {
            let batch = batch?;
            if batch.header.base_offset >= end {
                break;
            }
            if batch.header.producer_id.0 < 0 || batch.header.last_offset() < from {
                continue;
            }
            let bytes = segment.read_batch(&batch)?;
            if let Ok(view) = BatchView::parse(&bytes) {
                // The transaction index of a segment that was flushed has its aborts already.
                let _ = producers.replay(&view);
            }
        }
    }
    Ok((producers, snapshot_offset))
}

/// The newest snapshot at or before `end` that can be read; those that cannot are removed.
fn read_newest_snapshot(folder: &Folder, snapshots: &[i64], end: Offset) -> io::Result<(ProducerStates, Option<i64>)> {
    for offset in snapshots.iter().rev().copied().filter(|&offset| offset <= end.0) {
        let path = folder.file(offset, SNAPSHOT);
        let bytes = folder.storage.read_file(&path, SNAPSHOT_LIMIT_BYTES)?;
        match producer_state::decode_snapshot(&bytes) {
            Ok(producers) => return Ok((producers, Some(offset))),
            Err(reason) => {
                tracing::warn!(file = %path.display(), reason, "removed a producer snapshot that cannot be read");
                folder.storage.remove_file(&path)?;
            }
        }
    }
    Ok((ProducerStates::default(), None))
}

/// Offsets of the snapshots in the folder, ascending.
pub(crate) fn snapshots(folder: &Folder) -> io::Result<Vec<i64>> {
    let names = folder.storage.list(&folder.path())?;
    Ok(names
        .iter()
        .filter_map(|entry| parse_name(&entry.name))
        .filter(|name| name.1 == SNAPSHOT)
        .map(|name| name.0)
        .collect())
}

/// Removes snapshots of producers behind `end`.
pub(crate) fn remove_snapshots_after(folder: &Folder, end: Offset) -> io::Result<()> {
    for offset in snapshots(folder)?.into_iter().filter(|&offset| offset > end.0) {
        folder.storage.remove_file(&folder.file(offset, SNAPSHOT))?;
    }
    Ok(())
}
