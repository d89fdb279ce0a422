//! Absolute paths and TCP ports in the texts that a command is given. Pure; a guess that only advice is made of.

/// Ports of schemes that MCP servers connect with.
const SCHEMES: [(&str, u16); 14] = [
    ("http", 80),
    ("https", 443),
    ("ws", 80),
    ("wss", 443),
    ("postgres", 5432),
    ("postgresql", 5432),
    ("mysql", 3306),
    ("mariadb", 3306),
    ("redis", 6379),
    ("rediss", 6379),
    ("mongodb", 27017),
    ("amqp", 5672),
    ("ldap", 389),
    ("ldaps", 636),
];

/// A text without the option or variable that it is the value of: `--root=/srv` is about `/srv`.
fn value(text: &str) -> &str {
    let option = |name: &str| !name.is_empty() && !name.contains(['/', ':', '?', ' ']);
    match text.split_once('=') {
        Some((name, value)) if option(name) => value,
        _ => text,
    }
}

/// The absolute paths: the text as a whole first, then its pieces if it is a list of them.
pub fn paths(text: &str) -> Vec<&str> {
    let text = value(text);
    let text = text.strip_prefix("file://").unwrap_or(text);
    if !text.starts_with('/') {
        return Vec::new();
    }
    let mut paths = vec![text];
    if text.contains([':', ',']) {
        paths.extend(text.split([':', ',']).filter(|piece| piece.starts_with('/')));
    }
    paths
}

/// The port that a URL or `host:port` names.
pub fn port(text: &str) -> Option<u16> {
    let text = value(text);
    let (authority, default) = match text.split_once("://") {
        Some((scheme, rest)) => {
            // `postgresql+asyncpg`, `mongodb+srv`.
            let scheme = scheme.split('+').next().unwrap_or(scheme);
            let known = SCHEMES.iter().find(|(name, _)| scheme.eq_ignore_ascii_case(name));
            let authority = rest.split(['/', '?', '#', ',']).next().unwrap_or(rest);
            (authority.rsplit('@').next().unwrap_or(authority), known.map(|(_, port)| *port))
        }
        None => (text, None),
    };
    if default.is_some() && authority.is_empty() {
        return None;
    }
    let port = match authority.rsplit_once(':') {
        Some((host, port)) if is_host(host) => port.parse().ok(),
        // The colons of an address in brackets.
        Some((host, _)) if host.starts_with('[') && authority.ends_with(']') => default,
        Some(_) => None,
        None => default,
    };
    port.filter(|port| *port > 0)
}

/// A name or address, not a time of day or a drive.
fn is_host(host: &str) -> bool {
    let inner = host.strip_prefix('[').and_then(|h| h.strip_suffix(']'));
    if let Some(inner) = inner {
        return inner.parse::<std::net::Ipv6Addr>().is_ok();
    }
    let legal = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_');
    let named = host.contains('.') || host.bytes().any(|b| b.is_ascii_alphabetic());
    named && host.bytes().all(legal)
}

#[cfg(test)]
#[path = "endpoints_tests.rs"]
mod tests;
