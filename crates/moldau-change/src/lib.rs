//! Changes of PostgreSQL rows, from the bytes of the replication stream to the bytes of a record in one go.
//!
//! Nothing here knows Python. A table is compiled into programs once (`program`): constant bytes, columns with the
//! kernel that reads their text (`kernel`), and facts of the event. `row`, `message` and `copy` read what PostgreSQL
//! sends, `format` writes JSON or Avro, `table` runs the programs, `stream` follows a run of messages through
//! transactions.
//!
//! This is the fast half of two. Whatever is not as it usually is (a year before Christ, a message that is torn, a
//! changed key) is `Unusual`: the run ends in front of it and the connector's own way, in Python, takes that message.
//! So nothing is decided here, and an error is said in one place only.

pub mod copy;
pub mod format;
pub mod kernel;
pub mod message;
pub mod program;
pub mod row;
pub mod stream;
pub mod table;

pub use format::Format;
pub use kernel::Kernel;
pub use program::{Fact, Facts, Part, Program};
pub use stream::{Position, Stream};
pub use table::{Given, Operation, Table};

/// Not for here: the message is left to the connector.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Unusual;

/// What may turn out to be unusual.
pub type Usual<T> = Result<T, Unusual>;
