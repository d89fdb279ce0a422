//! What the worker says of itself when it starts: whom it believes and where everything leads. Worker only.

use crate::config::peer::MinVersion;
use crate::config::route::{Proxy, Via};
use crate::config::types::{Transport, Worker};
use crate::log::Log;

/// Says where everything leads: origins only, since paths and queries may hold what is nobody's business.
pub(super) fn announce(config: &Worker, log: &Log) {
    let peer = &config.control.peer;
    let trust = [
        ("web_roots", true.into()),
        ("ca_bundle", config.ca_pem.is_some().into()),
        ("control_plane_web_roots", (!peer.bundle_only).into()),
        ("control_plane_pins", peer.pins.len().into()),
        ("control_plane_client_cert", peer.identity.is_some().into()),
        ("tls_1_2", (config.tls.min_version == MinVersion::Tls12).into()),
    ];
    log.info("tls", "tls trust summary", &trust);
    for binding in &config.bindings {
        let (transport, origin) = match &binding.transport {
            Transport::Http { url, .. } => {
                let uri = url.uri();
                let authority = uri.authority().map_or("", http::uri::Authority::as_str);
                ("http-streamable", format!("{}://{authority}", uri.scheme_str().unwrap_or_default()))
            }
            Transport::Stdio { .. } => ("stdio", String::new()),
        };
        let mut fields = vec![
            ("channel", binding.channel.as_str().into()),
            ("transport", transport.into()),
            ("origin", origin.into()),
        ];
        if let Transport::Http { route, .. } = &binding.transport {
            fields.push(("proxy_source", (&route.source).into()));
            fields.push(("proxy", route.proxy().map(Proxy::shown).unwrap_or_default().into()));
            fields.push(("unix_socket", matches!(route.via, Via::Unix { .. }).into()));
        }
        log.info("mcpclient", "mcp channel route resolved", &fields);
    }
    let names: Vec<&str> = config.bindings.iter().map(|b| b.channel.as_str()).collect();
    log.info("dispatcher", "dispatcher channels registered", &[("channels", names.join(",").into())]);
}
