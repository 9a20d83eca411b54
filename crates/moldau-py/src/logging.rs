//! What Rust has to say, on its way to Python's `logging`.
//!
//! The threads of the server never take the GIL, so a line is kept in a queue and every event loop of this process is
//! woken; the first to look takes it. The queue is bounded: a flood of errors loses lines, not memory, and says so.

use std::collections::VecDeque;
use std::fmt::{Debug, Write};
use std::sync::{Arc, LazyLock, Weak};

use parking_lot::Mutex;
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Level, Metadata, Subscriber};

use crate::events::Events;

const LINES_MAX: usize = 1_000;

/// Level as a number of Python's `logging`, logger name, message.
pub type Line = (u8, String, String);

#[derive(Default)]
struct Waiting {
    lines: VecDeque<Line>,
    lost: usize,
    listeners: Vec<Weak<Events>>,
}

static WAITING: LazyLock<Mutex<Waiting>> = LazyLock::new(Mutex::default);

/// Let log lines wake this queue's event loop. The first call also begins to collect them.
pub fn listen(events: &Arc<Events>) {
    let mut waiting = WAITING.lock();
    waiting.listeners.retain(|listener| listener.strong_count() > 0);
    waiting.listeners.push(Arc::downgrade(events));
    drop(waiting);
    // A second core finds the collector in place already.
    let _ = tracing::subscriber::set_global_default(Collector);
}

/// Take every line that waits.
pub fn take_lines() -> Vec<Line> {
    let mut waiting = WAITING.lock();
    let lost = std::mem::take(&mut waiting.lost);
    let mut lines: Vec<Line> = waiting.lines.drain(..).collect();
    if lost > 0 {
        lines.push((
            30,
            "moldau_py::logging".to_string(),
            format!("{lost} log lines were lost"),
        ));
    }
    lines
}

struct Collector;

impl Subscriber for Collector {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        *metadata.level() <= Level::INFO && metadata.target().starts_with("moldau")
    }

    fn new_span(&self, _span: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn record(&self, _span: &Id, _values: &Record<'_>) {}

    fn record_follows_from(&self, _span: &Id, _follows: &Id) {}

    fn event(&self, event: &Event<'_>) {
        let level = match *event.metadata().level() {
            Level::ERROR => 40,
            Level::WARN => 30,
            _ => 20,
        };
        let mut text = Text::default();
        event.record(&mut text);
        let mut waiting = WAITING.lock();
        if waiting.lines.len() >= LINES_MAX {
            waiting.lost += 1;
            return;
        }
        waiting
            .lines
            .push_back((level, event.metadata().target().to_string(), text.finish()));
        let listeners: Vec<Arc<Events>> = waiting.listeners.iter().filter_map(Weak::upgrade).collect();
        drop(waiting);
        for listener in listeners {
            listener.wake();
        }
    }

    fn enter(&self, _span: &Id) {}

    fn exit(&self, _span: &Id) {}
}

/// The message, then the fields as `name=value`.
#[derive(Default)]
struct Text {
    message: String,
    fields: String,
}

impl Text {
    fn finish(self) -> String {
        self.message + &self.fields
    }
}

impl Visit for Text {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        // Writing to a string cannot fail.
        let _ = if field.name() == "message" {
            write!(self.message, "{value:?}")
        } else {
            write!(self.fields, " {}={value:?}", field.name())
        };
    }
}
