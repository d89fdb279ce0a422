//! An error response of the control plane: what it says and what an operator can do about it. Pure.

use std::fmt;
use std::time::{Duration, SystemTime};

use http::{HeaderMap, StatusCode};
use serde_json::Value;

use super::backoff;

/// The most bytes of an error body that are read.
pub const MAX_BODY: usize = 64 * 1024;
/// The most characters of a message that are kept.
const MAX_MESSAGE: usize = 1024;
/// The most characters of a code or a request id that are kept.
const MAX_TOKEN: usize = 128;

/// A response with another status than the expected ones.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ApiError {
    /// The status.
    pub status: StatusCode,
    /// The stable code of the error, when there is one.
    pub code: Option<String>,
    /// What it says, bounded; empty when it says nothing.
    pub message: String,
    /// What to do about a known code.
    pub mitigation: Option<&'static str>,
    /// The `X-Request-Id` of the response, for whoever looks it up on the other side.
    pub tunnel_request_id: Option<String>,
    /// The wait that the response asks for, bounded.
    pub retry_after: Option<Duration>,
}

impl ApiError {
    /// Reads an error response. Shapes, in this order: `{"error":{"message","code"}}`, the same members at the top
    /// level, `{"detail":…}`, and anything else as text.
    #[must_use]
    pub fn read(status: StatusCode, headers: &HeaderMap, body: &[u8], now: SystemTime) -> Self {
        let (code, message) = if status.is_redirection() {
            (None, "redirects are not followed".to_owned())
        } else {
            match serde_json::from_slice(body) {
                Ok(value) => said(&value),
                Err(_) => (None, bounded(String::from_utf8_lossy(body).trim(), MAX_MESSAGE)),
            }
        };
        Self {
            status,
            mitigation: code.as_deref().and_then(mitigation),
            code,
            message,
            tunnel_request_id: request_id(headers),
            retry_after: backoff::retry_after(headers, now),
        }
    }

    /// Whether only an operator can change the outcome.
    #[must_use]
    pub fn is_refused(&self) -> bool {
        matches!(self.status, StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN)
    }
}

impl fmt::Display for ApiError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.status)?;
        if let Some(code) = &self.code {
            write!(f, ": {code}")?;
        }
        if !self.message.is_empty() {
            write!(f, ": {}", self.message)?;
        }
        match self.mitigation {
            Some(text) => write!(f, " mitigation: {text}"),
            None => Ok(()),
        }
    }
}

impl std::error::Error for ApiError {}

/// The `X-Request-Id` of a response, bounded.
#[must_use]
pub fn request_id(headers: &HeaderMap) -> Option<String> {
    let text = headers.get("x-request-id")?.to_str().ok()?.trim();
    (!text.is_empty()).then(|| bounded(text, MAX_TOKEN))
}

fn said(value: &Value) -> (Option<String>, String) {
    let inner = value.get("error").filter(|error| error.is_object()).unwrap_or(value);
    let code = text(inner.get("code")).map(|code| bounded(code, MAX_TOKEN));
    let message = text(inner.get("message")).or_else(|| text(value.get("error")));
    let message = message.map(|message| bounded(message, MAX_MESSAGE));
    let detail = || match value.get("detail") {
        None | Some(Value::Null) => text(inner.get("type")).map(|kind| bounded(kind, MAX_TOKEN)),
        Some(Value::String(detail)) => Some(bounded(detail, MAX_MESSAGE)),
        Some(other) => Some(bounded(&other.to_string(), MAX_MESSAGE)),
    };
    (code, message.or_else(detail).unwrap_or_default())
}

fn text(value: Option<&Value>) -> Option<&str> {
    value.and_then(Value::as_str).filter(|text| !text.is_empty())
}

/// At most `max` characters, with `...` where something is missing.
fn bounded(text: &str, max: usize) -> String {
    match text.char_indices().nth(max) {
        Some((end, _)) => format!("{}...", text.get(..end).unwrap_or_default()),
        None => text.to_owned(),
    }
}

/// What an operator can do about a known code.
#[must_use]
pub fn mitigation(code: &str) -> Option<&'static str> {
    Some(match code {
        "invalid_channel_format" => {
            "name channels with lower-case letters, digits, hyphens and underscores only"
        }
        "invalid_json_payload" => "make the MCP caller or server send one valid JSON object",
        "invalid_tunnel_id_format" => "copy control_plane.tunnel_id exactly as the tunnel settings show it",
        "missing_mcp_session_id" => "end a session with a DELETE that carries its Mcp-Session-Id",
        "oauth_shim_audience_unavailable" => {
            "private_key_jwt audience lookup needs a client that offers it; upgrade or turn the lookup off"
        }
        "oauth_shim_harpoon_call_failed" => {
            "check the URL of the harpoon target, its server's health and this agent's log"
        }
        "oauth_shim_invalid_target_uri" => {
            "use an absolute http(s) URI, or harpoon://<label> with a label from harpoon.targets"
        }
        "oauth_shim_target_not_found" => "add the label to harpoon.targets, or correct it, and restart",
        "oauth_shim_unshimmable_endpoint" => {
            "use OAuth metadata endpoints that a tunnel supports, with grouped harpoon targets"
        }
        "oauth_shim_upstream_timeout" => {
            "make the harpoon target and its server answer before the tunnel gives up"
        }
        "pending_request_not_found" => {
            "nothing to do when it is rare; if it repeats, look for a second client that answers for this tunnel"
        }
        "rate_limit_exceeded" => "send less or fewer at a time; the agent tries again after a pause",
        "request_body_too_large" => "make the MCP request or its answer smaller",
        "rfc9728_www_authenticate_unsupported" => {
            "discover OAuth by the well-known endpoints, not by a WWW-Authenticate probe"
        }
        "tunnel_active_organization_context_required" => "select the organization for this operation",
        "tunnel_active_organization_required" => "set control_plane.organization_id",
        "tunnel_client_not_connected" => "start or restart the agent, then look at its readiness and log",
        "tunnel_client_not_seen" => "start the agent with this tunnel's tunnel_id and a key that may use it",
        "tunnel_management_permission_required" => {
            "use a key that may read and manage tunnels in that organization or workspace"
        }
        "tunnel_missing_principals" => "use a runtime API key of the intended organization or workspace",
        "tunnel_principal_association_unverified" => {
            "use principals whose association can be verified automatically, or ask for a reviewed override"
        }
        "tunnel_principal_limit_exceeded" => "shorten tenant_ids, workspace_ids and organization_ids",
        "tunnel_principal_validation_override_automatically_derivable" => {
            "create or update the tunnel directly; these principals need no override"
        }
        "tunnel_principal_validation_override_management_permission_required" => {
            "use a credential that may manage principal-validation overrides"
        }
        "tunnel_queue_full" => "send fewer requests at a time, or run more agents for this tunnel",
        "tunnel_request_mismatch" => "answer with the tunnel_id that the command was polled with",
        "tunnel_transport_unavailable" => {
            "try again if the request may run twice; the service lost track of it"
        }
        "tunnel_use_forbidden" => "use a key whose organization or workspace may use this tunnel",
        _ => return None,
    })
}

#[cfg(test)]
#[path = "api_error_tests.rs"]
mod tests;
