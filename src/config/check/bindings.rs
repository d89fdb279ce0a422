//! `mcp.server_urls`, and what its entries share with `mcp.commands`.

use std::collections::BTreeMap;
use std::path::PathBuf;

use super::proxy::{Own, Proxies};
use super::tls;
use crate::config::keys::{self, Key};
use crate::config::problem::{Place, Problem, show};
use crate::config::sources::{Given, Layer, Sources};
use crate::config::tree::{Node, Value};
use crate::config::types::{Binding, Channel, Secret, Transport};
use crate::config::url;

/// Members of an entry in the file.
pub const MEMBERS: [&str; 12] = [
    "channel",
    "url",
    "unix_socket",
    "http_proxy",
    "client_cert",
    "client_key",
    "stateless",
    "allowed_ips",
    "ca_bundle",
    "server_name",
    "pins",
    "allow_single_pin",
];
/// How many of them a flag or variable may name too: whom to believe is for the file alone to say.
const LINE_MEMBERS: usize = 7;

/// Takes a line apart into members of the file, or says what is wrong with it.
pub type Line = fn(&str) -> Result<Vec<(&'static str, String)>, String>;

/// One entry: its own place, and its members.
pub struct Entry {
    pub place: Place,
    members: Vec<(String, Place, Node)>,
    layer: Layer,
}

impl Entry {
    /// A member as it stands.
    pub fn take(&mut self, name: &str) -> Option<(Place, Node)> {
        let at = self.members.iter().position(|(n, ..)| n == name)?;
        let (_, place, node) = self.members.swap_remove(at);
        (!matches!(node.value, Value::Null)).then_some((place, node))
    }

    /// A member that is a single value.
    pub fn text(&mut self, s: &mut Sources<'_>, name: &str) -> Option<Given> {
        let (place, node) = self.take(name)?;
        let mut given = s.single(place, node)?;
        given.layer = self.layer;
        Some(given)
    }

    /// A member that is a truth value.
    pub fn truth(&mut self, s: &mut Sources<'_>, name: &str) -> bool {
        let Some(given) = self.text(s, name) else { return false };
        s.truth_of(&given).unwrap_or(false)
    }

    /// The channel, `main` when none is named.
    pub fn channel(&mut self, s: &mut Sources<'_>, kind: &str) -> Option<Channel> {
        let Some(given) = self.text(s, "channel") else { return Some(Channel::main()) };
        let text = given.text.expose();
        let why = match Channel::normalise(text) {
            None => format!("mcp config: {kind} channel {} must match ^[a-z0-9_-]{{1,64}}$", show(text)),
            Some(c) if c.as_str() == "harpoon" => {
                format!("mcp config: {kind} channel \"harpoon\" is reserved")
            }
            Some(channel) => return Some(channel),
        };
        s.refuse(Problem::new(&given.place, why));
        None
    }
}

/// The entries of a list setting: maps in the file, lines in flags and environment, which `line` takes apart.
pub fn entries(s: &mut Sources<'_>, key: &Key, members: &[&str], line: Line) -> Vec<Entry> {
    let mut found = Vec::new();
    if s.flag(key).is_some() || s.env(key).is_some() {
        for item in s.many(key, &['\n']).unwrap_or_default() {
            if item.layer == Layer::Env && item.trimmed().is_empty() {
                continue;
            }
            match line(item.text.expose().trim()) {
                Ok(pairs) => {
                    let node =
                        |text: String| Node { line: 0, plain: false, value: Value::Text(Secret::new(text)) };
                    let members =
                        pairs.into_iter().map(|(n, v)| (n.to_string(), item.place.clone(), node(v)));
                    found.push(Entry {
                        place: item.place.clone(),
                        members: members.collect(),
                        layer: item.layer,
                    });
                }
                Err(why) => s.refuse(Problem::new(&item.place, why)),
            }
        }
        return found;
    }
    let Some((place, node)) = s.node(key) else { return found };
    for (place, node) in s.list(&place, node).unwrap_or_default() {
        if let Some(members) = s.map(&place, node, Some(members)) {
            found.push(Entry { place, members, layer: Layer::File });
        }
    }
    found
}

/// Says that a channel is taken. `kind` and `taken` as in `tunnel-client`'s message.
pub fn duplicate(place: &Place, channel: &Channel, kind: &str, taken: &str) -> Problem {
    let why = format!("mcp config: duplicate channel \"{channel}\" from {kind} ({taken} already configured)");
    Problem::new(place, why).hint("each channel has one MCP server")
}

/// The HTTP bindings, the paths of those that are Unix sockets, and whether some could not be read.
pub fn http(s: &mut Sources<'_>, proxies: &Proxies) -> (Vec<Binding>, BTreeMap<u8, PathBuf>, bool) {
    let before = s.problems.len();
    let mut bindings: Vec<Binding> = Vec::new();
    let identity = tls::mcp_identity(s);
    let mut sockets = BTreeMap::new();
    for mut entry in entries(s, &keys::MCP_SERVER_URLS, &MEMBERS, line) {
        let stateless = entry.truth(s, "stateless");
        let own = Own::read(s, &mut entry);
        let channel = entry.channel(s, "mcp.server-url");
        let Some(given) = entry.text(s, "url") else {
            s.refuse(
                Problem::new(&entry.place, "invalid mcp.server-url: must include scheme and host")
                    .found("no url"),
            );
            continue;
        };
        let url = match url::endpoint(given.trimmed()) {
            Ok(url) => url,
            Err(refused) => {
                s.refuse(super::control::refusal(&given.place, refused));
                continue;
            }
        };
        let peer = tls::binding(s, &mut entry, &url, identity.as_ref());
        let Some(channel) = channel else { continue };
        if bindings.iter().any(|b| b.channel == channel) {
            s.refuse(duplicate(&entry.place, &channel, "mcp.server-url", "http-streamable"));
            continue;
        }
        let Ok(place) = u8::try_from(bindings.len()) else {
            s.refuse(Problem::new(&entry.place, "too many MCP servers"));
            break;
        };
        let (route, path) = own.route(s, proxies, &url, place);
        sockets.extend(path.map(|path| (place, path)));
        bindings.push(Binding {
            channel,
            stateless,
            transport: Transport::Http { url, route: Box::new(route), peer: Box::new(peer) },
        });
    }
    if bindings.is_empty() && s.problems.len() == before {
        for key in [keys::MCP_CLIENT_CERT, keys::MCP_CLIENT_KEY] {
            if let Some(given) = s.one_filled(&key) {
                let why = "mcp.client-cert and mcp.client-key require at least one http-streamable mcp.server-url binding";
                s.refuse(Problem::new(&given.place, why));
                break;
            }
        }
    }
    (bindings, sockets, s.problems.len() > before)
}

/// Takes a flag or line apart: a bare URL, or `channel=…,url=…` with the file's members in kebab case.
pub fn line(text: &str) -> Result<Vec<(&'static str, String)>, String> {
    let known = |piece: &str| {
        let (name, value) = piece.split_once('=')?;
        let name = name.trim().to_ascii_lowercase().replace('-', "_");
        let member = MEMBERS.iter().take(LINE_MEMBERS).find(|m| **m == name)?;
        Some((*member, value.trim().to_string()))
    };
    if known(text).is_none() {
        return Ok(vec![("url", text.to_string())]);
    }
    let mut pairs: Vec<(&'static str, String)> = Vec::new();
    for piece in text.split(',').filter(|p| !p.trim().is_empty()) {
        let Some(pair) = known(piece) else {
            // The piece is not shown: it may be the rest of a URL with credentials.
            return Err("invalid mcp.server-url: expected channel=, url=, unix-socket=, http-proxy=, client-cert= or \
                client-key=; a URL with a comma can only be given in the file"
                .into());
        };
        if pairs.iter().any(|(name, _)| *name == pair.0) {
            return Err(format!("invalid mcp.server-url: {} is given twice", pair.0.replace('_', "-")));
        }
        pairs.push(pair);
    }
    Ok(pairs)
}
