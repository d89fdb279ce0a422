//! `ca_bundle`, `tls` and everything that says how a peer is known: certificates, keys, pins.
//!
//! Broker only. Files are read here and judged later, by `tls`: whether a key belongs to its certificate is no question of
//! the configuration's form.

use rustls::pki_types::ServerName;
use zeroize::Zeroizing;

use super::bindings::Entry;
use crate::config::keys::{self, Key};
use crate::config::peer::{Digest, Identity, MinVersion, Peer, PostQuantum, Tls};
use crate::config::problem::{Place, Problem, show};
use crate::config::profile::expand;
use crate::config::reference::{Reference, Spelling};
use crate::config::sources::{Given, Sources};
use crate::config::types::{HttpUrl, Secret};
use crate::config::{pem, read};

/// Most pins of one peer. A rotation needs two; more than a few mean that nobody knows which are still in use.
const MAX_PINS: usize = 16;
/// Largest certificate file: a chain has a few certificates of some KiB.
const MAX_CHAIN: u64 = 256 * 1024;

/// Whose a file is.
#[derive(Clone, Copy)]
enum Holds {
    /// The agent's: no MCP server may reach it.
    Own,
    /// The agent's, and nobody else may read it.
    Secret,
    /// Certificates of authorities, which lie where every program may read them.
    Authorities,
}

/// The `tls` section.
pub fn tls(s: &mut Sources<'_>) -> Tls {
    let mut tls = Tls::default();
    if let Some(given) = s.one(&keys::TLS_MIN_VERSION) {
        match given.trimmed() {
            "1.3" => {}
            "1.2" => tls.min_version = MinVersion::Tls12,
            other => s.refuse(Problem::new(&given.place, "must be \"1.3\" or \"1.2\"").found(show(other))),
        }
    }
    if let Some(given) = s.one(&keys::TLS_POST_QUANTUM) {
        match given.trimmed() {
            "prefer" => {}
            "off" => tls.post_quantum = PostQuantum::Off,
            other => s.refuse(Problem::new(&given.place, "must be prefer or off").found(show(other))),
        }
    }
    tls
}

/// The certificates of `ca_bundle`: a path, or a reference to a file.
pub fn ca_bundle(s: &mut Sources<'_>) -> Option<String> {
    let given = s.one_filled(&keys::CA_BUNDLE)?;
    certificates(s, &given, keys::CA_BUNDLE.flag, Holds::Authorities)
}

/// How the control plane at `origin` is known.
pub fn control(s: &mut Sources<'_>, origin: Option<&HttpUrl>, bundle: bool) -> Peer {
    let fingerprint = fingerprint(s);
    let identity = identity(s, [&keys::CONTROL_CLIENT_CERT, &keys::CONTROL_CLIENT_KEY], fingerprint);
    let pins = control_pins(s);
    let bundle_only = s.truth(&keys::CONTROL_BUNDLE_ONLY, false);
    if bundle_only && !bundle && s.one_filled(&keys::CA_BUNDLE).is_none() {
        let place = place_of(s, &keys::CONTROL_BUNDLE_ONLY);
        s.refuse(Problem::new(&place, "control_plane.ca_bundle_only needs a ca_bundle"));
    }
    if origin.is_some_and(|origin| origin.uri().scheme_str() == Some("http")) {
        let only = bundle_only.then_some(&keys::CONTROL_BUNDLE_ONLY);
        for key in [&keys::CONTROL_PINS, &keys::CONTROL_CLIENT_CERT].into_iter().chain(only) {
            let place = s.flag(key).or_else(|| s.env(key)).map(|g| g.place);
            if let Some(place) = place.or_else(|| s.node(key).map(|(place, _)| place)) {
                let why = format!("{} has no meaning with an http:// control plane", key.name());
                s.refuse(Problem::new(&place, why));
            }
        }
    }
    Peer { identity, pins, ca_pem: None, bundle_only, server_name: None }
}

/// The keys of which the control plane must have one.
pub fn control_pins(s: &mut Sources<'_>) -> Vec<Digest> {
    let single = s.truth(&keys::CONTROL_SINGLE_PIN, false);
    let listed = s.node(&keys::CONTROL_PINS).map(|(place, _)| place);
    let given = s.many(&keys::CONTROL_PINS, &[]);
    listed.zip(given).map(|(place, given)| pins(s, &place, &given, single)).unwrap_or_default()
}

