//! What a connection is about to send: bytes, and ranges of files between them.
//!
//! Records go from file to socket with `sendfile`, so a consumer's megabyte never passes through this process. Short
//! ranges are read into the bytes instead. Several answers may gather here before one flush.

use std::io;

use bytes::{BufMut, BytesMut};
use moldau_log::{FileRange, LogSlice};
use tokio::io::Interest;
use tokio::net::TcpStream;

use crate::wire::Writer;

/// A range up to this long is copied, so that a small answer leaves in one piece and wakes its reader once. For the
/// processor it makes no difference: with 24 ranges of 4 to 70 KB per answer both ways measured the same.
const COPY_MAX_BYTES: usize = 16 * 1024;
/// How much of a file is read at a time where there is no `sendfile`.
const CHUNK_BYTES: usize = 256 * 1024;
/// An empty buffer larger than this is given back.
const KEEP_BYTES: usize = 64 * 1024;

#[derive(Debug)]
struct FilePart {
    /// How many of the bytes go before it.
    after: usize,
    range: FileRange,
}

/// The output of one connection.
#[derive(Debug, Default)]
pub(crate) struct Output {
    bytes: BytesMut,
    files: Vec<FilePart>,
    frame_start: usize,
    frame_file_bytes: usize,
    frame_open: bool,
}

impl Output {
    pub(crate) fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// Bytes that wait here, files included.
    pub(crate) fn len(&self) -> usize {
        self.bytes.len() + self.files.iter().map(|part| part.range.length).sum::<usize>()
    }

    /// Begin a frame: room for its size, and the response header.
    pub(crate) fn begin(&mut self, correlation_id: i32, tagged_header: bool) {
        self.frame_start = self.bytes.len();
        self.frame_file_bytes = 0;
        self.frame_open = true;
        self.bytes.put_i32(0);
        self.bytes.put_i32(correlation_id);
        if tagged_header {
            self.bytes.put_u8(0);
        }
    }

    pub(crate) fn writer(&mut self, flexible: bool) -> Writer<'_> {
        Writer::new(&mut self.bytes, flexible)
    }

    pub(crate) fn put(&mut self, body: &[u8]) {
        self.bytes.put_slice(body);
    }

    /// The bytes of a log, here or by reference.
    pub(crate) fn put_records(&mut self, slice: LogSlice) -> io::Result<()> {
        for range in slice.parts {
            if range.length <= COPY_MAX_BYTES {
                let start = self.bytes.len();
                self.bytes.resize(start + range.length, 0);
                range.file.read_exact_at(&mut self.bytes[start..], range.position)?;
            } else {
                self.frame_file_bytes += range.length;
                self.files.push(FilePart {
                    after: self.bytes.len(),
                    range,
                });
            }
        }
        Ok(())
    }

    /// Write how long the client has to wait where the frame has room for it: see [`Writer::throttle_time`].
    pub(crate) fn set_throttle_time(&mut self, at: Option<usize>, throttle_ms: u32) {
        if let Some(at) = at.filter(|_| throttle_ms > 0) {
            self.bytes[at..at + 4].copy_from_slice(&throttle_ms.to_be_bytes());
        }
    }

    /// End the frame: its size is known now.
    pub(crate) fn end(&mut self) {
        let size = self.bytes.len() - self.frame_start - 4 + self.frame_file_bytes;
        let start = self.frame_start;
        self.bytes[start..start + 4].copy_from_slice(&(size as i32).to_be_bytes());
        self.frame_open = false;
    }

    /// Drop the frame that was begun and not ended, if there is one.
    pub(crate) fn abandon(&mut self) {
        if !std::mem::take(&mut self.frame_open) {
            return;
        }
        self.bytes.truncate(self.frame_start);
        let start = self.frame_start;
        self.files.retain(|part| part.after <= start);
    }

    /// Forget everything that was not sent.
    pub(crate) fn clear(&mut self) {
        self.bytes.clear();
        self.files.clear();
        self.frame_open = false;
    }

    /// Send everything. Returns how many bytes went out.
    pub(crate) async fn flush(&mut self, stream: &TcpStream, progress: impl Fn()) -> io::Result<usize> {
        let total = self.len();
        let mut sent = 0;
        for part in &self.files {
            send_bytes(stream, &self.bytes[sent..part.after], true, &progress).await?;
            sent = part.after;
            send_range(stream, &part.range, &progress).await?;
        }
        send_bytes(stream, &self.bytes[sent..], false, &progress).await?;
        self.files.clear();
        if self.bytes.capacity() > KEEP_BYTES {
            self.bytes = BytesMut::new();
        }
        self.bytes.clear();
        Ok(total)
    }
}

async fn send_bytes(stream: &TcpStream, mut bytes: &[u8], more: bool, progress: &impl Fn()) -> io::Result<()> {
    while !bytes.is_empty() {
        let sent = stream
            .async_io(Interest::WRITABLE, || send(stream, bytes, more))
            .await?;
        progress();
        bytes = &bytes[sent..];
    }
    Ok(())
}

#[cfg(target_os = "linux")]
fn send(stream: &TcpStream, bytes: &[u8], more: bool) -> io::Result<usize> {
    use std::os::fd::AsRawFd;
    // MSG_MORE keeps the head of a fetch answer together with the records that follow by sendfile.
    let flags = libc::MSG_NOSIGNAL | if more { libc::MSG_MORE } else { 0 };
    // SAFETY: the pointer and the length are those of one live slice, the descriptor is that of a live socket.
    let sent = unsafe { libc::send(stream.as_raw_fd(), bytes.as_ptr().cast(), bytes.len(), flags) };
    if sent < 0 {
        Err(io::Error::last_os_error())
    } else {
        Ok(sent as usize)
    }
}

#[cfg(not(target_os = "linux"))]
fn send(stream: &TcpStream, bytes: &[u8], _more: bool) -> io::Result<usize> {
    stream.try_write(bytes)
}

/// Send a range of a file: by `sendfile` where file and system allow it, else through a buffer.
async fn send_range(stream: &TcpStream, range: &FileRange, progress: &impl Fn()) -> io::Result<()> {
    let mut position = range.position;
    let end = range.position + range.length as u64;
    #[cfg(target_os = "linux")]
    if let Some(file) = range.file.as_fd() {
        while position < end {
            let length = (end - position) as usize;
            let sent = stream
                .async_io(Interest::WRITABLE, || sendfile(stream, file, position, length))
                .await?;
            if sent == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            progress();
            position += sent as u64;
        }
        return Ok(());
    }
    let mut chunk = vec![0; CHUNK_BYTES.min(range.length)];
    while position < end {
        let length = chunk.len().min((end - position) as usize);
        range.file.read_exact_at(&mut chunk[..length], position)?;
        send_bytes(stream, &chunk[..length], true, progress).await?;
        position += length as u64;
    }
    Ok(())
}

#[cfg(target_os = "linux")]
fn sendfile(stream: &TcpStream, file: std::os::fd::BorrowedFd<'_>, position: u64, length: usize) -> io::Result<usize> {
    use std::os::fd::AsRawFd;
    let mut offset = libc::off_t::try_from(position).map_err(|_| io::ErrorKind::InvalidInput)?;
    // SAFETY: both descriptors are borrowed and live, and `offset` outlives the call.
    let sent = unsafe { libc::sendfile(stream.as_raw_fd(), file.as_raw_fd(), &raw mut offset, length) };
    if sent < 0 {
        Err(io::Error::last_os_error())
    } else {
        Ok(sent as usize)
    }
}
