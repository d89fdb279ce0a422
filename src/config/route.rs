//! How a peer is reached: directly, through a proxy, or over a Unix socket, and at which addresses.
//!
//! Pure data, decided once by `config::check` in the broker and used by the worker. Nothing here looks up a name or
//! reads the environment.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use serde::{Deserialize, Serialize};

use super::types::{HttpUrl, Kept, Transport, Worker};

/// The way to one peer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Route {
    /// What is connected to.
    pub via: Via,
    /// What decided it, for the log: `none`, `environment`, `ignored`, the name of a flag, or a reference such as
    /// `env:NAME`.
    pub source: String,
    /// The networks that the peer's address must be in (`allowed_ips`); `None` allows every address that is not
    /// refused by default.
    pub allowed_ips: Option<Vec<Network>>,
}

impl Route {
    /// Straight to the peer, because nothing says otherwise.
    #[must_use]
    pub fn direct() -> Self {
        Self { via: Via::Direct, source: "none".into(), allowed_ips: None }
    }

    /// The proxy, if there is one.
    #[must_use]
    pub fn proxy(&self) -> Option<&Proxy> {
        match &self.via {
            Via::Proxy(proxy) => Some(proxy),
            Via::Direct | Via::Unix { .. } => None,
        }
    }

    /// The TCP port that is connected to on the way to `target`.
    #[must_use]
    pub fn tcp_port(&self, target: &HttpUrl) -> Option<u16> {
        match &self.via {
            Via::Direct => Some(target.port()),
            Via::Proxy(proxy) => Some(proxy.url.port()),
            Via::Unix { .. } => None,
        }
    }
}

/// What is connected to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "snake_case")]
pub enum Via {
    /// The peer itself.
    Direct,
    /// A forward proxy.
    Proxy(Proxy),
    /// A Unix socket, which the broker connects. Its path is not known to the worker.
    Unix {
        /// The place of the binding among all bindings.
        binding: u8,
    },
}

/// A forward proxy.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Proxy {
    /// Scheme, host and port; never credentials.
    pub url: HttpUrl,
    /// The value of `Proxy-Authorization`.
    pub authorization: Option<Kept>,
}

impl Proxy {
    /// `scheme://host:port`, for the log.
    #[must_use]
    pub fn shown(&self) -> String {
        let uri = self.url.uri();
        let host = uri.host().unwrap_or_default();
        format!("{}://{host}:{}", uri.scheme_str().unwrap_or_default(), self.url.port())
    }
}

impl Worker {
    /// Every peer that is reached over a network or a socket, and how.
    pub(super) fn routes(&self) -> impl Iterator<Item = (&HttpUrl, &Route)> {
        let bindings = self.bindings.iter().filter_map(|binding| match &binding.transport {
            Transport::Http { url, route, .. } => Some((url, &**route)),
            Transport::Stdio { .. } => None,
        });
        std::iter::once((&self.control.origin, &self.control.route)).chain(bindings)
    }

    /// Every TCP port that the worker has to connect to: those of the peers or of the proxies before them.
    #[must_use]
    pub fn tcp_ports(&self) -> BTreeSet<u16> {
        let mut ports = BTreeSet::new();
        ports.extend(self.routes().filter_map(|(target, route)| route.tcp_port(target)));
        ports
    }

    /// Every proxy that is used, each once.
    #[must_use]
    pub fn proxies(&self) -> Vec<Proxy> {
        let mut proxies: Vec<Proxy> = Vec::new();
        for proxy in self.routes().filter_map(|(_, route)| route.proxy()) {
            if !proxies.iter().any(|known| known.url == proxy.url) {
                proxies.push(proxy.clone());
            }
        }
        proxies
    }
}

/// An address with the number of its leading bits that count.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Network {
    address: IpAddr,
    bits: u8,
}

impl Network {
    /// Whether an address belongs to it. An IPv4 address that is wrapped in an IPv6 one counts as the former.
    #[must_use]
    pub fn contains(&self, address: IpAddr) -> bool {
        match (self.address, address.to_canonical()) {
            (IpAddr::V4(own), IpAddr::V4(other)) => {
                let mask = u32::MAX.checked_shl(32_u32.saturating_sub(self.bits.into())).unwrap_or(0);
                Ipv4Addr::to_bits(own) & mask == Ipv4Addr::to_bits(other) & mask
            }
            (IpAddr::V6(own), IpAddr::V6(other)) => {
                let mask = u128::MAX.checked_shl(128_u32.saturating_sub(self.bits.into())).unwrap_or(0);
                Ipv6Addr::to_bits(own) & mask == Ipv6Addr::to_bits(other) & mask
            }
            _ => false,
        }
    }
}

impl TryFrom<String> for Network {
    type Error = String;

    /// Reads `10.0.0.0/8`, `fd00::/8` or a single address. Bits behind the counted ones must be zero: they are a slip
    /// of the pen more often than not.
    fn try_from(text: String) -> Result<Self, String> {
        let (address, bits) = match text.split_once('/') {
            Some((address, bits)) => (address, Some(bits)),
            None => (text.as_str(), None),
        };
        let wrong = || "must be an address or a network such as 10.1.0.0/16 or fd00::/8".to_owned();
        let address: IpAddr = address.parse().map_err(|_| wrong())?;
        let most = if address.is_ipv4() { 32 } else { 128 };
        let bits = match bits {
            None => most,
            Some(bits) if bits.bytes().all(|b| b.is_ascii_digit()) => bits.parse().map_err(|_| wrong())?,
            Some(_) => return Err(wrong()),
        };
        if bits > most {
            return Err(wrong());
        }
        let whole = Self { address, bits };
        let host_bits_are_zero = match address {
            IpAddr::V4(v4) => bits == 32 || v4.to_bits().checked_shl(bits.into()) == Some(0),
            IpAddr::V6(v6) => bits == 128 || v6.to_bits().checked_shl(bits.into()) == Some(0),
        };
        if host_bits_are_zero { Ok(whole) } else { Err("has bits set behind the network's own".into()) }
    }
}

impl From<Network> for String {
    fn from(network: Network) -> Self {
        format!("{}/{}", network.address, network.bits)
    }
}

#[cfg(test)]
#[path = "route_tests.rs"]
mod tests;