fn place_of(s: &Sources<'_>, key: &Key) -> Place {
    s.node(key).map_or_else(|| Place::named(key.yaml), |(place, _)| place)
}

fn fingerprint(s: &mut Sources<'_>) -> Option<Digest> {
    let given = s.one_filled(&keys::CONTROL_FINGERPRINT)?;
    let why = match Digest::parse_fingerprint(given.trimmed()) {
        Some(_) if s.one_filled(&keys::CONTROL_CLIENT_CERT).is_none() => {
            "control_plane.client_cert_fingerprint needs a control_plane.client_cert"
        }
        Some(digest) => return Some(digest),
        None => {
            "must be the SHA-256 of the certificate: sha256/<base64>, or 64 hex digits with or without colons"
        }
    };
    s.refuse(Problem::new(&given.place, why));
    None
}

/// What MCP servers over HTTPS are shown unless their entry says otherwise.
pub fn mcp_identity(s: &mut Sources<'_>) -> Option<Identity> {
    identity(s, [&keys::MCP_CLIENT_CERT, &keys::MCP_CLIENT_KEY], None)
}

/// What forward proxies at `https://` URLs are shown.
pub fn proxy_identity(s: &mut Sources<'_>) -> Option<Identity> {
    identity(s, [&keys::PROXY_CLIENT_CERT, &keys::PROXY_CLIENT_KEY], None)
}

/// A pair of settings. That both must be there is said elsewhere.
fn identity(s: &mut Sources<'_>, pair: [&Key; 2], fingerprint: Option<Digest>) -> Option<Identity> {
    let [certificate, key] = pair.map(|setting| s.one_filled(setting).map(|given| (given, setting.flag)));
    load(s, certificate?, key?, pair[0].yaml.to_string(), fingerprint)
}

fn load(
    s: &mut Sources<'_>,
    (certificate, certificate_name): (Given, &str),
    (key, key_name): (Given, &str),
    name: String,
    fingerprint: Option<Digest>,
) -> Option<Identity> {
    let certificate = certificates(s, &certificate, certificate_name, Holds::Own);
    let key = private_key(s, &key, key_name);
    Some(Identity { name, certificate: certificate?, key: key?.into(), fingerprint })
}

/// How the server of one entry is known.
pub fn binding(s: &mut Sources<'_>, entry: &mut Entry, url: &HttpUrl, default: Option<&Identity>) -> Peer {
    let secure = url.uri().scheme_str() == Some("https");
    let mut text = |s: &mut Sources<'_>, name: &str| {
        let given = entry.text(s, name).filter(|g| !g.trimmed().is_empty())?;
        if !secure {
            let why = format!("mcp.server_urls {name} has no meaning with an http:// url");
            s.refuse(Problem::new(&given.place, why));
        }
        Some(given)
    };
    let (certificate, key) = (text(s, "client_cert"), text(s, "client_key"));
    let bundle = text(s, "ca_bundle");
    let name = text(s, "server_name");
    let identity = match (certificate, key) {
        (Some(certificate), Some(key)) => {
            let names = ["mcp.server_urls client_cert", "mcp.server_urls client_key"];
            let path = certificate.place.path.clone();
            load(s, (certificate, names[0]), (key, names[1]), path, None)
        }
        (Some(alone), None) | (None, Some(alone)) => {
            let why = "mcp.server_urls client_cert and client_key must be given together";
            s.refuse(Problem::new(&alone.place, why));
            None
        }
        (None, None) => default.filter(|_| secure).cloned(),
    };
    let single = entry.truth(s, "allow_single_pin");
    let pins = match entry.take("pins") {
        None => Vec::new(),
        Some((place, node)) => {
            if !secure {
                let why = "mcp.server_urls pins has no meaning with an http:// url";
                s.refuse(Problem::new(&place, why));
            }
            let items = s.list(&place, node).unwrap_or_default();
            let given: Vec<Given> =
                items.into_iter().filter_map(|(place, node)| s.single(place, node)).collect();
            pins(s, &place, &given, single)
        }
    };
    let ca_pem =
        bundle.and_then(|given| certificates(s, &given, "mcp.server_urls ca_bundle", Holds::Authorities));
    let server_name = name.and_then(|given| server_name(s, &given));
    Peer { identity, pins, ca_pem, bundle_only: false, server_name }
}

