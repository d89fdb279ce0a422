//! The addresses of the control plane and of MCP servers.
//!
//! Pure. Messages never repeat a URL that may hold user information.

use super::types::HttpUrl;

/// Why an address is refused: the rule, and the way out where it is not the same.
#[derive(Debug, PartialEq, Eq)]
pub struct Refused {
    /// The rule that is broken.
    pub why: String,
    /// What to do.
    pub hint: Option<&'static str>,
}

fn refused(why: impl Into<String>) -> Refused {
    Refused { why: why.into(), hint: None }
}

/// The origin of the control plane: scheme and authority; a path is dropped, since routes are absolute.
/// `https` is required unless the host is this machine, because every request carries the key.
///
/// # Errors
/// When it is not an absolute `http(s)` URL without user information, or plain text to another machine.
pub fn origin(text: &str) -> Result<HttpUrl, Refused> {
    let url = absolute(text, "control-plane.base-url")?;
    let uri = url.uri();
    let (Some(scheme), Some(authority)) = (uri.scheme_str(), uri.authority()) else {
        return Err(refused("invalid control-plane.base-url: must include scheme and host"));
    };
    if scheme == "http" && !is_loopback(authority.host()) {
        return Err(Refused {
            why: "invalid control-plane.base-url: https is required unless the host is this machine".into(),
            hint: Some("use https://; plain http would send the API key readable for everybody on the way"),
        });
    }
    HttpUrl::try_from(format!("{scheme}://{authority}"))
        .map_err(|why| refused(format!("invalid control-plane.base-url: {why}")))
}

/// The endpoint of an MCP server, as written.
///
/// # Errors
/// When it is not an absolute `http(s)` URL, or has user information or a fragment.
pub fn endpoint(text: &str) -> Result<HttpUrl, Refused> {
    if text.contains('#') {
        return Err(refused("invalid mcp.server-url: must not contain a fragment"));
    }
    absolute(text, "mcp.server-url")
}

fn absolute(text: &str, name: &str) -> Result<HttpUrl, Refused> {
    let text = text.trim();
    let Some((scheme, rest)) = text.split_once("://") else {
        return Err(refused(format!("invalid {name}: must include scheme and host")));
    };
    let authority = rest.split(['/', '?', '#', '\\']).next().unwrap_or_default();
    if authority.contains('@') {
        return Err(Refused {
            why: format!("invalid {name}: must not contain user information"),
            hint: Some("give credentials as an extra header whose value is an env: or file: reference"),
        });
    }
    if !text.is_ascii() {
        return Err(Refused {
            why: format!("invalid {name}: contains characters that a URL cannot hold"),
            hint: Some("percent-encode them; write international host names in their xn-- form"),
        });
    }
    if scheme.is_empty() || authority.is_empty() || authority.starts_with(':') {
        return Err(refused(format!("invalid {name}: must include scheme and host")));
    }
    if !scheme.eq_ignore_ascii_case("http") && !scheme.eq_ignore_ascii_case("https") {
        return Err(refused(format!("invalid {name}: scheme must be http or https")));
    }
    HttpUrl::try_from(text.to_string()).map_err(|why| refused(format!("invalid {name}: {why}")))
}

fn is_loopback(host: &str) -> bool {
    let bare = host.strip_prefix('[').and_then(|h| h.strip_suffix(']')).unwrap_or(host);
    host.eq_ignore_ascii_case("localhost")
        || bare.parse::<std::net::IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

/// The prefix of every route: `""`, or a cleaned path such as `/gw` without a slash at its end.
///
/// # Errors
/// When it is more than a path, or no absolute one.
pub fn path_prefix(text: &str) -> Result<String, Refused> {
    let text = text.trim();
    if text.is_empty() {
        return Ok(String::new());
    }
    let scheme = text.split_once(':').is_some_and(|(s, _)| {
        s.starts_with(|c: char| c.is_ascii_alphabetic())
            && s.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'-' | b'.'))
    });
    if scheme || text.starts_with("//") || text.contains(['?', '#']) {
        return Err(refused(
            "invalid control-plane.url-path: must be a URL path without scheme, host, query, or fragment",
        ));
    }
    if !text.starts_with('/') {
        return Err(refused("invalid control-plane.url-path: must start with '/'"));
    }
    let mut segments: Vec<&str> = Vec::new();
    for segment in text.split('/') {
        match segment {
            "" | "." => {}
            ".." => {
                segments.pop();
            }
            other => segments.push(other),
        }
    }
    let clean: String = segments.iter().flat_map(|s| ["/", s]).collect();
    match clean.parse::<http::uri::PathAndQuery>() {
        _ if clean.is_empty() => Ok(clean),
        Ok(_) if clean.is_ascii() && percent_is_sound(&clean) => Ok(clean),
        _ => Err(Refused {
            why: "invalid control-plane.url-path: contains characters that a URL path cannot hold".into(),
            hint: Some("percent-encode them"),
        }),
    }
}

fn percent_is_sound(path: &str) -> bool {
    path.split('%').skip(1).all(|after| after.bytes().take(2).filter(u8::is_ascii_hexdigit).count() == 2)
}

#[cfg(test)]
#[path = "url_tests.rs"]
mod tests;
