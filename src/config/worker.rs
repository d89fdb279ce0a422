//! The part of the checked configuration that the worker is told, and what it says of the worker's confinement.
//!
//! Pure data, made by `config::check` in the broker.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::health::Answers;
use super::peer::{Peer, Tls};
use super::types::{Binding, Control, Kept, Limits, Mcp, Transport};

/// The worker's part of the configuration.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Worker {
    /// The control plane.
    pub control: Control,
    /// The MCP bindings in the order of the file: HTTP servers first, then commands.
    pub bindings: Vec<Binding>,
    /// Behaviour of the MCP side.
    pub mcp: Mcp,
    /// Bounds on what peers may make the worker hold.
    pub limits: Limits,
    /// Additional PEM trust anchors (`ca_bundle`), added to the built-in web roots.
    pub ca_pem: Option<String>,
    /// What holds for every TLS connection.
    pub tls: Tls,
    /// What proxies at `https://` URLs are shown (`proxy.client_cert`), and nothing else: they are believed like the web.
    pub proxy_peer: Peer,
    /// How often it is looked whether the proxies can be reached (`proxy.check_interval`).
    pub proxy_check_interval: Duration,
    /// Lines below this level need not be sent to the broker.
    pub log_level: crate::log::Level,
    /// The Landlock ABI below which nothing starts.
    pub require: u8,
    /// Calls are recorded, so the broker is told what they are about.
    pub audit: bool,
    /// The call policy, as the checked JSON text that `policy::load` reads; `None` allows everything.
    #[serde(default)]
    pub policy: Option<String>,
    /// How health is answered for.
    #[serde(default)]
    pub health: Answers,
}

impl Worker {
    /// What must stay in RAM: keys, and headers that may hold some.
    pub fn secrets(&self) -> impl Iterator<Item = &Kept> {
        let http = self.bindings.iter().filter_map(|b| match &b.transport {
            Transport::Http { peer, .. } => Some(&**peer),
            Transport::Stdio { .. } => None,
        });
        let peers = http.chain([&self.control.peer, &self.proxy_peer]);
        let keys = peers.filter_map(|peer| Some(&peer.identity.as_ref()?.key));
        let routes = self.routes().filter_map(|(_, route)| route.proxy()?.authorization.as_ref());
        let headers = self.control.extra_headers.iter().chain(&self.mcp.extra_headers);
        keys.chain(headers.map(|(_, value)| value)).chain(routes).chain([&self.control.api_key])
    }
}