fn server_name(s: &mut Sources<'_>, given: &Given) -> Option<String> {
    let name = given.trimmed();
    if ServerName::try_from(name).is_err() {
        let why = "must be a host name or an address, without a port";
        s.refuse(Problem::new(&given.place, why).found(show(name)));
        return None;
    }
    Some(name.to_string())
}

/// A list of pins: at least two, so that the peer can change its key, each once.
fn pins(s: &mut Sources<'_>, place: &Place, given: &[Given], single: bool) -> Vec<Digest> {
    let before = s.problems.len();
    let mut pins: Vec<Digest> = Vec::new();
    for item in given {
        let text = item.trimmed();
        match Digest::parse(text) {
            None => s.refuse(
                Problem::new(&item.place, "must be sha256/ and the base64 of a SHA-256")
                    .found(show(text))
                    .hint("tunnelward pin HOST prints the pins of a host"),
            ),
            Some(pin) if pins.contains(&pin) => {
                s.refuse(Problem::new(&item.place, "duplicate pin").found(pin.to_string()));
            }
            Some(pin) => pins.push(pin),
        }
    }
    if s.problems.len() > before {
        return pins;
    }
    let problem = match pins.len() {
        0 => Problem::new(place, "must contain pins").hint("remove the list to believe the trust roots alone"),
        1 if !single => Problem::new(place, "must contain at least two pins").found("one").hint(
            "with one, the peer cannot change its key without cutting you off; add the pin of its spare key or of \
             its authority, or set allow_single_pin: true",
        ),
        n if n > MAX_PINS => {
            Problem::new(place, format!("must contain at most {MAX_PINS} pins")).found(n.to_string())
        }
        _ => return pins,
    };
    s.refuse(problem);
    pins
}

/// The certificates of a PEM file that a setting names.
fn certificates(s: &mut Sources<'_>, given: &Given, name: &str, holds: Holds) -> Option<String> {
    let max = match holds {
        Holds::Own | Holds::Secret => MAX_CHAIN,
        Holds::Authorities => read::MAX_BUNDLE,
    };
    let (path, text) = content(s, given, name, max, holds)?;
    let found = pem::certificates(&text);
    if found.is_none() {
        let why = format!("invalid {name} {}: PEM bundle contained no certificates", show(&path));
        s.refuse(Problem::new(&given.place, why));
    }
    found
}

/// The private key of a PEM file that a setting names.
fn private_key(s: &mut Sources<'_>, given: &Given, name: &str) -> Option<Secret> {
    let (path, text) = content(s, given, name, read::MAX_SECRET, Holds::Secret)?;
    let why = match pem::private_key(&text) {
        Ok(key) => return Some(key),
        Err(why) => format!("invalid {name} {}: {why}", show(&path)),
    };
    s.refuse(Problem::new(&given.place, why));
    None
}

/// The text of the file that a setting names by its path, or by a reference to it; and that path.
fn content(
    s: &mut Sources<'_>,
    given: &Given,
    name: &str,
    max: u64,
    holds: Holds,
) -> Option<(String, Zeroizing<String>)> {
    let reference = Reference::parse(given.trimmed(), Spelling::AnyCase);
    let path = match reference {
        Some(reference) => match s.path_of(reference, &given.place, name) {
            Ok(path) => path,
            Err(problem) => {
                s.refuse(problem);
                return None;
            }
        },
        None => given.trimmed().to_string(),
    };
    let path = expand(&path, s.host);
    let shown = path.display().to_string();
    s.read.add(&path);
    // Credentials are the service manager's: it sees to who may read them.
    if matches!(holds, Holds::Secret) && !matches!(reference, Some(Reference::Credential(_))) {
        s.read.secret(&path, &given.place, name);
    }
    if !matches!(holds, Holds::Authorities) {
        s.own.add(&given.place.path, &path);
    }
    match read::text(&path, max) {
        Ok(text) => Some((shown, text)),
        Err(error) => {
            let refused = matches!(error, read::ReadError::Io(_));
            let problem = Problem::new(&given.place, format!("invalid {name} {}: {error}", show(&shown)));
            s.refuse(if refused { problem.unreadable() } else { problem });
            None
        }
    }
}
