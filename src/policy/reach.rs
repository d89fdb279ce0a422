//! Where a text leads: paths below a directory, hosts of a URL, URIs below a prefix. Pure.
//!
//! All three refuse every spelling that two readers could resolve differently, instead of resolving it.

/// Whether `path` is `base` or lies below it: absolute, without NUL and control characters, without empty segments and
/// without `.` and `..`. Symbolic links are not looked at; that is for the confinement of the server.
#[must_use]
pub fn path_under(path: &str, base: &str) -> bool {
    let base = base.trim_end_matches('/');
    let Some(rest) = path.strip_prefix(base) else { return false };
    let below = if rest.is_empty() { !base.is_empty() } else { rest.starts_with('/') };
    below && is_normal(path)
}

/// Whether a path is absolute and the only spelling of itself.
#[must_use]
pub fn is_normal(path: &str) -> bool {
    let Some(inner) = path.strip_prefix('/') else { return false };
    let inner = inner.strip_suffix('/').unwrap_or(inner);
    let segment = |s: &str| !s.is_empty() && s != "." && s != "..";
    !path.chars().any(|c| c.is_control() || c == '\\') && (inner.is_empty() || inner.split('/').all(segment))
}

/// Whether `text`, a `http` or `https` URL or a `host[:port]`, leads to one of `hosts`; `*.example.org` stands for every
/// name below that one. A text with user information, an escape, a space or a backslash in its authority leads nowhere.
#[must_use]
pub fn host_in(text: &str, hosts: &[String]) -> bool {
    host(text).is_some_and(|host| hosts.iter().any(|allowed| is_host(&host, allowed)))
}

fn host(text: &str) -> Option<String> {
    // White space and control characters are dropped by some readers wherever they stand, and a backslash is a slash
    // to others.
    if text.chars().any(|c| c.is_control() || c.is_whitespace() || c == '\\') {
        return None;
    }
    let authority = match text.split_once("://") {
        Some((scheme, rest)) => {
            let known = scheme.eq_ignore_ascii_case("http") || scheme.eq_ignore_ascii_case("https");
            let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
            rest.get(..end).filter(|_| known)?
        }
        None => text,
    };
    let (host, port) = match authority.rsplit_once(':') {
        Some((host, port)) if !port.contains(']') => (host, Some(port)),
        _ => (authority, None),
    };
    if port.is_some_and(|port| port.parse::<u16>().is_err() || port.starts_with('+')) {
        return None;
    }
    let host = host.to_ascii_lowercase();
    is_host_name(&host).then_some(host)
}

/// Whether it is a name or address in its plain form: lower case, no trailing dot.
#[must_use]
pub fn is_host_name(host: &str) -> bool {
    let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'-' | b'.' | b'_');
    if let Some(address) = host.strip_prefix('[').and_then(|h| h.strip_suffix(']')) {
        return address.contains(':')
            && address.bytes().all(|b| b.is_ascii_hexdigit() || matches!(b, b':' | b'.'));
    }
    let dots = host.starts_with('.') || host.ends_with('.') || host.contains("..");
    !host.is_empty() && !dots && host.bytes().all(plain)
}

fn is_host(host: &str, allowed: &str) -> bool {
    match allowed.strip_prefix("*.") {
        Some(parent) => host.strip_suffix(parent).is_some_and(|sub| sub.len() > 1 && sub.ends_with('.')),
        None => host == allowed,
    }
}

/// Whether what follows a prefix in a URI is the only spelling of itself: no dot segments, also in front of `;`, no empty
/// ones, no escapes of characters that need none or that lead elsewhere.
#[must_use]
pub fn is_plain(rest: &str) -> bool {
    let escapes = || {
        rest.match_indices('%').all(|(at, _)| {
            let code = rest.get(at + 1..at + 3).filter(|hex| hex.bytes().all(|b| b.is_ascii_hexdigit()));
            code.and_then(|hex| u8::from_str_radix(hex, 16).ok()).is_some_and(|byte| match byte {
                0..=0x1f | 0x7f | b'%' | b'/' | b'\\' | b';' => false,
                b => !(b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.' | b'_' | b'~')),
            })
        })
    };
    let dots = |segment: &str| matches!(segment.split(';').next(), Some("." | ".."));
    !rest.chars().any(|c| c.is_control() || c.is_whitespace() || c == '\\')
        && !rest.starts_with('/')
        && !rest.contains("//")
        && !rest.split(['/', '?', '#']).any(dots)
        && escapes()
}
