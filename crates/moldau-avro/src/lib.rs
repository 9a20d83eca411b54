//! Avro 1.12, compiled: a schema becomes a program once, and values are read and written by running it.
//!
//! Nothing here knows Python. `schema` is what a schema says, `parse` reads it from JSON, `resolve` makes the program
//! that reads what one schema wrote as another sees it, `decode` runs it against any `Builder` of values. `wire` holds
//! the numbers and lengths, both ways; `default` writes a field's default as bytes. Schemas come from a registry and
//! values from anybody: a hostile one is an error with its path and its offset, never a panic and never an allocation
//! from a number that was not checked.
//!
//! Source: the Avro specification 1.12.0, sections "Schema Declaration", "Binary Encoding" and "Schema Resolution".

pub mod decode;
pub mod default;
pub mod fault;
pub mod parse;
pub mod program;
pub mod resolve;
pub mod schema;
pub mod wire;

pub use decode::{Builder, decode};
pub use fault::Fault;
pub use program::Program;
pub use schema::Schema;
