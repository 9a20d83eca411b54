//! A disk in memory that does what real ones do on a bad day.
//!
//! Every change (a write, a new length, a flush, a rename …) is a numbered step. A test may stop the world at any
//! step, the write at that step half done; or let one step fail as a full or a broken disk would. Then it looks at
//! what is left: everything that was written if only the process died ([`Disk::after_kill`]), or what was flushed plus
//! an arbitrary part of the rest if the power went ([`Disk::after_power_loss`]).
//!
//! Names: a file's bytes are made durable by `sync_data`, its name, as that of a folder, by `sync_directory` of the folder
//! it is in. Changes of names that were not flushed survive as a prefix, as in a journaling file system. What is right
//! under `/` was there before the node.

use moldau_log::storage::{DirectoryEntry, OpenMode, StorageLock};
use moldau_log::{Storage, StorageFile};
use std::collections::BTreeMap;
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

/// What a name stands for, by its number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Node {
    File(usize),
    Folder(usize),
}

/// The names in a folder.
#[derive(Clone, Debug, Default)]
struct Names {
    now: BTreeMap<String, Node>,
    durable: BTreeMap<String, Node>,
}

/// A name, and the folder it is in.
#[derive(Clone, Debug)]
struct Place {
    folder: usize,
    name: String,
}

#[derive(Clone, Debug)]
enum Naming {
    Put(Place, Node),
    Take(Place),
    /// From one name to another: both happen or neither.
    Move(Place, Place, Node),
}

/// The folder `/`.
const ROOT: usize = 0;

#[derive(Clone, Debug, Default)]
struct World {
    contents: Vec<Content>,
    folders: Vec<Names>,
    unflushed_names: Vec<Naming>,
    steps: usize,
    fault: Option<(usize, Fault)>,
    crashed: bool,
    full: bool,
    /// Nothing can be opened: there are no more descriptors.
    exhausted: bool,
}

/// The disk; clones share it.
#[derive(Clone, Debug)]
pub struct Disk(Arc<Mutex<World>>);

impl Default for Disk {
    fn default() -> Disk {
        let folders = vec![Names::default()];
        Disk::of(World {
            folders,
            ..World::default()
        })
    }
}

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

impl Naming {
    /// The folder whose flush makes it durable.
    fn folder(&self) -> usize {
        let (Naming::Put(place, _) | Naming::Take(place) | Naming::Move(_, place, _)) = self;
        place.folder
    }

    /// Carries it out: in what is seen now, or in what is on the disk.
    fn carry_out(&self, folders: &mut [Names], select: fn(&mut Names) -> &mut BTreeMap<String, Node>) {
        let mut put = |place: &Place, node: Node| {
            select(&mut folders[place.folder]).insert(place.name.clone(), node);
        };
        match self {
            Naming::Put(place, node) => put(place, *node),
            Naming::Take(place) => {
                select(&mut folders[place.folder]).remove(&place.name);
            }
            Naming::Move(from, to, node) => {
                put(to, *node);
                select(&mut folders[from.folder]).remove(&from.name);
            }
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
            self.change_name(naming);
        }
        Ok(())
    }

    fn change_name(&mut self, naming: Naming) {
        naming.carry_out(&mut self.folders, |names| &mut names.now);
        if naming.folder() == ROOT {
            naming.carry_out(&mut self.folders, |names| &mut names.durable);
        } else {
            self.unflushed_names.push(naming);
        }
    }

    fn find(&self, path: &Path) -> Option<Node> {
        let names = path.strip_prefix("/").unwrap();
        names.iter().try_fold(Node::Folder(ROOT), |node, name| match node {
            Node::Folder(folder) => self.folders[folder].now.get(name.to_str().unwrap()).copied(),
            Node::File(_) => None,
        })
    }

    fn file(&self, path: &Path) -> io::Result<usize> {
        match self.find(path) {
            Some(Node::File(content)) => Ok(content),
            _ => Err(io::ErrorKind::NotFound.into()),
        }
    }

    fn folder(&self, path: &Path) -> io::Result<usize> {
        match self.find(path) {
            Some(Node::Folder(folder)) => Ok(folder),
            _ => Err(io::ErrorKind::NotFound.into()),
        }
    }

    /// Where a name is, or would be; the folder must be there.
    fn place(&self, path: &Path) -> io::Result<Place> {
        Ok(Place {
            folder: self.folder(path.parent().unwrap())?,
            name: path.file_name().unwrap().to_str().unwrap().to_owned(),
        })
    }

