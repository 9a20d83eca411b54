//! How fast a pass may be.

/// Asked between batches.
pub trait Pace {
    /// `bytes` were read or written: waits where that was too fast. False when the pass is to be broken off.
    fn spent(&mut self, bytes: u64) -> bool;
}

/// As fast as the disk allows, to the end.
#[derive(Clone, Copy, Debug, Default)]
pub struct Unhurried;

impl Pace for Unhurried {
    fn spent(&mut self, _bytes: u64) -> bool {
        true
    }
}
