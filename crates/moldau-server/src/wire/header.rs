//! Request and response headers.
//!
//! A request header is version 1 or, for flexible requests, version 2; `client_id` keeps its 16-bit length in both. A
//! response header is version 0, or version 1 with tagged fields for flexible responses, except that ApiVersions
//! always answers with version 0: a client that does not know what we speak must be able to read it.

use super::{DecodeError, Reader};

/// The first eight bytes of every request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RequestPrefix {
    /// API key.
    pub api_key: i16,
    /// API version.
    pub api_version: i16,
    /// Returned with the answer.
    pub correlation_id: i32,
}

impl RequestPrefix {
    /// Read key, version and correlation id: enough to know the version of the header.
    pub fn decode(frame: &[u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(frame, false);
        Ok(RequestPrefix {
            api_key: reader.i16()?,
            api_version: reader.i16()?,
            correlation_id: reader.i32()?,
        })
    }
}

/// The rest of a request header: the client id, and where the body begins.
pub fn decode_client_id(frame: &[u8], flexible: bool) -> Result<(Option<&str>, usize), DecodeError> {
    let mut reader = Reader::new(frame, flexible);
    reader.i64()?;
    let client_id = reader.header_string()?;
    reader.skip_tags()?;
    Ok((client_id, reader.position()))
}
