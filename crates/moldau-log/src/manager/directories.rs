//! One of `log.dirs`: its lock, its checkpoints, the names of the folders in it.

use super::DirectoryStatus;
use crate::checkpoint::{
    self, CLEAN_SHUTDOWN, CLEANED_TO, CheckpointError, HIGH_WATERMARKS, LIMIT_BYTES, LOCK, LOG_START_OFFSETS,
    RECOVERY_POINTS,
};
use crate::directory::DirectoryHealth;
use crate::error::LogError;
use crate::storage::{Storage, StorageLock};
use crate::types::{Offset, TopicPartition};
use parking_lot::Mutex;
use std::collections::{HashMap, HashSet};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// What the checkpoints hold about one partition.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Checkpointed {
    pub recovery_point: Offset,
    pub log_start: Offset,
    pub high_watermark: Offset,
    /// How far compaction came, where it ever ran.
    pub cleaned_to: Option<Offset>,
}

#[derive(Debug)]
pub(super) struct Directory {
    pub health: Arc<DirectoryHealth>,
    storage: Arc<dyn Storage>,
    lock: Mutex<Option<Box<dyn StorageLock>>>,
    /// What the last run left behind, of partitions that are not open yet.
    unopened: Mutex<HashMap<TopicPartition, Checkpointed>>,
    clean: bool,
    partitions: AtomicUsize,
    /// Hashes of the checkpoints as last written, by file.
    written: Mutex<HashMap<&'static str, u64>>,
    /// The checkpoints on disk may still tell of these, which are gone: a topic of the same name would take it for its
    /// own after a crash.
    outdated: Mutex<HashSet<TopicPartition>>,
    /// One checkpoint is written at a time: an older one must not come after a newer one.
    checkpointing: Mutex<()>,
    /// One entry for each folder that got another name since the names were flushed; when it is to be removed, if it is.
    renamed: Mutex<Vec<Option<(i64, PathBuf)>>>,
}

impl Directory {
    pub fn open(path: &Path, storage: &Arc<dyn Storage>, durable: bool) -> Result<Directory, LogError> {
        let mut directory = Directory {
            health: Arc::new(DirectoryHealth::new(path.to_owned())),
            storage: Arc::clone(storage),
            lock: Mutex::new(None),
            unopened: Mutex::new(HashMap::new()),
            clean: false,
            partitions: AtomicUsize::new(0),
            written: Mutex::new(HashMap::new()),
            outdated: Mutex::new(HashSet::new()),
            checkpointing: Mutex::new(()),
            renamed: Mutex::new(Vec::new()),
        };
        match directory.take_possession(durable) {
            Ok(true) => {}
            Ok(false) => return Err(LogError::DirectoryLocked(path.to_owned())),
            Err(error) => {
                directory.health.fail("opening the directory", &error);
            }
        }
        Ok(directory)
    }

    /// Locks the directory and reads its checkpoints; `false` when another process holds it.
    fn take_possession(&mut self, durable: bool) -> io::Result<bool> {
        let path = self.path().to_owned();
        self.storage.create_directory(&path)?;
        let Some(lock) = self.storage.lock(&path.join(LOCK))? else {
            return Ok(false);
        };
        *self.lock.lock() = Some(lock);
        let mark = path.join(CLEAN_SHUTDOWN);
        self.clean = self.storage.exists(&mark)?;
        if self.clean {
            // From here on a crash is a crash.
            self.storage.remove_file(&mark)?;
            if durable {
                self.storage.sync_directory(&path)?;
            }
        }
        let mut noted: HashMap<TopicPartition, Checkpointed> = HashMap::new();
        for (partition, offset) in self.read_offsets(RECOVERY_POINTS)? {
            noted.entry(partition).or_default().recovery_point = offset;
        }
        for (partition, offset) in self.read_offsets(LOG_START_OFFSETS)? {
            noted.entry(partition).or_default().log_start = offset;
        }
        for (partition, offset) in self.read_offsets(HIGH_WATERMARKS)? {
            noted.entry(partition).or_default().high_watermark = offset;
        }
        for (partition, offset) in self.read_offsets(CLEANED_TO)? {
            // The file is there: it must follow even when the last compacted partition goes.
            self.written.lock().insert(CLEANED_TO, 0);
            noted.entry(partition).or_default().cleaned_to = Some(offset);
        }
        self.unopened = Mutex::new(noted);
        Ok(true)
    }

