//! Heartbeat (key 12), versions 0 to 4. 3 adds the instance id, 4 is flexible.

use super::{DecodeError, Reader, Writer};

/// Whether `version` has compact lengths and tagged fields.
pub fn is_flexible(version: i16) -> bool {
    version >= 4
}

/// A member of a classic group says that it is alive.
#[derive(Debug, PartialEq, Eq)]
pub struct HeartbeatRequest<'a> {
    /// Group.
    pub group_id: &'a str,
    /// The generation that the member is in.
    pub generation_id: i32,
    /// Member.
    pub member_id: &'a str,
    /// Name of a static member.
    pub instance_id: Option<&'a str>,
}

impl<'a> HeartbeatRequest<'a> {
    /// Decode the body of a request.
    pub fn decode(body: &'a [u8], version: i16) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(body, is_flexible(version));
        let request = HeartbeatRequest {
            group_id: reader.string()?,
            generation_id: reader.i32()?,
            member_id: reader.string()?,
            instance_id: if version >= 3 { reader.nullable_string()? } else { None },
        };
        reader.skip_tags()?;
        Ok(request)
    }
}

/// Write the answer that says: nothing has changed.
pub fn encode_unchanged(version: i16, writer: &mut Writer<'_>) {
    if version >= 1 {
        writer.throttle_time();
    }
    writer.i16(0); // error_code
    writer.no_tags();
}
