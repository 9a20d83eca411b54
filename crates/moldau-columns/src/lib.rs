//! Records as they are fetched, and expressions over the fields of their values, without an object per record.
//!
//! Nothing here knows Python. `block` makes of the bytes of a Fetch answer the records that its reader may see. `json`
//! reads the named fields of a value and nothing else, `value`, `function` and `expression` compute as Python does,
//! `program` takes records through the filters, new keys, new values and sinks of a topology, `aggregate` adds them to groups, which a
//! `table` has, `lookup` has the rows that records are joined with, `write` gives the bytes that go out, and `accumulator` has the batches that they are sent in.
//!
//! This is the fast half of two. Whatever is not as it usually is (a field that is missing, a text where a number should
//! be, a number beyond 64 bits, bytes that are no JSON) is `Unusual`: a run ends in front of that record, and the
//! engine takes it through its own functions. So an error is raised, and a handler asked, in one place only.

pub mod accumulator;
pub mod aggregate;
pub mod block;
pub mod expression;
pub mod function;
pub mod json;
pub mod lookup;
pub mod program;
pub mod source;
pub mod table;
pub mod value;
pub mod write;

pub use block::{Block, BlockError};
pub use moldau_change::{Unusual, Usual};
pub use program::Program;
