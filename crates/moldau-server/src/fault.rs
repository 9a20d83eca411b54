//! Faults that a test asks for: requests that are refused, late or unanswered, and a server that says nothing at all.
//!
//! Every request passes one place, [`crate::connection`], before anybody looks at it; so a fault works for hot requests
//! and for those of the control plane alike. A server without faults pays one relaxed load for each request.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::Notify;

use crate::error_code::ErrorCode;

/// What happens to a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FaultKind {
    /// It is answered with this error and nothing is done. The control plane writes the answer, for every API.
    Refuse(ErrorCode),
    /// It is looked at that much later.
    Delay(Duration),
    /// Its connection is closed and nothing is done.
    DropBefore,
    /// It is carried out, and its connection is closed instead of an answer.
    DropAfter,
}

#[derive(Debug)]
struct Armed {
    id: u64,
    api_key: i16,
    kind: FaultKind,
    /// How many requests it still meets; `None` is all of them.
    left: Option<u64>,
    met: u64,
}

/// What all faults together do to one request.
#[derive(Debug, Default)]
pub(crate) struct Treatment {
    pub(crate) delay: Duration,
    pub(crate) refusal: Option<ErrorCode>,
    pub(crate) drop_before: bool,
    pub(crate) drop_after: bool,
}

/// The faults of a server.
#[derive(Debug, Default)]
pub struct Faults {
    /// Whether there is anything to look for at all.
    any: AtomicBool,
    paused: AtomicBool,
    armed: Mutex<Vec<Armed>>,
    resumed: Notify,
    last_id: AtomicU64,
}

impl Faults {
    /// From now on do `kind` to the next `times` requests of an API, `None` to all. The number names the fault.
    pub fn add(&self, api_key: i16, kind: FaultKind, times: Option<u64>) -> u64 {
        let id = self.last_id.fetch_add(1, Ordering::Relaxed) + 1;
        let mut armed = self.armed.lock();
        armed.push(Armed {
            id,
            api_key,
            kind,
            left: times,
            met: 0,
        });
        self.look_for_any(&armed);
        id
    }

    /// Take a fault away. What is late because of it stays late.
    pub fn remove(&self, id: u64) {
        let mut armed = self.armed.lock();
        armed.retain(|fault| fault.id != id);
        self.look_for_any(&armed);
    }

    /// How many requests a fault has met; `None` once it is removed.
    pub fn met(&self, id: u64) -> Option<u64> {
        self.armed
            .lock()
            .iter()
            .find(|fault| fault.id == id)
            .map(|fault| fault.met)
    }

    /// Take no request and send no answer until this is called again with `false`. Connections are still accepted.
    pub fn set_paused(&self, paused: bool) {
        let armed = self.armed.lock();
        self.paused.store(paused, Ordering::SeqCst);
        self.look_for_any(&armed);
        if !paused {
            self.resumed.notify_waiters();
        }
    }

    fn look_for_any(&self, armed: &[Armed]) {
        let any = self.paused.load(Ordering::SeqCst) || armed.iter().any(|fault| fault.left != Some(0));
        self.any.store(any, Ordering::SeqCst);
    }

    pub(crate) fn any(&self) -> bool {
        self.any.load(Ordering::Relaxed)
    }

    /// Returns at once unless the server is paused.
    pub(crate) async fn resumed(&self) {
        loop {
            // Registered before the look, so that a resumption in between is not missed.
            let notified = self.resumed.notified();
            tokio::pin!(notified);
            notified.as_mut().enable();
            if !self.paused.load(Ordering::SeqCst) {
                return;
            }
            notified.await;
        }
    }

    /// A request of this API is here: count it and say what happens to it.
    pub(crate) fn meet(&self, api_key: i16) -> Treatment {
        let mut treatment = Treatment::default();
        let mut armed = self.armed.lock();
        for fault in armed.iter_mut().filter(|fault| fault.api_key == api_key) {
            match &mut fault.left {
                Some(0) => continue,
                Some(left) => *left -= 1,
                None => {}
            }
            fault.met += 1;
            match fault.kind {
                FaultKind::Refuse(code) => treatment.refusal = Some(code),
                FaultKind::Delay(delay) => treatment.delay += delay,
                FaultKind::DropBefore => treatment.drop_before = true,
                FaultKind::DropAfter => treatment.drop_after = true,
            }
        }
        self.look_for_any(&armed);
        treatment
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PRODUCE: i16 = 0;
    const FETCH: i16 = 1;

    #[test]
    fn a_fault_meets_its_api_as_often_as_it_was_told_and_is_then_looked_for_no_more() {
        let faults = Faults::default();
        assert!(!faults.any());
        let id = faults.add(PRODUCE, FaultKind::DropBefore, Some(2));
        assert!(!faults.meet(FETCH).drop_before);
        assert!(faults.meet(PRODUCE).drop_before);
        assert!(faults.any());
        assert!(faults.meet(PRODUCE).drop_before);
        assert!(!faults.meet(PRODUCE).drop_before);
        assert!(!faults.any());
        assert_eq!(faults.met(id), Some(2));
        faults.remove(id);
        assert_eq!(faults.met(id), None);
    }

    #[test]
    fn several_faults_of_one_api_all_happen() {
        let faults = Faults::default();
        let late = FaultKind::Delay(Duration::from_millis(20));
        faults.add(FETCH, late, None);
        let second = faults.add(FETCH, late, None);
        faults.add(FETCH, FaultKind::Refuse(ErrorCode::CORRUPT_MESSAGE), Some(1));
        let treatment = faults.meet(FETCH);
        assert_eq!(treatment.delay, Duration::from_millis(40));
        assert_eq!(treatment.refusal, Some(ErrorCode::CORRUPT_MESSAGE));
        faults.remove(second);
        let treatment = faults.meet(FETCH);
        assert_eq!(treatment.delay, Duration::from_millis(20));
        assert_eq!(treatment.refusal, None);
    }

    #[tokio::test]
    async fn a_paused_server_goes_on_when_it_is_resumed() {
        let faults = std::sync::Arc::new(Faults::default());
        faults.resumed().await;
        faults.set_paused(true);
        assert!(faults.any());
        let waiting = tokio::spawn({
            let faults = faults.clone();
            async move { faults.resumed().await }
        });
        tokio::task::yield_now().await;
        assert!(!waiting.is_finished());
        faults.set_paused(false);
        waiting.await.unwrap();
        assert!(!faults.any());
    }
}
