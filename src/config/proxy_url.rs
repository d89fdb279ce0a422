//! The URL of a forward proxy, and the credentials in it.
//!
//! Pure; broker only. No message repeats any part of the text.

use zeroize::Zeroizing;

use super::base64;
use super::route::Proxy;
use super::types::{HttpUrl, Kept, Secret};

/// What a text without a scheme means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bare {
    /// An `http://` proxy, as in the variables of the environment.
    IsHttp,
    /// A mistake.
    IsWrong,
}

/// Reads a proxy URL. Path, query and fragment mean nothing to a proxy and are left out.
///
/// # Errors
/// The rule that is broken.
pub fn read(text: &str, bare: Bare) -> Result<Proxy, &'static str> {
    const SCHEME: &str = "proxy URL scheme must be http or https";
    if text.is_empty() {
        return Err("value is required");
    }
    let (scheme, rest) = match (text.split_once("://"), bare) {
        (Some((scheme, rest)), _) => (scheme, rest),
        (None, Bare::IsHttp) => ("http", text),
        (None, Bare::IsWrong) => return Err(SCHEME),
    };
    let scheme = match () {
        () if scheme.eq_ignore_ascii_case("http") => "http",
        () if scheme.eq_ignore_ascii_case("https") => "https",
        () => return Err(SCHEME),
    };
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let (user, host) = match authority.rsplit_once('@') {
        Some((user, host)) => (Some(user), host),
        None => (None, authority),
    };
    let authorization = user.map(basic).transpose()?;
    let url = HttpUrl::try_from(format!("{scheme}://{host}"))
        .map_err(|_| "proxy URL must name a host, and a port between 1 and 65535 or none")?;
    Ok(Proxy { url, authorization })
}

/// `Basic` credentials (RFC 7617) from the user information of a URL.
fn basic(user: &str) -> Result<Kept, &'static str> {
    let (name, password) = user.split_once(':').unwrap_or((user, ""));
    let wrong = "user name and password of a proxy URL must be percent-encoded";
    let mut plain = decode(name).ok_or(wrong)?;
    if plain.contains(&b':') {
        return Err("the user name of a proxy cannot hold a colon");
    }
    plain.push(b':');
    plain.extend_from_slice(&decode(password).ok_or(wrong)?);
    Ok(Secret::new(format!("Basic {}", base64::encode(&plain).as_str())).into())
}

fn decode(text: &str) -> Option<Zeroizing<Vec<u8>>> {
    // As much as can be needed, so that no copy is left behind by a growing buffer.
    let mut bytes = Zeroizing::new(Vec::with_capacity(text.len().saturating_add(1).saturating_mul(2)));
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(if byte == b'%' {
            let digit =
                |b: Option<u8>| b.and_then(|b| char::from(b).to_digit(16)).and_then(|d| u8::try_from(d).ok());
            digit(rest.next())? << 4 | digit(rest.next())?
        } else {
            byte
        });
    }
    Some(bytes)
}

#[cfg(test)]
#[path = "proxy_url_tests.rs"]
mod tests;
