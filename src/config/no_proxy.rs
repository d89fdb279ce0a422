//! Proxies from the environment: `HTTPS_PROXY`, `HTTP_PROXY` and `NO_PROXY`, by the rules of Go's `httpproxy`.
//!
//! Pure; broker only. Those of `tunnel-client` are Go's, and operators expect the same hosts to be exempt.

use std::collections::BTreeMap;
use std::net::IpAddr;

use super::route::Network;
use super::types::HttpUrl;

/// The variable that names the proxy for a target, and its value, unless `NO_PROXY` or the target itself rules it
/// out. This machine is never reached through a proxy from the environment.
pub fn proxy_for<'a>(env: &'a BTreeMap<String, String>, target: &HttpUrl) -> Option<(&'static str, &'a str)> {
    let uri = target.uri();
    let secure = uri.scheme() == Some(&http::uri::Scheme::HTTPS);
    let (names, default_port) =
        if secure { (["HTTPS_PROXY", "https_proxy"], 443) } else { (["HTTP_PROXY", "http_proxy"], 80) };
    let found = first(env, names)?;
    let host = uri.host().unwrap_or_default().to_ascii_lowercase();
    let port = uri.port_u16().unwrap_or(default_port);
    let exempt = first(env, ["NO_PROXY", "no_proxy"]).map_or("", |(_, value)| value);
    applies(&host, port, exempt).then_some(found)
}

fn first<'a>(env: &'a BTreeMap<String, String>, names: [&'static str; 2]) -> Option<(&'static str, &'a str)> {
    names.into_iter().find_map(|name| {
        let value = env.get(name)?.as_str();
        (!value.is_empty()).then_some((name, value))
    })
}

fn applies(host: &str, port: u16, exempt: &str) -> bool {
    let bare = bare(host);
    let address: Option<IpAddr> = bare.parse().ok();
    if bare == "localhost" || address.is_some_and(|a| a.to_canonical().is_loopback()) {
        return false;
    }
    let lower = exempt.to_ascii_lowercase();
    !lower.split(',').map(str::trim).filter(|e| !e.is_empty()).any(|entry| covers(entry, bare, address, port))
}

fn bare(host: &str) -> &str {
    host.strip_prefix('[').and_then(|h| h.strip_suffix(']')).unwrap_or(host)
}

/// One entry of the list: `*`, a network, an address, a host or a suffix, the latter three with or without a port.
fn covers(entry: &str, host: &str, address: Option<IpAddr>, port: u16) -> bool {
    if entry == "*" {
        return true;
    }
    if let Some((base, bits)) = entry.split_once('/') {
        return address.is_some_and(|address| in_network(base, bits, address));
    }
    let (name, wanted) = match split_port(entry) {
        Some((name, port)) => (name, Some(port)),
        None => (bare(entry), None),
    };
    // An entry with a port that is no number matches nothing, as in Go.
    if wanted.is_some_and(|wanted| wanted != port.to_string()) {
        return false;
    }
    if let Ok(own) = name.parse::<IpAddr>() {
        return address.is_some_and(|address| address.to_canonical() == own.to_canonical());
    }
    if address.is_some() || name.is_empty() {
        return false;
    }
    let name = if name.starts_with("*.") { name.get(1..).unwrap_or_default() } else { name };
    match name.strip_prefix('.') {
        // `.example.com` means everything below, `example.com` also itself.
        Some(_) => host.ends_with(name),
        None => host == name || host.strip_suffix(name).is_some_and(|rest| rest.ends_with('.')),
    }
}

/// Unlike in our own settings, bits behind the network's own are allowed, as in Go.
fn in_network(base: &str, bits: &str, address: IpAddr) -> bool {
    let (Ok(base), Ok(bits)) = (base.parse::<IpAddr>(), bits.parse::<u8>()) else { return false };
    let masked = match base {
        IpAddr::V4(v4) => {
            let mask = u32::MAX.checked_shl(32_u32.saturating_sub(bits.into())).unwrap_or(0);
            IpAddr::V4((v4.to_bits() & mask).into())
        }
        IpAddr::V6(v6) => {
            let mask = u128::MAX.checked_shl(128_u32.saturating_sub(bits.into())).unwrap_or(0);
            IpAddr::V6((v6.to_bits() & mask).into())
        }
    };
    Network::try_from(format!("{masked}/{bits}")).is_ok_and(|network| network.contains(address))
}

/// Host and port of an entry, if it has a port; an IPv6 address with one stands in brackets.
fn split_port(entry: &str) -> Option<(&str, &str)> {
    if entry.starts_with('[') {
        let (host, port) = entry.rsplit_once("]:")?;
        return Some((host.strip_prefix('[')?, port));
    }
    let (host, port) = entry.split_once(':')?;
    (!port.contains(':')).then_some((host, port))
}

#[cfg(test)]
#[path = "no_proxy_tests.rs"]
mod tests;