    /// Takes away all that is in a folder, then the folder.
    fn take_all(&self, place: Place, folder: usize, takes: &mut Vec<Naming>) {
        for (name, &node) in &self.folders[folder].now {
            let name = name.clone();
            let inner = Place { folder, name };
            match node {
                Node::File(_) => takes.push(Naming::Take(inner)),
                Node::Folder(inside) => self.take_all(inner, inside, takes),
            }
        }
        takes.push(Naming::Take(place));
    }

    /// A process that has no descriptors left opens nothing.
    fn check_descriptors(&self) -> io::Result<()> {
        if self.exhausted {
            return Err(io::Error::from_raw_os_error(24));
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
    fn of(world: World) -> Disk {
        Disk(Arc::new(Mutex::new(world)))
    }

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
        Disk::of(world)
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
        for naming in &unflushed[..kept] {
            naming.carry_out(&mut world.folders, |names| &mut names.durable);
        }
        for names in &mut world.folders {
            names.now.clone_from(&names.durable);
        }
        Disk::of(world)
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
        world.check_descriptors()?;
        let content = match world.find(path) {
            Some(Node::File(content)) => content,
            None if mode == OpenMode::Create => {
                let place = world.place(path)?;
                let content = world.contents.len();
                world.contents.push(Content::default());
                world.rename_step(vec![Naming::Put(place, Node::File(content))])?;
                content
            }
            _ => return Err(io::ErrorKind::NotFound.into()),
        };
        Ok(Arc::new(OpenFile {
            disk: self.clone(),
            content,
        }))
    }

    fn read_file(&self, path: &Path, _limit: u64) -> io::Result<Vec<u8>> {
        let world = self.world();
        world.check_descriptors()?;
        Ok(world.contents[world.file(path)?].now.clone())
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
        world.check_descriptors()?;
        let names = &world.folders[world.folder(path)?].now;
        let entries = names.iter().map(|(name, node)| {
            let (is_directory, length) = match node {
                Node::Folder(_) => (true, 0),
                Node::File(content) => (false, world.contents[*content].now.len() as u64),
            };
            let name = name.clone();
            DirectoryEntry {
                name,
                is_directory,
                length,
            }
        });
        Ok(entries.collect())
    }

    fn exists(&self, path: &Path) -> io::Result<bool> {
        Ok(self.world().find(path).is_some())
    }

    fn create_directory(&self, path: &Path) -> io::Result<()> {
        let mut world = self.world();
        world.step()?;
        let mut ancestors: Vec<_> = path.ancestors().collect();
        ancestors.reverse();
        for ancestor in ancestors {
            if world.find(ancestor).is_none() {
                let place = world.place(ancestor)?;
                let folder = world.folders.len();
                world.folders.push(Names::default());
                world.change_name(Naming::Put(place, Node::Folder(folder)));
            }
        }
        Ok(())
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let mut world = self.world();
        let node = world.find(from).ok_or(io::ErrorKind::NotFound)?;
        let taken = world.folder(to).map(|there| &world.folders[there].now);
        if taken.is_ok_and(|names| !names.is_empty()) {
            return Err(io::ErrorKind::DirectoryNotEmpty.into());
        }
        let (from, to) = (world.place(from)?, world.place(to)?);
        assert_eq!(from.folder, to.folder, "a flush of one folder would do one half of it");
        world.rename_step(vec![Naming::Move(from, to, node)])
    }

    fn remove_file(&self, path: &Path) -> io::Result<()> {
        let mut world = self.world();
        if world.file(path).is_err() {
            return Ok(());
        }
        let place = world.place(path)?;
        world.rename_step(vec![Naming::Take(place)])
    }

    fn remove_directory(&self, path: &Path) -> io::Result<()> {
        let mut world = self.world();
        let mut takes = Vec::new();
        if let Ok(folder) = world.folder(path) {
            world.take_all(world.place(path)?, folder, &mut takes);
        }
        world.rename_step(takes)
    }

    fn sync_directory(&self, path: &Path) -> io::Result<()> {
        let mut world = self.world();
        world.check_descriptors()?;
        let folder = world.folder(path)?;
        world.step()?;
        let unflushed = std::mem::take(&mut world.unflushed_names);
        let (here, elsewhere): (Vec<_>, Vec<_>) = unflushed.into_iter().partition(|naming| naming.folder() == folder);
        for naming in &here {
            naming.carry_out(&mut world.folders, |names| &mut names.durable);
        }
        world.unflushed_names = elsewhere;
        Ok(())
    }

    fn sync_file_system(&self, _path: &Path) -> io::Result<bool> {
        let mut world = self.world();
        world.check_descriptors()?;
        world.step()?;
        for content in &mut world.contents {
            content.durable.clone_from(&content.now);
            content.unflushed.clear();
        }
        for names in &mut world.folders {
            names.durable.clone_from(&names.now);
        }
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
