//! Records reach a consumer whole where there is no descriptor for `sendfile`: a storage without real files, or
//! another operating system.

mod broker;

use std::io;
use std::os::fd::BorrowedFd;
use std::path::Path;
use std::sync::Arc;

use broker::records::{Ask, fetch_request, produce_request, values};
use broker::{Broker, FETCH, PRODUCE, batch, config};
use kafka_protocol::messages::{FetchResponse, ProduceResponse};
use moldau_log::storage::{DirectoryEntry, FileSystem, OpenMode, Storage, StorageFile, StorageLock};

/// The real file system, its descriptors kept to itself.
#[derive(Debug)]
struct NoDescriptors;

#[derive(Debug)]
struct FileWithoutDescriptor(Arc<dyn StorageFile>);

impl StorageFile for FileWithoutDescriptor {
    fn read_at(&self, buffer: &mut [u8], position: u64) -> io::Result<usize> {
        self.0.read_at(buffer, position)
    }
    fn write_all_at(&self, bytes: &[u8], position: u64) -> io::Result<()> {
        self.0.write_all_at(bytes, position)
    }
    fn length(&self) -> io::Result<u64> {
        self.0.length()
    }
    fn set_length(&self, length: u64) -> io::Result<()> {
        self.0.set_length(length)
    }
    fn sync_data(&self) -> io::Result<()> {
        self.0.sync_data()
    }
    fn as_fd(&self) -> Option<BorrowedFd<'_>> {
        None
    }
}

impl Storage for NoDescriptors {
    fn open(&self, path: &Path, mode: OpenMode) -> io::Result<Arc<dyn StorageFile>> {
        Ok(Arc::new(FileWithoutDescriptor(FileSystem.open(path, mode)?)))
    }
    fn read_file(&self, path: &Path, limit: u64) -> io::Result<Vec<u8>> {
        FileSystem.read_file(path, limit)
    }
    fn replace_file(&self, path: &Path, bytes: &[u8], durable: bool) -> io::Result<()> {
        FileSystem.replace_file(path, bytes, durable)
    }
    fn list(&self, path: &Path) -> io::Result<Vec<DirectoryEntry>> {
        FileSystem.list(path)
    }
    fn exists(&self, path: &Path) -> io::Result<bool> {
        FileSystem.exists(path)
    }
    fn create_directory(&self, path: &Path) -> io::Result<()> {
        FileSystem.create_directory(path)
    }
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        FileSystem.rename(from, to)
    }
    fn remove_file(&self, path: &Path) -> io::Result<()> {
        FileSystem.remove_file(path)
    }
    fn remove_directory(&self, path: &Path) -> io::Result<()> {
        FileSystem.remove_directory(path)
    }
    fn sync_directory(&self, path: &Path) -> io::Result<()> {
        FileSystem.sync_directory(path)
    }
    fn sync_file_system(&self, path: &Path) -> io::Result<bool> {
        FileSystem.sync_file_system(path)
    }
    fn lock(&self, path: &Path) -> io::Result<Option<Box<dyn StorageLock>>> {
        FileSystem.lock(path)
    }
    fn space(&self, path: &Path) -> io::Result<(u64, u64)> {
        FileSystem.space(path)
    }
    fn modified_ms(&self, path: &Path) -> io::Result<i64> {
        FileSystem.modified_ms(path)
    }
}

#[test]
fn records_without_a_descriptor_are_read_and_sent() {
    let broker = Broker::start_on(Arc::new(NoDescriptors), config());
    broker.create_topic("orders", 2);
    let mut client = broker.connect();
    let large = |seed: u8| {
        (0..700_000)
            .map(|at: usize| b'a' + (at as u8 ^ seed) % 26)
            .collect::<Vec<_>>()
    };
    let records = [(0, batch(&[&large(0)])), (1, batch(&[&large(1)]))];
    let request = produce_request(&broker, 9, -1, "orders", &records);
    client.ask::<_, ProduceResponse>(PRODUCE, 9, &request);
    for version in [4, 18] {
        let request = fetch_request(
            &broker,
            &Ask {
                version,
                partitions: &[(0, 0), (1, 0)],
                ..Ask::default()
            },
        );
        let answer: FetchResponse = client.ask(FETCH, version, &request);
        for (seed, partition) in answer.responses[0].partitions.iter().enumerate() {
            assert_eq!(values(partition)[0].1.as_bytes(), large(seed as u8));
        }
    }
}
