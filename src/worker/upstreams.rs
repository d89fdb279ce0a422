//! From a binding of the configuration to the MCP server behind it. Worker and survey; opens nothing yet.

use std::sync::Arc;

use tokio::sync::mpsc;

use crate::config::types::{Binding, Transport, Worker};
use crate::log::Log;
use crate::mcp::stdio::{Stdio, StdioEvent};
use crate::mcp::{Upstream, http_leg};
use crate::net;
use crate::tls::{self, Trust};

/// What all servers have in common.
pub struct Peers<'a> {
    /// The configuration.
    pub config: &'a Worker,
    /// Whom it believes.
    pub trust: &'a Trust,
    /// For proxies at `https://` URLs.
    pub proxy_tls: &'a Arc<rustls::ClientConfig>,
    /// The way to Unix sockets.
    pub sockets: &'a net::Sockets,
}

impl Peers<'_> {
    /// The server of a binding; what it wants of a stdio child goes into `events`.
    ///
    /// # Errors
    /// When certificate or anchors of the binding cannot be used.
    pub fn upstream(
        &self,
        binding: &Binding,
        events: &mpsc::UnboundedSender<StdioEvent>,
        log: &Log,
    ) -> Result<Upstream, tls::Error> {
        let (mcp, limits) = (&self.config.mcp, &self.config.limits);
        Ok(match &binding.transport {
            Transport::Http { url, route, peer } => {
                let name = format!("channel {}", binding.channel);
                let tls = self.trust.client(peer, &name, log)?;
                let way = net::Way::of(route, self.proxy_tls, self.sockets);
                let server_name = peer.server_name.as_deref();
                let http = http_leg::Http::new(url, server_name, mcp, limits, tls, way, log.clone());
                Upstream::Http(Box::new(http))
            }
            Transport::Stdio { index, serialize } => {
                let (events, log, channel) = (events.clone(), log.clone(), binding.channel.clone());
                Upstream::Stdio(Stdio::new(*index, *serialize, mcp, limits, events, log, channel))
            }
        })
    }
}
