//! `pin`: shows the keys of a host that can be pinned, ready to be pasted. Everything that the host says is read by a
//! worker of its own.

use std::fmt::Write as _;

use super::{complain, complain_of, say};
use crate::broker::errand;
use crate::config::peer::{Digest, Peer};
use crate::config::types::HttpUrl;
use crate::config::{self, Flags, Host};
use crate::confine::kernel::Kernel;
use crate::exit::Exit;
use crate::tls::{Link, Sight};
use crate::worker::look::{self, Found, Task};

/// Looks at `target` (`host` or `host:port`) with the roots that the configuration names.
pub fn pin(target: &str, flags: &Flags, host: Host<'_>) -> Exit {
    let Some(url) = url(target) else {
        complain("pin needs a host, or a host and a port: example.com, example.com:8443, [::1]:8443");
        return Exit::Usage;
    };
    let roots = match config::load_roots(flags, host, &url) {
        Ok(roots) => roots,
        Err(problems) => {
            complain_of(&problems);
            return config::exit_for(&problems);
        }
    };
    // The worker sees to it itself; here it is an end of its own.
    if let Err(missing) = Kernel::probe().check(roots.require) {
        complain(&missing.to_string());
        return Exit::Unavailable;
    }
    let peer = Peer { bundle_only: roots.is_control && roots.bundle_only, ..Peer::default() };
    let shown = url.uri().authority().map_or("", |authority| authority.as_str()).to_string();
    let pins = if roots.is_control { roots.pins } else { Vec::new() };
    let config::Roots { ca_pem, tls, require, route, proxy_peer, .. } = roots;
    let task = Task { url, ca_pem, peer, route, proxy_peer, tls, require };
    match errand::run(look::ROLE, &task, look::BOUND) {
        Ok(found) => tell(&shown, found, &pins),
        Err(e) => {
            complain(&format!("{shown}: {e}"));
            Exit::Os
        }
    }
}

/// A host, a host with a port, or an `https` URL without user information.
fn url(target: &str) -> Option<HttpUrl> {
    let target = target.trim();
    let bare = target.strip_prefix("https://").unwrap_or(target);
    let bare = bare.strip_suffix('/').unwrap_or(bare);
    if bare.is_empty() || bare.contains(['/', '?', '#', '@']) {
        return None;
    }
    HttpUrl::try_from(format!("https://{bare}")).ok()
}

/// `pins` are those that the configuration asks of this host.
fn tell(shown: &str, found: Found, pins: &[Digest]) -> Exit {
    match (found.sight, found.failed) {
        (Some(Sight::Verified(path)), failed) => {
            say(&verified(shown, &path));
            // Whoever asks for a certificate of ours ends the handshake after having shown its own.
            if let Some(why) = failed {
                complain(&format!("{shown}: its certificate is in order, but then: {}", plain(&why)));
            }
            let fits = path.iter().filter_map(|link| link.pin).any(|pin| pins.contains(&pin));
            if pins.is_empty() || fits {
                return Exit::Ok;
            }
            complain(&format!("{shown}: none of these keys is one of control_plane.pins"));
            Exit::Protocol
        }
        (Some(Sight::Unverified { presented, why }), _) => {
            say(&unverified(shown, &presented, &why));
            complain(&format!("{shown}: {}", plain(&why)));
            Exit::Protocol
        }
        (None, failed) => {
            let why = failed.unwrap_or_else(|| "it showed no certificate".into());
            complain(&format!("{shown}: {}", plain(&why)));
            if found.reached { Exit::Protocol } else { Exit::TempFail }
        }
    }
}

fn verified(shown: &str, path: &[Link]) -> String {
    let mut text = format!("# {shown}: the verified path, from its own key to the trust anchor\n");
    for (n, link) in path.iter().enumerate() {
        let _ = writeln!(text, "#\n# {}", role(n, path.len()));
        describe(link, &mut text);
    }
    text.push_str(
        "#\n# One pin that fits is enough, and at least two are needed: keep one for the time after the next renewal.\n",
    );
    text.push_str("pins:\n");
    for (n, link) in path.iter().enumerate() {
        if let Some(pin) = link.pin {
            let _ = writeln!(text, "  - \"{pin}\"  # {}: {}", role(n, path.len()), plain(&link.subject));
        }
    }
    text
}

fn role(n: usize, count: usize) -> &'static str {
    match n {
        0 => "its own",
        n if n.saturating_add(1) == count => "trust anchor",
        _ => "intermediate",
    }
}

/// Nothing in it can be pasted by mistake.
fn unverified(shown: &str, presented: &[Link], why: &str) -> String {
    let mut text = format!(
        "# UNVERIFIED {shown}: {}\n# This is what it presented. Nothing of it is to be believed or pinned.\n",
        plain(why)
    );
    for (n, link) in presented.iter().enumerate() {
        let _ = writeln!(text, "#\n# UNVERIFIED certificate {}", n.saturating_add(1));
        describe(link, &mut text);
    }
    text
}

fn describe(link: &Link, text: &mut String) {
    let _ = writeln!(text, "#   subject  {}", plain(&link.subject));
    if let Some(issuer) = &link.issuer {
        let _ = writeln!(text, "#   issuer   {}", plain(issuer));
    }
    if let Some((from, until)) = &link.validity {
        let _ = writeln!(text, "#   valid    {} until {}", plain(from), plain(until));
    }
    if let Some(pin) = &link.pin {
        let _ = writeln!(text, "#   key      {pin}");
    }
}

/// What cannot end a line. The worker escapes what peers say; this holds even if a peer has taken it over.
fn plain(text: &str) -> String {
    text.replace(|c: char| c.is_control(), "?")
}

#[cfg(test)]
#[path = "pin_tests.rs"]
mod tests;
