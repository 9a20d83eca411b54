//! A disk in memory that does what real ones do on a bad day.
//!
//! Every change (a write, a new length, a flush, a rename …) is a numbered step. A test may stop the world at any
//! step, the write at that step half done; or let one step fail as a full or a broken disk would. Then it looks at
//! what is left: everything that was written if only the process died ([`Disk::after_kill`]), or what was flushed plus
//! an arbitrary part of the rest if the power went ([`Disk::after_power_loss`]).
//!
//! Names: a file's bytes are made durable by `sync_data`, its name by `sync_directory`. Changes of names that were not
//! flushed survive as a prefix, as in a journaling file system.

use moldau_log::storage::{DirectoryEntry, OpenMode, StorageLock};
use moldau_log::{Storage, StorageFile};
use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::os::fd::BorrowedFd;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard};

/// What happens at the chosen step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The world ends; a write is half done.
    Crash,
    /// The write is half done and says ENOSPC; so do all that follow until [`Disk::heal`].
    Full,
    /// It says EIO, once.
    Broken,
}

#[derive(Clone, Debug)]
enum Change {
    Write { position: usize, bytes: Vec<u8> },
    Length(usize),
}

#[derive(Clone, Debug, Default)]
struct Content {
    now: Vec<u8>,
    durable: Vec<u8>,
    unflushed: Vec<Change>,
}

#[derive(Clone, Debug)]
enum Naming {
    Put(PathBuf, usize),
    Take(PathBuf),
    /// From one name to another: both happen or neither.
    Move(PathBuf, PathBuf, usize),
}

#[derive(Clone, Debug, Default)]
struct World {
    contents: Vec<Content>,
    names: BTreeMap<PathBuf, usize>,
    durable_names: BTreeMap<PathBuf, usize>,
    unflushed_names: Vec<Naming>,
    directories: BTreeSet<PathBuf>,
    steps: usize,
    fault: Option<(usize, Fault)>,
    crashed: bool,
    full: bool,
    /// No file can be opened: there are no more descriptors.
    exhausted: bool,
}

/// The disk; clones share it.
#[derive(Clone, Debug, Default)]
pub struct Disk(Arc<Mutex<World>>);

#[derive(Debug)]
struct OpenFile {
    disk: Disk,
    content: usize,
}

#[derive(Debug)]
struct Held;

impl StorageLock for Held {}

/// A small generator of arbitrary choices, the same for the same seed.
pub struct Choices(u64);

impl Choices {
    pub fn new(seed: u64) -> Choices {
        Choices(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    pub fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) as usize % bound.max(1)
    }
}

fn apply(bytes: &mut Vec<u8>, change: &Change) {
    match change {
        Change::Write { position, bytes: new } => {
            let end = position + new.len();
            if bytes.len() < end {
                bytes.resize(end, 0);
            }
            bytes[*position..end].copy_from_slice(new);
        }
        Change::Length(length) => bytes.resize(*length, 0),
    }
}

fn rename_all(names: &mut BTreeMap<PathBuf, usize>, naming: &Naming) {
    match naming {
        Naming::Put(path, content) => {
            names.insert(path.clone(), *content);
        }
        Naming::Take(path) => {
            names.remove(path);
        }
        Naming::Move(from, to, content) => {
            names.remove(from);
            names.insert(to.clone(), *content);
        }
    }
}

impl World {
    /// Counts a step; tells whether the step itself is to be done half and fail.
    fn step(&mut self) -> Result<(), io::Error> {
        if self.crashed {
            return Err(io::Error::other("crashed"));
        }
        self.steps += 1;
        match self.fault {
            Some((at, fault)) if at == self.steps => match fault {
                Fault::Crash => {
                    self.crashed = true;
                    Err(io::Error::other("crashed"))
                }
                Fault::Full => {
                    self.full = true;
                    Ok(())
                }
                Fault::Broken => Err(io::Error::from_raw_os_error(5)),
            },
            _ => Ok(()),
        }
    }

    fn change(&mut self, content: usize, change: Change) -> io::Result<()> {
        let alive = !self.crashed;
        let result = self.step();
        let grows = matches!(change, Change::Write { .. });
        let (change, result) = match result {
            Ok(()) if self.full && grows => (half(&change), Err(io::Error::from_raw_os_error(28))),
            Err(error) if alive && self.crashed => (half(&change), Err(error)),
            Err(error) => return Err(error),
            Ok(()) => (change, Ok(())),
        };
        let content = &mut self.contents[content];
        apply(&mut content.now, &change);
        content.unflushed.push(change);
        result
    }

    fn rename_step(&mut self, changes: Vec<Naming>) -> io::Result<()> {
        self.step()?;
        for naming in changes {
            rename_all(&mut self.names, &naming);
            self.unflushed_names.push(naming);
        }
        Ok(())
    }
}

