//! ApiVersions (key 18), versions 0 to 4.
//!
//! The one request that must be answerable to a client from the future: a version that we do not know gets the body
//! of version 0 with UNSUPPORTED_VERSION and our range for this key (KIP-511). 3 is flexible and carries features in
//! tagged fields; before 4 a client cannot read a feature whose lowest level is 0 (KAFKA-17011), so those are left out.

use crate::config::{ApiRange, FinalizedFeature, SupportedFeature};

use super::{DecodeError, Reader, Writer};

/// Whether `version` has compact lengths and tagged fields.
pub fn is_flexible(version: i16) -> bool {
    version >= 3
}

/// An ApiVersions request.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct ApiVersionsRequest<'a> {
    /// Name of the client library; empty before version 3.
    pub client_software_name: &'a str,
    /// Its version; empty before version 3.
    pub client_software_version: &'a str,
}

impl<'a> ApiVersionsRequest<'a> {
    /// Decode the body of a request.
    pub fn decode(body: &'a [u8], version: i16) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(body, is_flexible(version));
        let mut request = ApiVersionsRequest::default();
        if version >= 3 {
            request.client_software_name = reader.string()?;
            request.client_software_version = reader.string()?;
        }
        reader.skip_tags()?;
        Ok(request)
    }
}

/// What ApiVersions tells.
#[derive(Clone, Debug)]
pub struct ApiVersionsResponse<'a> {
    /// 0 or the reason.
    pub error_code: i16,
    /// The table.
    pub apis: &'a [ApiRange],
    /// Supported features.
    pub supported_features: &'a [SupportedFeature],
    /// When the finalized features changed, -1 when unknown.
    pub finalized_features_epoch: i64,
    /// Finalized features.
    pub finalized_features: &'a [FinalizedFeature],
}

impl ApiVersionsResponse<'_> {
    /// Append the body of an answer.
    pub fn encode(&self, writer: &mut Writer<'_>, version: i16) {
        writer.i16(self.error_code);
        writer.array_length(self.apis.len());
        for api in self.apis {
            writer.i16(api.key);
            writer.i16(api.min);
            writer.i16(api.max);
            writer.no_tags();
        }
        if version >= 1 {
            writer.throttle_time();
        }
        if version >= 3 {
            self.encode_features(writer, version);
        }
    }

    fn encode_features(&self, writer: &mut Writer<'_>, version: i16) {
        let supported: Vec<_> = self
            .supported_features
            .iter()
            .filter(|f| f.min > 0 || version >= 4)
            .collect();
        let epoch_known = self.finalized_features_epoch >= 0;
        let finalized_known = !self.finalized_features.is_empty();
        writer.tag_count(u32::from(!supported.is_empty()) + u32::from(epoch_known) + u32::from(finalized_known));
        if !supported.is_empty() {
            writer.tag(0, |writer| {
                writer.array_length(supported.len());
                for feature in &supported {
                    writer.string(&feature.name);
                    writer.i16(feature.min);
                    writer.i16(feature.max);
                    writer.no_tags();
                }
            });
        }
        if epoch_known {
            writer.tag(1, |writer| writer.i64(self.finalized_features_epoch));
        }
        if finalized_known {
            writer.tag(2, |writer| {
                writer.array_length(self.finalized_features.len());
                for feature in self.finalized_features {
                    writer.string(&feature.name);
                    writer.i16(feature.level);
                    writer.i16(feature.level);
                    writer.no_tags();
                }
            });
        }
    }
}