    fn read_offsets(&self, name: &str) -> io::Result<HashMap<TopicPartition, Offset>> {
        let path = self.path().join(name);
        let bytes = match self.storage.read_file(&path, LIMIT_BYTES) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(HashMap::new()),
            other => other?,
        };
        Ok(
            checkpoint::parse_offsets(&bytes).unwrap_or_else(|error: CheckpointError| {
                tracing::warn!(file = %path.display(), %error, "a checkpoint cannot be read; going on without it");
                HashMap::new()
            }),
        )
    }

    pub fn path(&self) -> &Path {
        &self.health.path
    }

    pub fn was_clean(&self) -> bool {
        self.clean
    }

    pub fn partition_count(&self) -> usize {
        self.partitions.load(Ordering::Relaxed)
    }

    /// What the last run noted about a partition.
    pub fn checkpointed(&self, partition: &TopicPartition) -> Checkpointed {
        self.unopened.lock().get(partition).copied().unwrap_or_default()
    }

    /// From now on the partition itself knows its offsets.
    pub fn opened(&self, partition: &TopicPartition) {
        self.unopened.lock().remove(partition);
    }

    /// The checkpoints are to say this of a partition that is about to be in this directory.
    pub fn note(&self, partition: &TopicPartition, noted: Checkpointed) {
        self.unopened.lock().insert(partition.clone(), noted);
    }

    /// One more partition is, or is about to be, in this directory.
    pub fn add_partition(&self) {
        self.partitions.fetch_add(1, Ordering::Relaxed);
    }

    /// One partition less.
    pub fn remove_partition(&self) {
        self.partitions.fetch_sub(1, Ordering::Relaxed);
    }

    /// Forgets what was noted about partitions that should not be here (any more).
    pub fn keep_noted(&self, wanted: &HashSet<&TopicPartition>) {
        let mut unopened = self.unopened.lock();
        let gone = unopened.extract_if(|partition, _| !wanted.contains(partition));
        self.outdated.lock().extend(gone.map(|(partition, _)| partition));
    }

    /// Forgets what was noted about a partition that is not here any more.
    pub fn forget(&self, partition: &TopicPartition) {
        self.unopened.lock().remove(partition);
        self.outdated.lock().insert(partition.clone());
    }

    /// A folder in here got another name, which a loss of power can undo; `removal` says when it is to go, and its path.
    pub fn renamed(&self, removal: Option<(i64, PathBuf)>) {
        self.renamed.lock().push(removal);
    }

    /// Makes the new names of folders durable, if there are any; gives back what is to be removed of them. Whoever asks
    /// meanwhile waits.
    pub fn sync_renamed(&self, durable: bool) -> io::Result<Vec<(i64, PathBuf)>> {
        let mut renamed = self.renamed.lock();
        if durable && !renamed.is_empty() {
            self.storage.sync_directory(self.path())?;
        }
        Ok(renamed.drain(..).flatten().collect())
    }

    /// Whether a crash now could leave checkpoints that tell of an earlier partition of this name.
    pub fn is_outdated(&self, partition: &TopicPartition) -> bool {
        self.unopened.lock().contains_key(partition) || self.outdated.lock().contains(partition)
    }

    /// Writes the checkpoints: of the open partitions, and unchanged of those not opened yet. A checkpoint that
    /// would not change is left alone.
    pub fn write_checkpoints(
        &self,
        open: impl FnOnce() -> Vec<(TopicPartition, Checkpointed)>,
        durable: bool,
    ) -> io::Result<()> {
        let _one_at_a_time = self.checkpointing.lock();
        let outdated = std::mem::take(&mut *self.outdated.lock());
        // In this order: one that is opened meanwhile is in both.
        let mut all = self.unopened.lock().clone();
        all.extend(open());
        self.write_all(all, durable)
            .inspect_err(|_| self.outdated.lock().extend(outdated))
    }

    fn write_all(&self, all: HashMap<TopicPartition, Checkpointed>, durable: bool) -> io::Result<()> {
        let select = |field: fn(&Checkpointed) -> Offset| -> Vec<_> {
            all.iter()
                .map(|(partition, noted)| (partition.clone(), field(noted)))
                .collect()
        };
        self.write(RECOVERY_POINTS, select(|noted| noted.recovery_point), durable)?;
        // As in Kafka, only starts above 0 are worth a line.
        let mut starts = select(|noted| noted.log_start);
        starts.retain(|(_, offset)| offset.0 > 0);
        self.write(LOG_START_OFFSETS, starts, durable)?;
        self.write(HIGH_WATERMARKS, select(|noted| noted.high_watermark), durable)?;
        let cleaned = all.into_iter().map(|(partition, noted)| (partition, noted.cleaned_to));
        self.write_cleaned(cleaned, durable)
    }

    /// Writes how far compaction came, without the partitions that it never was in.
    fn write_cleaned(
        &self,
        partitions: impl Iterator<Item = (TopicPartition, Option<Offset>)>,
        durable: bool,
    ) -> io::Result<()> {
        let offsets: Vec<_> = partitions
            .filter_map(|(partition, cleaned_to)| Some((partition, cleaned_to?)))
            .collect();
        if offsets.is_empty() && !self.written.lock().contains_key(CLEANED_TO) {
            // A directory without compacted topics has no such file.
            return Ok(());
        }
        self.write(CLEANED_TO, offsets, durable)
    }

    /// The same alone, when one partition was compacted.
    pub fn checkpoint_cleaned(
        &self,
        open: impl FnOnce() -> Vec<(TopicPartition, Option<Offset>)>,
        durable: bool,
    ) -> io::Result<()> {
        let _one_at_a_time = self.checkpointing.lock();
        let unopened = self.unopened.lock().clone().into_iter();
        self.write_cleaned(
            unopened
                .map(|(partition, noted)| (partition, noted.cleaned_to))
                .chain(open()),
            durable,
        )
    }

    fn write(&self, name: &'static str, offsets: Vec<(TopicPartition, Offset)>, durable: bool) -> io::Result<()> {
        let bytes = checkpoint::format_offsets(offsets);
        let mut hasher = DefaultHasher::new();
        bytes.hash(&mut hasher);
        let hash = hasher.finish();
        let mut written = self.written.lock();
        if written.get(name) != Some(&hash) {
            self.storage.replace_file(&self.path().join(name), &bytes, durable)?;
            written.insert(name, hash);
        }
        Ok(())
    }

    /// Leaves the mark of a clean shutdown.
    pub fn mark_clean(&self, durable: bool) -> io::Result<()> {
        // Kafka also notes its broker epoch here; -1 says that there is none to compare with.
        let content = br#"{"version":0,"brokerEpoch":-1}"#;
        self.storage
            .replace_file(&self.path().join(CLEAN_SHUTDOWN), content, durable)
    }

    /// Gives the directory back.
    pub fn unlock(&self) {
        *self.lock.lock() = None;
    }

    pub fn status(&self) -> DirectoryStatus {
        let error = self.health.failure().map(str::to_owned);
        // Unknown sizes are -1 to Kafka's clients; a directory that cannot be asked has none.
        let (total_bytes, usable_bytes) = self.storage.space(self.path()).unwrap_or((0, 0));
        DirectoryStatus {
            path: self.path().to_owned(),
            online: error.is_none(),
            error,
            total_bytes,
            usable_bytes,
        }
    }
}