fn half(change: &Change) -> Change {
    match change {
        Change::Write { position, bytes } => Change::Write {
            position: *position,
            bytes: bytes[..bytes.len() / 2].to_vec(),
        },
        Change::Length(length) => Change::Length(*length),
    }
}

impl Disk {
    /// An empty disk on which step `at` (from 1) goes wrong.
    pub fn with_fault(at: usize, fault: Fault) -> Disk {
        let disk = Disk::default();
        disk.world().fault = Some((at, fault));
        disk
    }

    /// Lets step `at` go wrong.
    pub fn arm(&self, at: usize, fault: Fault) {
        self.world().fault = Some((at, fault));
    }

    fn world(&self) -> MutexGuard<'_, World> {
        self.0.lock().unwrap()
    }

    /// Steps done so far.
    pub fn steps(&self) -> usize {
        self.world().steps
    }

    /// Whether the chosen step was reached.
    pub fn is_faulty_now(&self) -> bool {
        let world = self.world();
        world.fault.is_some_and(|(at, _)| world.steps >= at)
    }

    /// There is room again.
    pub fn heal(&self) {
        let mut world = self.world();
        world.full = false;
        world.fault = None;
    }

    /// Whether the process may open files.
    #[allow(dead_code, reason = "not every test needs a disk that fails like that")]
    pub fn grant_descriptors(&self, granted: bool) {
        self.world().exhausted = !granted;
    }

    /// The disk as the next process finds it when only this one died.
    pub fn after_kill(&self) -> Disk {
        let mut world = self.world().clone();
        (world.crashed, world.full, world.fault) = (false, false, None);
        Disk(Arc::new(Mutex::new(world)))
    }

    /// The disk as the next boot finds it: of what was not flushed, an arbitrary part is there.
    pub fn after_power_loss(&self, choices: &mut Choices) -> Disk {
        let mut world = self.after_kill().world().clone();
        for content in &mut world.contents {
            let mut bytes = std::mem::take(&mut content.durable);
            for change in std::mem::take(&mut content.unflushed) {
                match choices.below(3) {
                    0 => apply(&mut bytes, &change),
                    1 => apply(&mut bytes, &half(&change)),
                    _ => {}
                }
            }
            content.now.clone_from(&bytes);
            content.durable = bytes;
        }
        let unflushed = std::mem::take(&mut world.unflushed_names);
        let kept = choices.below(unflushed.len() + 1);
        let mut names = std::mem::take(&mut world.durable_names);
        for naming in &unflushed[..kept] {
            rename_all(&mut names, naming);
        }
        world.names.clone_from(&names);
        world.durable_names = names;
        Disk(Arc::new(Mutex::new(world)))
    }
}

impl StorageFile for OpenFile {
    fn read_at(&self, buffer: &mut [u8], position: u64) -> io::Result<usize> {
        let world = self.disk.world();
        let bytes = world.contents[self.content].now.get(position as usize..).unwrap_or(&[]);
        let length = bytes.len().min(buffer.len());
        buffer[..length].copy_from_slice(&bytes[..length]);
        Ok(length)
    }

    fn write_all_at(&self, bytes: &[u8], position: u64) -> io::Result<()> {
        let change = Change::Write {
            position: position as usize,
            bytes: bytes.to_vec(),
        };
        self.disk.world().change(self.content, change)
    }

    fn length(&self) -> io::Result<u64> {
        Ok(self.disk.world().contents[self.content].now.len() as u64)
    }

    fn set_length(&self, length: u64) -> io::Result<()> {
        self.disk.world().change(self.content, Change::Length(length as usize))
    }

    fn sync_data(&self) -> io::Result<()> {
        let mut world = self.disk.world();
        world.step()?;
        let content = &mut world.contents[self.content];
        content.durable.clone_from(&content.now);
        content.unflushed.clear();
        Ok(())
    }

    fn as_fd(&self) -> Option<BorrowedFd<'_>> {
        None
    }
}

impl Storage for Disk {
    fn open(&self, path: &Path, mode: OpenMode) -> io::Result<Arc<dyn StorageFile>> {
        let mut world = self.world();
        if world.exhausted {
            return Err(io::Error::from_raw_os_error(24));
        }
        let content = match world.names.get(path) {
            Some(&content) => content,
            None if mode == OpenMode::Create => {
                let content = world.contents.len();
                world.contents.push(Content::default());
                world.rename_step(vec![Naming::Put(path.to_owned(), content)])?;
                content
            }
            None => return Err(io::ErrorKind::NotFound.into()),
        };
        Ok(Arc::new(OpenFile {
            disk: self.clone(),
            content,
        }))
    }

    fn read_file(&self, path: &Path, _limit: u64) -> io::Result<Vec<u8>> {
        let world = self.world();
        let content = world.names.get(path).ok_or(io::ErrorKind::NotFound)?;
        Ok(world.contents[*content].now.clone())
    }

