//! Moving partitions between log directories (KIP-113).
//!
//! The copy grows in `<topic>-<partition>.<id>-future` of the other directory, Kafka's name for it, and takes the
//! partition's place in steps of which each leaves a whole log behind:
//!
//! | step | a crash after it leaves | the next start |
//! |---|---|---|
//! | copied, perhaps not to the end | the log, and a part of it as `-future` | copies it anew |
//! | copied to the end and flushed; checkpoints of the other directory know it | the log, and all of it as `-future` | copies it anew |
//! | `-future` dropped from the name | the log twice | takes the longer, sets the other aside as `-stray` |
//! | the old folder renamed to `-delete` | the log in its new place | removes the old folder |
//!
//! A folder `-future` is the wish itself: it is made before the wish is granted, so a start finds it.

use super::directories::{Checkpointed, Directory, FolderName};
use super::{LogManager, PartitionSpec};
use crate::checkpoint;
use crate::cleaner::Pace;
use crate::partition_log::{Destination, PartitionLog, Relocation, RelocationError};
use crate::types::{Offset, TopicId, TopicPartition};
use parking_lot::Mutex;
use std::collections::HashMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};

/// What is on its way, and what is to be once there is a partition.
#[derive(Debug, Default)]
pub(super) struct Moving {
    moves: Mutex<HashMap<TopicPartition, Arc<Move>>>,
    /// Where partitions that are not here yet are to be made.
    wishes: Mutex<HashMap<TopicPartition, PathBuf>>,
    /// Moves that came to their end.
    done: AtomicU64,
}

/// One partition on its way.
#[derive(Debug)]
struct Move {
    topic_id: TopicId,
    destination: PathBuf,
    folder: PathBuf,
    copied_bytes: AtomicU64,
    end_offset: AtomicI64,
    given_up: AtomicBool,
}

/// A copy that is not the log yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FutureStatus {
    /// Of what.
    pub topic_partition: TopicPartition,
    /// The topic's id.
    pub topic_id: TopicId,
    /// The one of `log.dirs` where it grows.
    pub directory: PathBuf,
    /// Bytes of batches so far.
    pub size_bytes: u64,
    /// Up to here it is complete.
    pub end_offset: Offset,
}

/// Why a partition is not moved.
#[derive(Debug, thiserror::Error)]
pub enum MoveRefusal {
    /// LOG_DIR_NOT_FOUND
    #[error("{} is none of log.dirs", .0.display())]
    UnknownDirectory(PathBuf),
    /// KAFKA_STORAGE_ERROR
    #[error("{0}")]
    Offline(String),
    /// REPLICA_NOT_AVAILABLE: it is not here. If it ever is, it will be made where it was wished.
    #[error("{0} is not on this node")]
    NotHosted(TopicPartition),
    /// KAFKA_STORAGE_ERROR: the folder for the copy cannot be made.
    #[error("{}: {source}", .path.display())]
    Storage {
        /// The folder.
        path: PathBuf,
        /// What the operating system said.
        source: io::Error,
    },
}

impl LogManager {
    /// Begins to move a partition to `destination`, one of `log.dirs`. One that is there already stays, and ends its way
    /// to elsewhere. [`LogManager::move_next`] does the work.
    pub fn request_move(
        &self,
        topic_partition: &TopicPartition,
        destination: &Path,
        now_ms: i64,
    ) -> Result<(), MoveRefusal> {
        let _one_at_a_time = self.changing.lock();
        let directory = self.directories.iter().find(|each| each.path() == destination);
        let directory = directory.ok_or_else(|| MoveRefusal::UnknownDirectory(destination.to_owned()))?;
        if let Some(reason) = directory.health.failure() {
            return Err(MoveRefusal::Offline(reason.to_owned()));
        }
        let Some(log) = self.get(topic_partition) else {
            let wish = (topic_partition.clone(), destination.to_owned());
            self.moving.wishes.lock().extend([wish]);
            return Err(MoveRefusal::NotHosted(topic_partition.clone()));
        };
        if let Some(reason) = log.offline_reason() {
            return Err(MoveRefusal::Offline(reason));
        }
        let known = self.moving.moves.lock().get(topic_partition).cloned();
        if known.is_some_and(|known| known.destination == destination) {
            return Ok(());
        }
        self.give_up_move(topic_partition, now_ms);
        if log.log_directory() == destination {
            return Ok(());
        }
        if self.online().count() < self.directories.len() {
            // The directory that has failed may hold another copy.
            let message = "no partition is moved while a log directory is offline".to_owned();
            return Err(MoveRefusal::Offline(message));
        }
        self.begin_move(&log, directory)
    }

