//! The thread that makes segments durable soon after they were closed.
//!
//! As in Kafka, where a roll leaves that to a thread of the scheduler, so that no append waits for it. A crash then costs
//! a scan of hardly more than the newest segment, and compaction, which flushes what it is about to replace, finds most
//! of that done.

use crate::manager::LogManager;
use crate::types::TopicPartition;
use parking_lot::{Condvar, Mutex};
use std::collections::HashSet;
use std::io;
use std::sync::Arc;
use std::thread::JoinHandle;

/// The partitions that have closed a segment since somebody looked.
#[derive(Debug, Default)]
pub(crate) struct ClosedSegments {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    partitions: HashSet<TopicPartition>,
    stopping: bool,
}

impl ClosedSegments {
    /// A segment of this partition was closed.
    pub fn note(&self, topic_partition: &TopicPartition) {
        self.state.lock().partitions.insert(topic_partition.clone());
        self.changed.notify_all();
    }

    /// Waits for some; `None` when nobody is to look any more.
    fn take(&self) -> Option<HashSet<TopicPartition>> {
        let mut state = self.state.lock();
        while state.partitions.is_empty() && !state.stopping {
            self.changed.wait(&mut state);
        }
        (!state.stopping).then(|| std::mem::take(&mut state.partitions))
    }

    fn is_stopping(&self) -> bool {
        self.state.lock().stopping
    }

    fn stop(&self) {
        self.state.lock().stopping = true;
        self.changed.notify_all();
    }
}

/// The running thread; dropped or stopped, it ends after the partition that it is at.
#[derive(Debug)]
pub struct Flusher {
    logs: Arc<LogManager>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl Flusher {
    /// Starts the thread. It is the only one for these logs, and once stopped there is no other.
    ///
    /// # Errors
    /// The system grants no more threads.
    pub fn start(logs: Arc<LogManager>) -> io::Result<Flusher> {
        let working = Arc::clone(&logs);
        let thread = std::thread::Builder::new().name("moldau-flusher".to_owned());
        let thread = thread.spawn(move || run(&working))?;
        Ok(Flusher {
            logs,
            thread: Mutex::new(Some(thread)),
        })
    }

    /// Ends the thread and waits for it.
    pub fn stop(&self) {
        self.logs.closed_segments().stop();
        if let Some(thread) = self.thread.lock().take() {
            // A thread that panicked has said so itself.
            let _ = thread.join();
        }
    }
}

impl Drop for Flusher {
    fn drop(&mut self) {
        self.stop();
    }
}

fn run(logs: &LogManager) {
    while let Some(partitions) = logs.closed_segments().take() {
        for topic_partition in partitions {
            if logs.closed_segments().is_stopping() {
                return;
            }
            logs.flush_closed_segments(&topic_partition);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::batch::BatchBuilder;
    use crate::config::LogConfig;
    use crate::manager::{LogManagerConfig, PartitionSpec};
    use crate::partition_log::PartitionLog;
    use crate::temporary::TemporaryFolder;
    use crate::types::{AppendOrigin, LeaderEpoch, TopicId};
    use std::time::{Duration, Instant};

    const NOW: i64 = 1_700_000_000_000;

    fn open(temporary: &TemporaryFolder) -> Arc<LogManager> {
        let manager = LogManager::open(LogManagerConfig {
            directories: vec![temporary.path().to_owned()],
            ..LogManagerConfig::default()
        });
        Arc::new(manager.unwrap())
    }

    fn create(manager: &LogManager, partition: i32) -> Arc<PartitionLog> {
        let config = LogConfig {
            segment_bytes: 1000,
            ..LogConfig::default()
        };
        let spec = PartitionSpec {
            topic_partition: TopicPartition::new("orders", partition),
            topic_id: TopicId::from_u128(5),
            config,
        };
        manager.create(spec, NOW).unwrap()
    }

    fn fill(log: &PartitionLog) {
        for _ in 0..50 {
            let mut builder = BatchBuilder::new();
            builder.append(NOW, None, Some(b"value"), &[]);
            log.append(builder.finish(), LeaderEpoch(0), AppendOrigin::Client, NOW)
                .unwrap();
        }
    }

    fn newest(log: &PartitionLog) -> crate::types::Offset {
        log.segments().last().unwrap().base_offset
    }

    #[test]
    fn closed_segments_become_durable_without_anybody_asking_and_the_newest_does_not() {
        let temporary = TemporaryFolder::new();
        let manager = open(&temporary);
        let flusher = Flusher::start(Arc::clone(&manager)).unwrap();
        let logs = [create(&manager, 0), create(&manager, 1)];
        logs.iter().for_each(|log| fill(log));
        let deadline = Instant::now() + Duration::from_secs(30);
        for log in &logs {
            assert!(newest(log).0 > 0);
            while log.recovery_point() < newest(log) {
                assert!(Instant::now() < deadline, "nobody flushed {}", log.topic_partition());
                std::thread::sleep(Duration::from_millis(1));
            }
            assert_eq!(log.recovery_point(), newest(log));
        }
        flusher.stop();
        flusher.stop();
        fill(&logs[0]);
        assert!(logs[0].recovery_point() < newest(&logs[0]));
        manager.shutdown(NOW);
    }

    #[test]
    fn a_partition_that_was_deleted_before_its_turn_fails_nobody() {
        let temporary = TemporaryFolder::new();
        let manager = open(&temporary);
        let (gone, kept) = (create(&manager, 0), create(&manager, 1));
        fill(&gone);
        let gone_at = std::slice::from_ref(gone.topic_partition());
        assert!(manager.delete_all(gone_at, NOW).is_empty());
        manager.housekeeping(NOW + gone.config().file_delete_delay_ms);
        // Its files are gone already: as if the thread had been in the middle of it.
        assert!(gone.flush_closed_segments().is_err());
        assert!(gone.flush_everything().is_err());
        manager.flush_closed_segments(gone.topic_partition());
        fill(&kept);
        manager.flush_closed_segments(kept.topic_partition());
        assert_eq!(kept.recovery_point(), newest(&kept));
        assert!(!kept.is_offline());
    }
}
