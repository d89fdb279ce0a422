//! Fetches the tunnel's record once at start, for the log. Worker only.
//!
//! Nothing waits for it, nothing depends on it, and it is not tried again.

use super::COMPONENT;
use super::client::{Client, Failure};
use crate::log::Value;

/// Fetches the record and logs it, or why it could not be had.
pub async fn fetch(client: &Client) {
    let log = client.log();
    match client.metadata().await {
        Ok(record) => log.info(
            COMPONENT,
            "tunnel metadata fetched",
            &[
                ("tunnel_id", record.id.into()),
                ("name", record.name.into()),
                ("description", record.description.into()),
            ],
        ),
        Err(failure) => log.warn(COMPONENT, "tunnel metadata fetch failed", &fields(&failure)),
    }
}

/// What a log line says about a failure.
pub(super) fn fields(failure: &Failure) -> Vec<(&'static str, Value<'_>)> {
    let mut fields = vec![("error", Value::show(failure))];
    if let Failure::Status(e) = failure {
        fields.push(("status_code", e.status.as_u16().into()));
        fields.push(("status", Value::show(&e.status)));
        fields.extend(e.code.as_deref().map(|code| ("error_code", code.into())));
        if !e.message.is_empty() {
            fields.push(("error_message", e.message.as_str().into()));
        }
        fields.extend(e.mitigation.map(|text| ("mitigation", text.into())));
    }
    fields
}
