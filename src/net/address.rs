//! Which addresses are connected to, and in which order. Worker only; pure.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use super::{Cause, Error, Phase};
use crate::config::route::Network;

/// More addresses of one name than this are not tried.
const MAX_ADDRESSES: usize = 8;

/// A host as a URL spells it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Host {
    /// An address; never given to a resolver.
    Address(IpAddr),
    /// A name, without a trailing dot.
    Name(String),
}

/// Host and port of a URL; an IPv6 address stands in brackets (RFC 3986 section 3.2.2). The port is that of the
/// scheme when the URL has none.
pub(super) fn of_url(uri: &http::Uri, default_port: u16) -> Result<(Host, u16), Error> {
    let wrong =
        || Error::unsent(Phase::Connect, Cause::Other, "the URL names no host that can be connected to");
    let text = uri.host().ok_or_else(wrong)?;
    let port = match uri.port() {
        Some(port) => port.as_u16(),
        None => default_port,
    };
    let host = if let Some(inner) = text.strip_prefix('[') {
        let inner = inner.strip_suffix(']').ok_or_else(wrong)?;
        Host::Address(IpAddr::V6(inner.parse().map_err(|_| wrong())?))
    } else if let Ok(address) = text.parse::<Ipv4Addr>() {
        Host::Address(IpAddr::V4(address))
    } else {
        // The root's dot says "absolute" to the resolver but is no part of the name in TLS (RFC 6066 section 3).
        let name = text.strip_suffix('.').unwrap_or(text);
        if name.is_empty() {
            return Err(wrong());
        }
        Host::Name(name.to_owned())
    };
    Ok((host, port))
}

/// Whether an address is never connected to: link-local, and the places where clouds keep instance metadata and
/// credentials, also when an IPv4 address is wrapped in an IPv6 one (RFC 4291 section 2.5.5, RFC 6052).
pub(super) fn refused(address: IpAddr) -> bool {
    const METADATA_V6: Ipv6Addr = Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254);
    match address {
        IpAddr::V4(address) => refused_v4(address),
        IpAddr::V6(address) => {
            address.is_unicast_link_local()
                || address == METADATA_V6
                || embedded(address).is_some_and(refused_v4)
        }
    }
}

fn refused_v4(address: Ipv4Addr) -> bool {
    const METADATA: [Ipv4Addr; 2] = [Ipv4Addr::new(100, 100, 100, 200), Ipv4Addr::new(168, 63, 129, 16)];
    address.is_link_local() || METADATA.contains(&address)
}

/// The IPv4 address that an IPv4-mapped, IPv4-compatible or NAT64 (64:ff9b::/96) address leads to.
fn embedded(address: Ipv6Addr) -> Option<Ipv4Addr> {
    let [a, b, c, d, e, f, high, low] = address.segments();
    match [a, b, c, d, e, f] {
        [0, 0, 0, 0, 0, 0xffff | 0] | [0x64, 0xff9b, 0, 0, 0, 0] => {
            Some(Ipv4Addr::from_bits(u32::from(high) << 16 | u32::from(low)))
        }
        _ => None,
    }
}

/// Refuses a host that is spelled as an address which is never contacted, not even by a proxy for us.
pub(super) fn permit(host: &Host) -> Result<(), Error> {
    match host {
        Host::Address(address) if refused(*address) => Err(blocked()),
        Host::Address(_) | Host::Name(_) => Ok(()),
    }
}

fn blocked() -> Error {
    let why = "the address is refused: link-local and metadata addresses are never contacted";
    Error::unsent(Phase::Connect, Cause::Blocked, why)
}

/// Drops addresses that are refused or not in `allowed`, and repetitions, and lets the families take turns, beginning with that of the first
/// address (RFC 8305 section 4); at most eight are left.
pub(super) fn candidates(
    found: impl IntoIterator<Item = SocketAddr>,
    allowed: Option<&[Network]>,
) -> Result<Vec<SocketAddr>, Error> {
    let is_allowed = |address| allowed.is_none_or(|networks| networks.iter().any(|n| n.contains(address)));
    let (mut any, mut outside) = (false, false);
    let mut first: Vec<SocketAddr> = Vec::new();
    let mut second: Vec<SocketAddr> = Vec::new();
    for address in found {
        any = true;
        if !refused(address.ip()) && !is_allowed(address.ip()) {
            outside = true;
            continue;
        }
        if refused(address.ip()) || first.contains(&address) || second.contains(&address) {
            continue;
        }
        let other_family = first.first().is_some_and(|head| head.is_ipv6() != address.is_ipv6());
        let list = if other_family { &mut second } else { &mut first };
        if list.len() < MAX_ADDRESSES {
            list.push(address);
        }
    }
    if first.is_empty() {
        return Err(if outside {
            Error::unsent(Phase::Connect, Cause::NotAllowed, "the address is not one of allowed_ips")
        } else if any {
            blocked()
        } else {
            Error::unsent(Phase::Dns, Cause::Dns, "the name has no address")
        });
    }
    let mut order = Vec::with_capacity(first.len().saturating_add(second.len()));
    let mut second = second.into_iter();
    for address in first {
        order.push(address);
        order.extend(second.next());
    }
    order.extend(second);
    order.truncate(MAX_ADDRESSES);
    Ok(order)
}

#[cfg(test)]
#[path = "address_tests.rs"]
mod tests;
