//! What a crash (or Kafka) may have left in a partition's folder, and what the folder holds once that is tidied.
//!
//! | name | what happened | what is done |
//! |---|---|---|
//! | `*.deleted` | retention was waiting to remove it | removed |
//! | `*.cleaned` | compaction had not finished writing it | removed |
//! | `*.swap` at or behind a `*.cleaned` | compaction was giving its files this name | removed; the old ones are whole |
//! | `*.swap` | compaction had finished and was replacing segments | it replaces the segments whose offsets it covers |
//! | `*.tmp` | a checkpoint was being replaced | removed; the old one is whole |
//! | index without `.log` | retention had removed the log first | removed |

use crate::folder::{Folder, LOG, OFFSET_INDEX, SNAPSHOT, TIME_INDEX, TRANSACTION_INDEX, parse_name};
use crate::scan::{HeaderScan, ScanError};
use crate::storage::{DirectoryEntry, OpenMode};
use std::collections::BTreeMap;
use std::io;

const CLEANED: &str = ".cleaned";
const SWAP: &str = ".swap";
const DELETED: &str = ".deleted";

/// Bytes of the files of one segment; `None` where there is no such file.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Files {
    pub log: Option<u64>,
    pub offset_index: Option<u64>,
    pub time_index: Option<u64>,
    pub transaction_index: Option<u64>,
}

/// The segments in a folder by base offset, and the snapshots.
#[derive(Debug, Default)]
pub(super) struct Contents {
    pub segments: BTreeMap<i64, Files>,
    /// Offsets of the producers' snapshots, ascending.
    pub snapshots: Vec<i64>,
}

/// Tidies the folder and lists what is left.
pub(super) fn tidy(folder: &Folder) -> Result<Contents, ScanError> {
    let mut entries = folder.storage.list(&folder.path())?;
    if remove_unfinished(folder, &entries)? {
        entries = folder.storage.list(&folder.path())?;
    }
    let (mut contents, found_swap) = sort(folder, &entries)?;
    if found_swap {
        finish_swaps(folder, &contents)?;
        contents = sort(folder, &folder.storage.list(&folder.path())?)?.0;
    }
    for (&base_offset, _) in contents.segments.iter().filter(|(_, files)| files.log.is_none()) {
        for suffix in [OFFSET_INDEX, TIME_INDEX, TRANSACTION_INDEX] {
            folder.storage.remove_file(&folder.file(base_offset, suffix))?;
        }
    }
    contents.segments.retain(|_, files| files.log.is_some());
    Ok(contents)
}

/// Removes what compaction had not finished writing, with those of its files that had got their next name already
/// (Kafka's rule: any at or behind the first that had not). Tells whether there was any.
fn remove_unfinished(folder: &Folder, entries: &[DirectoryEntry]) -> io::Result<bool> {
    let with_suffix = |suffix: &'static str| {
        entries.iter().filter_map(move |entry| {
            let (base_offset, suffixes) = parse_name(&entry.name)?;
            suffixes.ends_with(suffix).then_some((base_offset, &entry.name))
        })
    };
    let Some(first) = with_suffix(CLEANED).map(|(base_offset, _)| base_offset).min() else {
        return Ok(false);
    };
    // The swaps first: without their `.cleaned` files they would look finished.
    let swaps = with_suffix(SWAP).filter(|&(base_offset, _)| base_offset >= first);
    for (_, name) in swaps.chain(with_suffix(CLEANED)) {
        folder.storage.remove_file(&folder.path().join(name))?;
    }
    Ok(true)
}

/// Sorts what the folder holds, removing what is of no use; also tells whether there are `.swap` files.
fn sort(folder: &Folder, entries: &[DirectoryEntry]) -> io::Result<(Contents, bool)> {
    let mut contents = Contents::default();
    let mut found_swap = false;
    for entry in entries {
        if entry.is_directory {
            continue;
        }
        let useless = [DELETED, ".tmp"].iter().any(|suffix| entry.name.ends_with(suffix));
        if useless {
            folder.storage.remove_file(&folder.path().join(&entry.name))?;
            continue;
        }
        let Some((base_offset, suffix)) = parse_name(&entry.name) else {
            continue;
        };
        if suffix.ends_with(SWAP) {
            found_swap = true;
            continue;
        }
        if suffix == SNAPSHOT {
            contents.snapshots.push(base_offset);
        }
        if ![LOG, OFFSET_INDEX, TIME_INDEX, TRANSACTION_INDEX].contains(&suffix) {
            continue;
        }
        let files = contents.segments.entry(base_offset).or_default();
        match suffix {
            LOG => files.log = Some(entry.length),
            OFFSET_INDEX => files.offset_index = Some(entry.length),
            TIME_INDEX => files.time_index = Some(entry.length),
            _ => files.transaction_index = Some(entry.length),
        }
    }
    Ok((contents, found_swap))
}

/// Lets every `.log.swap` take the place of the segments that it was made from, then drops the suffix.
fn finish_swaps(folder: &Folder, contents: &Contents) -> Result<(), ScanError> {
    let swaps: Vec<_> = folder
        .storage
        .list(&folder.path())?
        .into_iter()
        .filter(|entry| entry.name.ends_with(SWAP))
        .collect();
    for entry in &swaps {
        let Some((base_offset, "log.swap")) = parse_name(&entry.name) else {
            continue;
        };
        let file = folder.storage.open(&folder.path().join(&entry.name), OpenMode::Read)?;
        let mut next_offset = base_offset + 1;
        for batch in HeaderScan::new(file, 0, entry.length) {
            next_offset = next_offset.max(batch?.header.next_offset().0);
        }
        for (&replaced, _) in contents.segments.range(base_offset..next_offset) {
            for suffix in [LOG, OFFSET_INDEX, TIME_INDEX, TRANSACTION_INDEX, SNAPSHOT] {
                // The snapshot at the beginning of the new segment is as good as before.
                if suffix != SNAPSHOT || replaced != base_offset {
                    folder.storage.remove_file(&folder.file(replaced, suffix))?;
                }
            }
        }
    }
    for entry in &swaps {
        let from = folder.path().join(&entry.name);
        folder
            .storage
            .rename(&from, &folder.path().join(entry.name.trim_end_matches(SWAP)))?;
    }
    folder.sync_names()?;
    Ok(())
}