    fn replace_file(&self, path: &Path, bytes: &[u8], durable: bool) -> io::Result<()> {
        let mut temporary = path.as_os_str().to_owned();
        temporary.push(".tmp");
        let temporary = PathBuf::from(temporary);
        let file = self.open(&temporary, OpenMode::Create)?;
        file.set_length(0)?;
        file.write_all_at(bytes, 0)?;
        if durable {
            file.sync_data()?;
        }
        self.rename(&temporary, path)?;
        if durable {
            self.sync_directory(path.parent().unwrap())
        } else {
            Ok(())
        }
    }

    fn list(&self, path: &Path) -> io::Result<Vec<DirectoryEntry>> {
        let world = self.world();
        if !world.directories.contains(path) {
            return Err(io::ErrorKind::NotFound.into());
        }
        let name = |path: &Path| path.file_name().unwrap().to_str().unwrap().to_owned();
        let mut entries: Vec<_> = world
            .names
            .iter()
            .filter(|(file, _)| file.parent() == Some(path))
            .map(|(file, content)| DirectoryEntry {
                name: name(file),
                is_directory: false,
                length: world.contents[*content].now.len() as u64,
            })
            .collect();
        let folders = world.directories.iter().filter(|folder| folder.parent() == Some(path));
        entries.extend(folders.map(|folder| DirectoryEntry {
            name: name(folder),
            is_directory: true,
            length: 0,
        }));
        entries.sort_by(|left, right| left.name.cmp(&right.name));
        Ok(entries)
    }

    fn exists(&self, path: &Path) -> io::Result<bool> {
        let world = self.world();
        Ok(world.names.contains_key(path) || world.directories.contains(path))
    }

    fn create_directory(&self, path: &Path) -> io::Result<()> {
        let mut world = self.world();
        world.step()?;
        for ancestor in path.ancestors() {
            world.directories.insert(ancestor.to_owned());
        }
        Ok(())
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let mut world = self.world();
        if world.directories.contains(from) {
            let inside: Vec<_> = world
                .names
                .iter()
                .filter(|(path, _)| path.starts_with(from))
                .map(|(path, &c)| (path.clone(), c))
                .collect();
            let renamed = inside.into_iter().flat_map(|(path, content)| {
                let new = to.join(path.strip_prefix(from).unwrap());
                [Naming::Take(path), Naming::Put(new, content)]
            });
            let renamed = renamed.collect();
            world.rename_step(renamed)?;
            world.directories.insert(to.to_owned());
            world.directories.remove(from);
            return Ok(());
        }
        let content = *world.names.get(from).ok_or(io::ErrorKind::NotFound)?;
        world.rename_step(vec![Naming::Move(from.to_owned(), to.to_owned(), content)])
    }

    fn remove_file(&self, path: &Path) -> io::Result<()> {
        let mut world = self.world();
        if world.names.contains_key(path) {
            world.rename_step(vec![Naming::Take(path.to_owned())])
        } else {
            Ok(())
        }
    }

    fn remove_directory(&self, path: &Path) -> io::Result<()> {
        let mut world = self.world();
        let inside: Vec<_> = world
            .names
            .keys()
            .filter(|file| file.starts_with(path))
            .cloned()
            .collect();
        world.rename_step(inside.into_iter().map(Naming::Take).collect())?;
        world.directories.retain(|folder| !folder.starts_with(path));
        Ok(())
    }

    fn sync_directory(&self, path: &Path) -> io::Result<()> {
        let mut world = self.world();
        world.step()?;
        let unflushed = std::mem::take(&mut world.unflushed_names);
        let (here, elsewhere): (Vec<_>, Vec<_>) = unflushed.into_iter().partition(|naming| {
            let (Naming::Put(file, _) | Naming::Take(file) | Naming::Move(_, file, _)) = naming;
            file.parent() == Some(path)
        });
        for naming in &here {
            rename_all(&mut world.durable_names, naming);
        }
        world.unflushed_names = elsewhere;
        Ok(())
    }

    fn sync_file_system(&self, _path: &Path) -> io::Result<bool> {
        let mut world = self.world();
        world.step()?;
        for content in &mut world.contents {
            content.durable.clone_from(&content.now);
            content.unflushed.clear();
        }
        world.durable_names = world.names.clone();
        world.unflushed_names.clear();
        Ok(true)
    }

    fn lock(&self, _path: &Path) -> io::Result<Option<Box<dyn StorageLock>>> {
        Ok(Some(Box::new(Held)))
    }

    fn space(&self, _path: &Path) -> io::Result<(u64, u64)> {
        Ok((1 << 30, 1 << 29))
    }

    fn modified_ms(&self, _path: &Path) -> io::Result<i64> {
        Ok(0)
    }
}
