//! ApiVersions: what this node speaks, and its features.

use std::sync::Arc;

use crate::control::ClientSoftware;
use crate::error_code::ErrorCode;
use crate::node::Node;
use crate::wire::api_versions::{ApiVersionsRequest, ApiVersionsResponse, is_flexible};
use crate::wire::{DecodeError, Writer, api_key};

/// Answer; returns what the client says it is.
pub(crate) fn respond(
    node: &Node,
    body: &[u8],
    version: i16,
    writer: &mut Writer<'_>,
) -> Result<Option<ClientSoftware>, DecodeError> {
    let request = ApiVersionsRequest::decode(body, version)?;
    let named = is_flexible(version);
    if named && !(is_valid(request.client_software_name) && is_valid(request.client_software_version)) {
        error(ErrorCode::INVALID_REQUEST, &[]).encode(writer, version);
        return Ok(None);
    }
    let features = node.features.read();
    let response = ApiVersionsResponse {
        error_code: 0,
        apis: &node.config.apis,
        supported_features: &node.config.supported_features,
        finalized_features_epoch: features.epoch,
        finalized_features: &features.finalized,
    };
    response.encode(writer, version);
    Ok(named.then(|| ClientSoftware {
        name: Arc::from(request.client_software_name),
        version: Arc::from(request.client_software_version),
    }))
}

/// The answer to a version that we do not know: in version 0, with our range for this key.
pub(crate) fn respond_unsupported(node: &Node, writer: &mut Writer<'_>) {
    let own: Vec<_> = node
        .config
        .apis
        .iter()
        .filter(|api| api.key == api_key::API_VERSIONS)
        .copied()
        .collect();
    error(ErrorCode::UNSUPPORTED_VERSION, &own).encode(writer, 0);
}

fn error(code: ErrorCode, apis: &[crate::config::ApiRange]) -> ApiVersionsResponse<'_> {
    ApiVersionsResponse {
        error_code: code.0,
        apis,
        supported_features: &[],
        finalized_features_epoch: -1,
        finalized_features: &[],
    }
}

/// KIP-511: letters and digits, with dots and dashes between them.
fn is_valid(name: &str) -> bool {
    let bytes = name.as_bytes();
    let ends = |byte: Option<&u8>| byte.is_some_and(u8::is_ascii_alphanumeric);
    ends(bytes.first())
        && ends(bytes.last())
        && bytes
            .iter()
            .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.'))
}

#[cfg(test)]
mod tests {
    use super::is_valid;

    #[test]
    fn software_names_follow_kip_511() {
        for valid in ["librdkafka", "v2.15.0", "a", "apache-kafka-java"] {
            assert!(is_valid(valid), "{valid}");
        }
        for invalid in ["", "-", "a-", ".a", "a b", "é"] {
            assert!(!is_valid(invalid), "{invalid}");
        }
    }
}