/// What a folder in a log directory is, by its name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum FolderName {
    /// `topic-3`
    Partition(TopicPartition),
    /// `topic-3.<id>-delete`: to be removed.
    Deleted,
    /// `topic-3.<id>-future`: the copy of a partition that is on its way to this directory.
    Future(TopicPartition),
    /// `-stray`, or nothing of ours.
    Other,
}

impl FolderName {
    pub fn parse(name: &str) -> FolderName {
        let suffixed = |suffix: &str| name.strip_suffix(suffix).is_some_and(|rest| rest.contains('.'));
        if suffixed("-delete") {
            return FolderName::Deleted;
        }
        if suffixed("-stray") {
            return FolderName::Other;
        }
        if suffixed("-future") {
            let partition = name
                .rsplit_once('.')
                .and_then(|(partition, _)| parse_partition(partition));
            return partition.map_or(FolderName::Other, FolderName::Future);
        }
        parse_partition(name).map_or(FolderName::Other, FolderName::Partition)
    }

    /// The name of a deleted partition's folder.
    pub fn deleted(partition: &TopicPartition) -> String {
        FolderName::suffixed(partition, "-delete")
    }

    /// The name of the copy of a partition. Kafka refuses one that would be too long instead of cutting it.
    pub fn future(partition: &TopicPartition) -> String {
        FolderName::suffixed(partition, "-future")
    }

    /// The name of a folder that nobody asked for.
    pub fn stray(partition: &TopicPartition) -> String {
        FolderName::suffixed(partition, "-stray")
    }

    /// As Kafka names them: the topic's name is cut where the whole would have more than 255 bytes.
    fn suffixed(partition: &TopicPartition, suffix: &str) -> String {
        let tail = format!("-{}.{}{suffix}", partition.partition, uuid::Uuid::new_v4().simple());
        let mut length = partition.topic.len().min(255 - tail.len());
        while !partition.topic.is_char_boundary(length) {
            length -= 1;
        }
        format!("{}{tail}", &partition.topic[..length])
    }
}

fn parse_partition(name: &str) -> Option<TopicPartition> {
    let (topic, digits) = name.rsplit_once('-')?;
    let is_number = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    let partition = digits.parse().ok().filter(|_| is_number && !topic.is_empty())?;
    Some(TopicPartition::new(topic, partition))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folder_names_are_told_apart() {
        let partition = TopicPartition::new("my-topic.delete", 12);
        assert_eq!(
            FolderName::parse("my-topic.delete-12"),
            FolderName::Partition(partition.clone())
        );
        assert_eq!(FolderName::parse(&FolderName::deleted(&partition)), FolderName::Deleted);
        assert_eq!(FolderName::parse(&FolderName::stray(&partition)), FolderName::Other);
        assert_eq!(
            FolderName::parse(&FolderName::future(&partition)),
            FolderName::Future(partition)
        );
        assert_eq!(FolderName::parse("nothing.of-ours-future"), FolderName::Other);
        assert_eq!(FolderName::parse("lost+found"), FolderName::Other);
        assert_eq!(FolderName::parse("-3"), FolderName::Other);
        assert_eq!(FolderName::parse("orders-99999999999"), FolderName::Other);
        let long = TopicPartition::new("x".repeat(249), 0);
        assert_eq!(FolderName::deleted(&long).len(), 255);
    }
}
