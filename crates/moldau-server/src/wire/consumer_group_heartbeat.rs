//! ConsumerGroupHeartbeat (key 68), versions 0 and 1, both flexible. 1 adds the regular expression.

use super::{DecodeError, Reader, Writer};

/// `rebalance_timeout_ms` of a heartbeat that does not bring one.
const UNSAID: i32 = -1;

/// A member of a consumer group says that it is alive, and whatever else is new (KIP-848).
#[derive(Debug, PartialEq, Eq)]
pub struct ConsumerGroupHeartbeatRequest<'a> {
    /// Group.
    pub group_id: &'a str,
    /// Member.
    pub member_id: &'a str,
    /// The epoch that the member is in.
    pub member_epoch: i32,
    /// Name of a static member.
    pub instance_id: Option<&'a str>,
    /// It says something about its rack, subscription, assignor or timeout.
    pub says_something_new: bool,
}

impl<'a> ConsumerGroupHeartbeatRequest<'a> {
    /// Decode the body of a request.
    pub fn decode(body: &'a [u8], version: i16) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(body, true);
        let mut request = ConsumerGroupHeartbeatRequest {
            group_id: reader.string()?,
            member_id: reader.string()?,
            member_epoch: reader.i32()?,
            instance_id: reader.nullable_string()?,
            says_something_new: reader.nullable_string()?.is_some(), // rack_id
        };
        let is_new = &mut request.says_something_new;
        *is_new |= reader.i32()? != UNSAID;
        *is_new |= reader.nullable_array(1, Reader::string)?.is_some(); // subscribed_topic_names
        if version >= 1 {
            *is_new |= reader.nullable_string()?.is_some(); // subscribed_topic_regex
        }
        *is_new |= reader.nullable_string()?.is_some(); // server_assignor
        // topic_partitions: what it owns, which is nothing new for a coordinator whose member is where it shall be.
        reader.nullable_array(18, |reader| {
            reader.uuid()?;
            reader.array(4, Reader::i32)?;
            reader.skip_tags()
        })?;
        reader.skip_tags()?;
        Ok(request)
    }
}

/// Write the answer that says: nothing has changed.
pub fn encode_unchanged(member_id: &str, member_epoch: i32, heartbeat_interval_ms: i32, writer: &mut Writer<'_>) {
    writer.throttle_time();
    writer.i16(0); // error_code
    writer.nullable_string(None); // error_message
    writer.string(member_id);
    writer.i32(member_epoch);
    writer.i32(heartbeat_interval_ms);
    writer.i8(-1); // assignment
    writer.no_tags();
}
