use super::*;
use crate::file_pool::FilePool;
use crate::storage::{FileSystem, Storage};
use crate::temporary::TemporaryFolder;
use proptest::prelude::*;

fn folder(temporary: &TemporaryFolder) -> Arc<Folder> {
    let pool = Arc::new(FilePool::new(2));
    Arc::new(Folder::new(
        Arc::new(FileSystem),
        temporary.path().to_owned(),
        false,
        pool,
    ))
}

fn entry(number: u32) -> OffsetEntry {
    OffsetEntry {
        relative_offset: number * 10 + 9,
        position: number * 4096,
    }
}

fn reopened(temporary: &TemporaryFolder) -> SparseIndex<OffsetEntry> {
    let folder = folder(temporary);
    let length = std::fs::metadata(folder.file(0, "index")).unwrap().len();
    SparseIndex::new(folder, 0, "index", length)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]
    #[test]
    fn every_lookup_finds_the_floor_in_memory_and_in_the_file(count in 0u32..5000, keep in 0u32..5000) {
        let temporary = TemporaryFolder::new();
        let index = SparseIndex::new(folder(&temporary), 0, "index", 0);
        for number in 0..count {
            index.push(entry(number));
        }
        index.persist().unwrap();
        let log_bytes = u64::from(count) * 4096;
        let again = reopened(&temporary);
        for target in (0..count * 10 + 20).step_by(37) {
            let expected = target.checked_sub(9).map(|above| above / 10).map(|number| number.min(count.wrapping_sub(1)));
            let expected = if count == 0 { None } else { expected.map(entry) };
            for index in [&index, &again] {
                let found = index.floor(log_bytes, |entry| entry.relative_offset <= target).unwrap();
                prop_assert_eq!(found, expected);
            }
        }
        index.truncate(log_bytes, |entry| entry.position < keep * 4096).unwrap();
        prop_assert_eq!(index.len(), u64::from(keep.min(count)));
        prop_assert_eq!(index.last().unwrap(), keep.min(count).checked_sub(1).map(entry));
        index.push(entry(6000));
        index.persist().unwrap();
        let found = reopened(&temporary).floor(u64::MAX, |_| true).unwrap();
        prop_assert_eq!(found, Some(entry(6000)));
    }

    #[test]
    fn any_file_is_an_answer_or_an_error(bytes: Vec<u8>, log_bytes: u64, target: u32) {
        let temporary = TemporaryFolder::new();
        let folder = folder(&temporary);
        std::fs::write(folder.file(0, "index"), &bytes).unwrap();
        let index: SparseIndex<OffsetEntry> = SparseIndex::new(Arc::clone(&folder), 0, "index", bytes.len() as u64);
        let _ = index.floor(log_bytes, |entry| entry.relative_offset <= target);
        let times: SparseIndex<TimeEntry> = SparseIndex::new(folder, 0, "index", bytes.len() as u64);
        let _ = times.floor(log_bytes, |entry| entry.relative_offset <= target);
    }
}

#[test]
fn an_unsorted_file_is_invalid() {
    let temporary = TemporaryFolder::new();
    let folder = folder(&temporary);
    let mut bytes = Vec::new();
    entry(2).encode(&mut bytes);
    entry(1).encode(&mut bytes);
    FileSystem
        .replace_file(&folder.file(0, "index"), &bytes, false)
        .unwrap();
    let index: SparseIndex<OffsetEntry> = SparseIndex::new(folder, 0, "index", 16);
    let error = index.floor(1 << 20, |_| true).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::InvalidData);
}

#[test]
fn an_index_that_points_past_the_log_is_invalid() {
    let temporary = TemporaryFolder::new();
    let index = SparseIndex::new(folder(&temporary), 0, "index", 0);
    index.push(entry(5));
    index.persist().unwrap();
    let error = reopened(&temporary).floor(4096, |_| true).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::InvalidData);
}
