//! Fetches the tunnel's record once at start, for the log. Worker only.
//!
//! Nothing waits for it, nothing depends on it, and it is not tried again.

use super::COMPONENT;
use super::client::Client;

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
        Err(failure) => log.warn(COMPONENT, "tunnel metadata fetch failed", &failure.fields()),
    }
}