    fn begin_move(&self, log: &PartitionLog, directory: &Directory) -> Result<(), MoveRefusal> {
        let folder = directory.path().join(FolderName::future(log.topic_partition()));
        let storage = &self.config.storage;
        let metadata = checkpoint::format_partition_metadata(log.topic_id());
        let made = storage.create_directory(&folder).and_then(|()| {
            storage.replace_file(
                &folder.join(checkpoint::PARTITION_METADATA),
                &metadata,
                self.config.durable,
            )?;
            if self.config.durable {
                storage.sync_directory(directory.path())
            } else {
                Ok(())
            }
        });
        made.map_err(|source| MoveRefusal::Storage {
            path: folder.clone(),
            source,
        })?;
        tracing::info!(partition = %log.topic_partition(), from = %log.log_directory().display(),
            to = %directory.path().display(), "moving a partition to another log directory");
        let started = Move {
            topic_id: log.topic_id(),
            destination: directory.path().to_owned(),
            folder,
            copied_bytes: AtomicU64::new(0),
            end_offset: AtomicI64::new(log.log_start_offset().0),
            given_up: AtomicBool::new(false),
        };
        self.moving
            .moves
            .lock()
            .insert(log.topic_partition().clone(), Arc::new(started));
        Ok(())
    }

    /// Where a partition that is made now is wished to be.
    pub(super) fn take_wish(&self, topic_partition: &TopicPartition) -> Option<&Directory> {
        let wish = self.moving.wishes.lock().remove(topic_partition)?;
        self.online().find(|directory| directory.path() == wish)
    }

    /// Ends the way of a partition that is deleted, or wished elsewhere; the caller changes partitions.
    pub(super) fn give_up_move(&self, topic_partition: &TopicPartition, now_ms: i64) {
        if let Some(ended) = self.moving.moves.lock().remove(topic_partition) {
            ended.given_up.store(true, Ordering::Release);
            self.removals.lock().push((now_ms, ended.folder.clone()));
        }
    }

    /// Carries out one of the moves that were asked for; `None` when there is none. A move that fails is told in one log
    /// line, and the partition stays where it is. When `pace` ends it, it is there for the next call.
    pub fn move_next(&self, pace: &mut dyn Pace, now_ms: i64) -> Option<TopicPartition> {
        let next = self
            .moving
            .moves
            .lock()
            .iter()
            .next()
            .map(|(at, next)| (at.clone(), Arc::clone(next)));
        let (topic_partition, next) = next?;
        let log = self.get(&topic_partition);
        let moved = log.as_ref().map_or(Err(RelocationError::GivenUp), |log| {
            self.carry_out(log, &next, pace, now_ms)
        });
        match moved {
            Ok(()) => {}
            // It was stopped, and is to go on.
            Err(RelocationError::GivenUp) if log.is_some_and(|log| !log.is_offline()) => {}
            Err(RelocationError::GivenUp) => {
                self.moving.moves.lock().remove(&topic_partition);
            }
            Err(error) => self.move_failed(&topic_partition, &next, error, now_ms),
        }
        Some(topic_partition)
    }

    fn carry_out(
        &self,
        log: &Arc<PartitionLog>,
        asked: &Move,
        pace: &mut dyn Pace,
        now_ms: i64,
    ) -> Result<(), RelocationError> {
        // What an earlier attempt has left there is of a round that nobody remembers.
        let emptied = self.config.storage.list(&asked.folder).and_then(|entries| {
            let stale = entries
                .into_iter()
                .filter(|entry| entry.name != checkpoint::PARTITION_METADATA);
            stale
                .into_iter()
                .try_for_each(|entry| self.config.storage.remove_file(&asked.folder.join(entry.name)))
        });
        emptied.map_err(RelocationError::Destination)?;
        let mut relocation = Relocation::new(log, asked.folder.clone());
        let reached = |bytes: u64, end: Offset| {
            asked.copied_bytes.store(bytes, Ordering::Relaxed);
            asked.end_offset.store(end.0, Ordering::Relaxed);
        };
        let mut pace = UntilGivenUp { pace, asked };
        while !relocation.catch_up(log, &mut pace, &reached)? {
            if !pace.spent(0) {
                return Err(RelocationError::GivenUp);
            }
        }
        self.take_place(log, asked, &mut relocation, now_ms)
    }

