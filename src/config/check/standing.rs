//! Settings of which only the presence or the default matters: those of other flavours, those that are not built,
//! and those without effect.

use crate::config::keys::{self, ALL, Key, Shape, Standing};
use crate::config::problem::{Place, Problem, show};
use crate::config::sources::{Given, Sources};
use crate::config::tree::Value;

/// Checks all of them.
pub fn check(s: &mut Sources<'_>) {
    version(s);
    for key in ALL {
        match key.standing {
            Standing::Used => {}
            Standing::Unserved => unserved(s, key),
            Standing::Inert(default) => inert(s, key, default),
            Standing::FullClient(default) => full_client(s, key, default),
            Standing::Cloudflared => cloudflared(s, key),
        }
    }
    pair(s, &keys::CONTROL_CLIENT_CERT, &keys::CONTROL_CLIENT_KEY);
    pair(s, &keys::MCP_CLIENT_CERT, &keys::MCP_CLIENT_KEY);
    pair(s, &keys::PROXY_CLIENT_CERT, &keys::PROXY_CLIENT_KEY);
    ranges(s);
}

/// Members of an entry of `harpoon.targets`.
const TARGET: [&str; 4] = ["label", "url", "unix_socket", "description"];

fn version(s: &mut Sources<'_>) {
    let Some(given) = s.in_file(&keys::CONFIG_VERSION).filter(|g| g.trimmed() != "1") else { return };
    let problem = Problem::new(&given.place, "config_version must be 1").found(show(given.trimmed()));
    s.refuse(problem.hint("version 2 brings harpoon target templates, which this version does not have"));
}

/// Where a setting is given a value that is not empty, in any layer that counts.
fn present(s: &mut Sources<'_>, key: &Key) -> Option<Place> {
    if let Some(given) = s.flag(key).or_else(|| s.env(key)) {
        return Some(given.place).filter(|_| !given.text.expose().trim().is_empty());
    }
    let (place, node) = s.node(key)?;
    let empty = match &node.value {
        Value::Null => true,
        Value::Text(text) => text.expose().trim().is_empty(),
        Value::List(items) => items.is_empty(),
        Value::Map(entries) => entries.is_empty(),
    };
    (!empty).then_some(place)
}

/// Nothing that the agent does becomes other than asked for when it serves less, so the rest of a profile may run.
fn unserved(s: &mut Sources<'_>, key: &Key) {
    let Some(place) = present(s, key) else { return };
    if let Some((at, node)) = s.node(key).filter(|_| *key == keys::HARPOON_TARGETS) {
        for (at, node) in s.list(&at, node).unwrap_or_default() {
            let _ = s.map(&at, node, Some(&TARGET));
        }
    }
    s.warnings.push(format!(
        "{} is accepted, but this version does not serve the channel harpoon: its calls are answered with 501",
        place.path
    ));
}

fn inert(s: &mut Sources<'_>, key: &Key, default: Option<&str>) {
    let Some(place) = present(s, key) else { return };
    let same = match key.shape {
        Shape::Switch => Some(s.truth(key, false).to_string()) == default.map(str::to_string),
        Shape::One => s.one(key).is_some_and(|g| Some(g.trimmed()) == default),
        Shape::Many => {
            s.many(key, &[';', '\n']);
            false
        }
    };
    if !same {
        s.warnings.push(format!("{} is accepted but has no effect in this version", place.path));
    }
}

fn full_client(s: &mut Sources<'_>, key: &Key, default: &str) {
    let same = |s: &mut Sources<'_>, given: &Given| match key.shape {
        Shape::Switch => s.truth_of(given).is_none_or(|t| t.to_string() == default),
        _ => given.trimmed() == default,
    };
    if let Some(given) = s.env(key).filter(|g| !same(s, g)) {
        let name = key.env;
        let why =
            format!("runtime configuration rejects non-default full-client-only environment variable {name}");
        s.refuse(Problem::new(&given.place, why).hint("unset it"));
    }
    let in_file = s.in_file(key).filter(|g| !g.trimmed().is_empty());
    if let Some(given) = in_file.filter(|g| !same(s, g)) {
        let why = format!("runtime configuration rejects non-default {}", key.yaml);
        s.refuse(Problem::new(&given.place, why).hint("remove it"));
    }
}

fn cloudflared(s: &mut Sources<'_>, key: &Key) {
    // The presence alone counts: the variable holds a secret that was meant for another program.
    if let Some(given) = s.env_even_empty(key) {
        let why = format!("runtime configuration rejects cloudflared environment variable {}", key.env);
        s.refuse(Problem::new(&given.place, why).hint("unset it"));
    }
    if let Some((place, _)) = s.node(key) {
        s.refuse(
            Problem::new(&place, "runtime configuration rejects cloudflared settings")
                .hint("remove the section"),
        );
    }
}

fn pair(s: &mut Sources<'_>, certificate: &Key, key: &Key) {
    let place = match (present(s, certificate), present(s, key)) {
        (Some(place), None) | (None, Some(place)) => place,
        _ => return,
    };
    let why = format!("{} and {} must be given together", certificate.name(), key.name());
    s.refuse(Problem::new(&place, why));
}

/// What must be in a range although it has no effect yet, so that a profile keeps its meaning later.
fn ranges(s: &mut Sources<'_>) {
    range(s, &keys::HARPOON_MAX_RESPONSE, 1, "positive", 102_400);
    range(s, &keys::HARPOON_MAX_REDIRECTS, 0, "non-negative", 5);
}

fn range(s: &mut Sources<'_>, key: &Key, least: i64, low: &str, most: i64) {
    let Some((given, number)) = s.integer(key) else { return };
    let rule = match number {
        n if n < least => low.to_string(),
        n if n > most => format!("less than or equal to {most}"),
        _ => return,
    };
    s.refuse(Problem::new(&given.place, format!("{} must be {rule}", key.flag)).found(number.to_string()));
}
