//! What a connection has received, and the frames in it.
//!
//! The size of a frame is checked before anything is allocated for it, and the buffer grows as bytes arrive: a frame
//! that claims 100 MB costs nothing until it is sent.

use bytes::BytesMut;

/// Room for a read when no frame is under way.
const READ_BYTES: usize = 64 * 1024;
/// How much is reserved at once for a frame under way: batches of producers fit, so they are received without a copy.
const RESERVE_MAX_BYTES: usize = 1024 * 1024;
/// A connection keeps a buffer of this size while it is idle, a larger one is given back.
const KEEP_BYTES: usize = 64 * 1024;

/// A frame whose size nobody should believe.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct BadFrameSize(pub(crate) i32);

/// The receiving side of a connection.
#[derive(Debug)]
pub(crate) struct Input {
    pub(crate) buffer: BytesMut,
    frame_max_bytes: usize,
    /// The largest frame since the buffer was last given back.
    largest_frame: usize,
}

impl Input {
    pub(crate) fn new(frame_max_bytes: usize) -> Self {
        Input {
            buffer: BytesMut::new(),
            frame_max_bytes,
            largest_frame: 0,
        }
    }

    /// Bytes that the frame at the front takes with its size, once the size is here.
    fn frame_length(&self) -> Result<Option<usize>, BadFrameSize> {
        let Some(size) = self.buffer.first_chunk() else {
            return Ok(None);
        };
        let size = i32::from_be_bytes(*size);
        match usize::try_from(size) {
            Ok(length) if length <= self.frame_max_bytes => Ok(Some(4 + length)),
            _ => Err(BadFrameSize(size)),
        }
    }

    /// Take the frame at the front, without its size, if all of it is here.
    pub(crate) fn take_frame(&mut self) -> Result<Option<BytesMut>, BadFrameSize> {
        let Some(length) = self.frame_length()?.filter(|length| *length <= self.buffer.len()) else {
            return Ok(None);
        };
        self.largest_frame = self.largest_frame.max(length);
        let mut frame = self.buffer.split_to(length);
        let _ = frame.split_to(4);
        Ok(Some(frame))
    }

    /// Make room for the next read.
    pub(crate) fn make_room(&mut self) {
        let missing = match self.frame_length() {
            Ok(Some(length)) => length.saturating_sub(self.buffer.len()),
            _ => 0,
        };
        // What a frame claims is believed up to a point; past it, as much again as has really come.
        let believed = missing.min(RESERVE_MAX_BYTES.max(self.buffer.len()));
        if self.buffer.capacity() - self.buffer.len() < believed.max(READ_BYTES / 4) {
            self.buffer.reserve(believed.max(READ_BYTES));
        }
    }

    /// Whether an idle connection should give its buffer back.
    pub(crate) fn is_bloated(&self) -> bool {
        self.buffer.is_empty() && self.largest_frame > KEEP_BYTES
    }

    pub(crate) fn give_back(&mut self) {
        self.buffer = BytesMut::new();
        self.largest_frame = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FRAME_MAX: usize = 100 * 1024 * 1024;

    #[test]
    fn a_claimed_frame_costs_nothing_until_it_is_sent() {
        let mut input = Input::new(FRAME_MAX);
        input.buffer.extend_from_slice(&(FRAME_MAX as i32).to_be_bytes());
        input.make_room();
        assert!(
            input.buffer.capacity() <= 2 * RESERVE_MAX_BYTES,
            "{}",
            input.buffer.capacity()
        );
        input.buffer.resize(3 * RESERVE_MAX_BYTES, 0);
        input.make_room();
        assert!(
            input.buffer.capacity() <= 7 * RESERVE_MAX_BYTES,
            "{}",
            input.buffer.capacity()
        );
    }

    #[test]
    fn sizes_that_nobody_should_believe_are_refused() {
        for size in [-1, i32::MIN, i32::MAX, FRAME_MAX as i32 + 1] {
            let mut input = Input::new(FRAME_MAX);
            input.buffer.extend_from_slice(&size.to_be_bytes());
            assert_eq!(input.take_frame(), Err(BadFrameSize(size)));
        }
    }

    #[test]
    fn frames_come_whole_and_in_order() {
        let mut input = Input::new(FRAME_MAX);
        input.buffer.extend_from_slice(b"\0\0\0\x02ab\0\0\0\x01");
        assert_eq!(input.take_frame().unwrap().unwrap(), "ab");
        assert_eq!(input.take_frame(), Ok(None));
        input.buffer.extend_from_slice(b"c");
        assert_eq!(input.take_frame().unwrap().unwrap(), "c");
        assert_eq!(input.take_frame(), Ok(None));
    }
}