    fn take_place(
        &self,
        log: &Arc<PartitionLog>,
        asked: &Move,
        relocation: &mut Relocation,
        now_ms: i64,
    ) -> Result<(), RelocationError> {
        let _one_at_a_time = self.changing.lock();
        let at = log.topic_partition();
        let find = |path: &Path| self.directories.iter().find(|directory| directory.path() == path);
        let (Some(from), Some(to)) = (find(&log.log_directory()), find(&asked.destination)) else {
            return Err(RelocationError::GivenUp);
        };
        if asked.given_up.load(Ordering::Acquire) {
            return Err(RelocationError::GivenUp);
        }
        let (old, new) = (log.directory(), to.path().join(at.to_string()));
        let destination = Destination {
            health: &to.health,
            path: new.clone(),
        };
        let deleted = from.path().join(FolderName::deleted(at));
        let renamed = log.relocate(relocation, &destination, || {
            to.note(at, noted(log));
            self.checkpoint_directory(to).map_err(RelocationError::Destination)?;
            self.rename_in(to, &asked.folder, &new)
                .map_err(RelocationError::Destination)?;
            // From here on the new one is as good as the old one.
            if let Err(error) = self.rename_in(from, &old, &deleted) {
                from.health.fail("removing a partition that was moved", &error);
            }
            Ok(())
        });
        to.opened(at);
        renamed?;
        from.remove_partition();
        from.forget(at);
        to.add_partition();
        self.moving.moves.lock().remove(at);
        self.moving.done.fetch_add(1, Ordering::Relaxed);
        let due_ms = now_ms.saturating_add(log.config().file_delete_delay_ms);
        self.removals.lock().push((due_ms, deleted));
        tracing::info!(partition = %at, to = %to.path().display(), "moved a partition to another log directory");
        if let Err(error) = self.checkpoint() {
            tracing::error!(%error, "the checkpoints were not written after a move");
        }
        Ok(())
    }

    fn rename_in(&self, directory: &Directory, from: &Path, to: &Path) -> io::Result<()> {
        self.config.storage.rename(from, to)?;
        if self.config.durable {
            self.config.storage.sync_directory(directory.path())?;
        }
        Ok(())
    }

    fn move_failed(&self, at: &TopicPartition, asked: &Move, error: RelocationError, now_ms: i64) {
        let _one_at_a_time = self.changing.lock();
        let (path, error) = match error {
            RelocationError::Source(error) => (self.get(at).map(|log| log.log_directory()), error),
            RelocationError::Destination(error) => (Some(asked.destination.clone()), error),
            RelocationError::GivenUp => return,
        };
        tracing::error!(partition = %at, to = %asked.destination.display(), %error,
            "a partition could not be moved; it stays where it is");
        let directory = self
            .directories
            .iter()
            .find(|each| path.as_deref() == Some(each.path()));
        if !crate::directory::is_shortage(&error)
            && let Some(directory) = directory
        {
            directory.health.fail("moving a partition", &error);
        }
        if !asked.given_up.load(Ordering::Acquire) {
            self.give_up_move(at, now_ms);
        }
    }

    /// After a start: partitions that were on their way set out again.
    pub(super) fn resume_moves(&self, futures: Vec<(TopicPartition, &Directory, PathBuf)>, specs: &[PartitionSpec]) {
        for (at, directory, folder) in futures {
            let wanted = specs.iter().any(|spec| spec.topic_partition == at);
            if wanted && self.get(&at).is_none() {
                // Its log is in a directory that has failed: this may be all that is left of it.
                continue;
            }
            self.removals.lock().push((i64::MIN, folder));
            let Some(log) = self.get(&at).filter(|log| log.log_directory() != directory.path()) else {
                continue;
            };
            if self.moving.moves.lock().contains_key(&at) {
                continue;
            }
            if let Err(error) = self.begin_move(&log, directory) {
                tracing::error!(partition = %at, %error, "a move cannot be taken up again");
            }
        }
    }

    /// How many partitions have changed their directory since the start.
    pub fn moves_done(&self) -> u64 {
        self.moving.done.load(Ordering::Relaxed)
    }

    /// Every copy that is on its way.
    pub fn futures(&self) -> Vec<FutureStatus> {
        let moves = self.moving.moves.lock();
        let told = moves.iter().map(|(at, each)| FutureStatus {
            topic_partition: at.clone(),
            topic_id: each.topic_id,
            directory: each.destination.clone(),
            size_bytes: each.copied_bytes.load(Ordering::Relaxed),
            end_offset: Offset(each.end_offset.load(Ordering::Relaxed)),
        });
        told.collect()
    }
}

/// What the checkpoints are to say about a log.
pub(super) fn noted(log: &PartitionLog) -> Checkpointed {
    Checkpointed {
        recovery_point: log.recovery_point(),
        log_start: log.log_start_offset(),
        high_watermark: log.high_watermark(),
        cleaned_to: log.cleaned_to(),
    }
}

/// Ends when the move is not wanted any more.
struct UntilGivenUp<'a> {
    pace: &'a mut dyn Pace,
    asked: &'a Move,
}

impl Pace for UntilGivenUp<'_> {
    fn spent(&mut self, bytes: u64) -> bool {
        !self.asked.given_up.load(Ordering::Acquire) && self.pace.spent(bytes)
    }
}
