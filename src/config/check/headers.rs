//! Header maps of the operator.

use crate::config::hdr;
use crate::config::keys::Key;
use crate::config::problem::{Place, Problem, show};
use crate::config::reference::{Reference, Spelling};
use crate::config::sources::{Given, Layer, Sources};
use crate::config::types::{Kept, Secret};

/// Most headers of one map.
const MAX_HEADERS: usize = 64;
/// Most bytes of names and values of one map: what common servers take as a whole.
const MAX_BYTES: usize = 16 * 1024;

/// Where the headers go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum For {
    /// To the control plane, which has reserved names.
    ControlPlane,
    /// To MCP servers.
    Mcp,
}

/// The headers for the life of the process.
pub fn kept(headers: Vec<(String, Secret)>) -> Vec<(String, Kept)> {
    headers.into_iter().map(|(name, value)| (name, value.into())).collect()
}

/// The headers of a setting. Variants of a name with one value become one header.
pub fn read(s: &mut Sources<'_>, key: &Key, leg: For) -> Vec<(String, Secret)> {
    let mut headers: Vec<(String, Secret)> = Vec::new();
    for (name, value) in lines(s, key) {
        let (place, source) = (&value.place, value.place.path.clone());
        if let Some(problem) = bad_name(&name, &source, place, leg) {
            s.refuse(problem);
            continue;
        }
        let Some(text) = resolve(s, &name, &value, &source) else { continue };
        match headers.iter().find(|(n, _)| n.eq_ignore_ascii_case(&name)) {
            None => headers.push((name, text)),
            Some((_, known)) if *known == text => {}
            Some(_) => {
                let why = format!(
                    "{source} contains conflicting values for case-insensitive HTTP header \"{name}\""
                );
                s.refuse(Problem::new(place, why).hint("keep one of them"));
            }
        }
    }
    let bytes =
        headers.iter().map(|(n, v)| n.len().saturating_add(v.expose().len())).fold(0, usize::saturating_add);
    if headers.len() > MAX_HEADERS || bytes > MAX_BYTES {
        let why = format!("at most {MAX_HEADERS} headers with {MAX_BYTES} bytes together are possible");
        s.refuse(
            Problem::new(&Place::named(key.name()), why)
                .found(format!("{} with {bytes} bytes", headers.len())),
        );
    }
    headers
}

/// Names and values as given. The place of a value has the name of its source, not that of the header.
fn lines(s: &mut Sources<'_>, key: &Key) -> Vec<(String, Given)> {
    let above = s.flag(key).is_some() || s.env(key).is_some();
    if above {
        let given = s.many(key, &[',', ';']).unwrap_or_default();
        let mut lines = Vec::new();
        for item in given {
            match hdr::split(item.text.expose()) {
                Some((name, value)) => {
                    let text = Secret::new(value.to_string());
                    lines.push((name.to_string(), Given { text, ..item.clone() }));
                }
                None if item.layer == Layer::Env && item.trimmed().is_empty() => {}
                // The text is not shown: what has no colon may well be a value.
                None => s.refuse(Problem::new(&item.place, "invalid header: expected 'Key: Value'")),
            }
        }
        return lines;
    }
    let Some((place, node)) = s.node(key) else { return Vec::new() };
    let entries = s.map(&place, node, None).unwrap_or_default();
    let mut lines = Vec::new();
    for (name, at, node) in entries {
        if let Some(given) = s.single(Place { path: key.yaml.into(), ..at }, node) {
            let text = Secret::new(given.trimmed().to_string());
            lines.push((name.trim().to_string(), Given { text, layer: Layer::File, ..given }));
        }
    }
    lines
}

fn bad_name(name: &str, source: &str, place: &Place, leg: For) -> Option<Problem> {
    if !hdr::is_name(name) {
        return Some(Problem::new(
            place,
            format!("{source} contains invalid HTTP header name {}", show(name)),
        ));
    }
    if leg == For::ControlPlane && hdr::is_reserved(name) {
        let why = format!(
            "{source} \"{name}\" cannot override control-plane authentication or client metadata headers"
        );
        return Some(Problem::new(place, why));
    }
    if hdr::is_framing(name) {
        let why = format!("{source} \"{name}\" belongs to the connection and cannot be configured");
        return Some(Problem::new(place, why).hint("remove it"));
    }
    None
}

fn resolve(s: &mut Sources<'_>, name: &str, value: &Given, source: &str) -> Option<Secret> {
    let text = match Reference::parse(value.text.expose(), Spelling::AnyCase) {
        None => value.text.clone(),
        Some(reference) => match s.resolve(reference, &value.place, source) {
            Ok(resolved) if resolved.expose().contains(['\r', '\n']) => {
                let shown = show(value.text.expose());
                let why =
                    format!("invalid {source} reference {shown}: resolved value cannot contain CR or LF");
                s.refuse(Problem::new(&value.place, why));
                return None;
            }
            Ok(resolved) => resolved,
            Err(problem) => {
                s.refuse(problem);
                return None;
            }
        },
    };
    if hdr::is_value(text.expose()) {
        return Some(text);
    }
    s.refuse(Problem::new(
        &value.place,
        format!("{source} contains invalid HTTP header value for \"{name}\""),
    ));
    None
}
