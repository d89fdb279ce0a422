//! One rule of a policy. Pure.

use super::{channels, limits};
use crate::policy::fault::{Faults, show};
use crate::policy::json::Node;
use crate::policy::rules::{Kind, Limits, Name, Rule};
use crate::policy::schema;

/// The keys of a rule.
pub const KEYS: [&str; 9] =
    ["id", "effect", "channels", "methods", "tools", "prompts", "resources", "arguments", "limits"];
const KINDS: [(&str, Kind); 4] = [
    ("methods", Kind::Method),
    ("tools", Kind::Tool),
    ("prompts", Kind::Prompt),
    ("resources", Kind::Resource),
];
/// Methods that name a tool, prompt or resource: the rules about those allow them.
const BY_NAME: [(&str, &str); 5] = [
    ("tools/call", "tools"),
    ("prompts/get", "prompts"),
    ("resources/read", "resources"),
    ("resources/subscribe", "resources"),
    ("resources/unsubscribe", "resources"),
];
/// Longest name of a tool, method or URI.
const MAX_NAME: usize = 2048;

/// What each MCP era needs to function, besides tools, prompts and resources themselves.
const PRESETS: [(&str, &[&str]); 2] = [
    (
        "preset:session",
        &[
            "initialize",
            "notifications/initialized",
            "notifications/cancelled",
            "notifications/progress",
            "notifications/roots/list_changed",
            "ping",
            "tools/list",
            "prompts/list",
            "resources/list",
            "resources/templates/list",
        ],
    ),
    (
        "preset:stateless",
        &[
            "server/discover",
            "notifications/cancelled",
            "notifications/progress",
            "tools/list",
            "prompts/list",
            "resources/list",
            "resources/templates/list",
        ],
    ),
];

/// Reads the rule at `at`.
pub(super) fn load(node: &Node<'_>, at: &str, known: Option<&[&str]>, faults: &mut Faults) -> Option<Rule> {
    let before = faults.0.len();
    let (mut id, mut deny) = (None, false);
    let (mut about, mut only, mut arguments, mut bounds) = (Vec::new(), None, None, Limits::default());
    for (key, at, node) in faults.map(at, node, &KEYS) {
        match key {
            "id" => id = faults.text(&at, node).map(|id| (at, id.to_string())),
            "effect" => deny = faults.word(&at, node, &[("allow", false), ("deny", true)]).unwrap_or(false),
            "channels" => only = Some(channels(&at, node, known, faults)),
            "arguments" => {
                arguments = Some((schema::load(node, &at, faults), at.clone()));
                if node.get("type").and_then(Node::text) != Some("object") {
                    faults.hinted(&at, "arguments are an object", "write type: object");
                }
            }
            "limits" => bounds = limits(&at, node, faults),
            _ => about.push((key, at, node)),
        }
    }
    match &id {
        Some((at, id)) if !is_id(id) => {
            faults.found(at, "must be up to 64 lower-case letters, digits, - and _", &show(id));
        }
        Some(_) => {}
        None => faults.hinted(at, "id is missing", "it names the rule in answers and in the log"),
    }
    let [(key, path, names)] = about.as_slice() else {
        faults.add(at, "must have one of methods, tools, prompts and resources");
        return None;
    };
    let kind = KINDS.iter().find(|(name, _)| name == key).map_or(Kind::Method, |(_, kind)| *kind);
    if let Some((_, at)) = &arguments
        && (deny || !matches!(kind, Kind::Tool | Kind::Prompt))
    {
        faults.add(at, "only a rule that allows tools or prompts can look at arguments");
    }
    if deny && bounds != Limits::default() {
        faults.add(&format!("{at}.limits"), "a rule that denies has nothing to limit");
    }
    let names = names_of(kind, deny, path, names, faults);
    let arguments = arguments.map(|(schema, _)| schema);
    let (_, id) = id?;
    (faults.0.len() == before).then_some(Rule {
        id,
        deny,
        channels: only,
        kind,
        names,
        arguments,
        limits: bounds,
    })
}

/// Without a dot, so that no rule is named like one of the agent's own.
fn is_id(id: &str) -> bool {
    let legal = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_' || b == b'-';
    id.len() <= 64 && id.bytes().all(legal)
}

fn names_of(kind: Kind, deny: bool, at: &str, node: &Node<'_>, faults: &mut Faults) -> Vec<Name> {
    let mut names = Vec::new();
    for (at, text) in faults.texts(at, node) {
        let preset = PRESETS.iter().find(|(name, _)| *name == text).filter(|_| kind == Kind::Method);
        if let Some((_, methods)) = preset {
            names.extend(methods.iter().map(|m| Name { text: (*m).into(), prefix: false, preset: true }));
            continue;
        }
        let prefix = if kind == Kind::Resource { text.strip_suffix('*') } else { None };
        let name = Name { text: prefix.unwrap_or(text).into(), prefix: prefix.is_some(), preset: false };
        let by_name =
            BY_NAME.iter().find(|(method, _)| *method == text).filter(|_| kind == Kind::Method && !deny);
        if text.len() > MAX_NAME || text.chars().any(char::is_control) {
            faults
                .add(&at, &format!("must be a name of at most {MAX_NAME} bytes without control characters"));
        } else if name.text.contains('*') {
            let why = "a * is not enforced here: names are exact, and URIs may end with /*";
            faults.found(&at, why, &show(text));
        } else if text.starts_with("preset:") {
            let presets: Vec<&str> = PRESETS.iter().map(|(name, _)| *name).collect();
            faults.found(&at, &format!("must be one of {}", presets.join(", ")), &show(text));
        } else if let Some((_, rule)) = by_name {
            let hint = format!("write a rule with {rule}");
            faults.hinted(&at, &format!("{text} is allowed by the name of what it uses"), &hint);
        } else if name.prefix && !is_boundary(&name.text) {
            let why = "a prefix must begin with scheme:// and end with / before the *, or its neighbours would be allowed";
            faults.found(&at, why, &show(text));
        } else {
            names.push(name);
        }
    }
    names
}

/// Whether a prefix ends where a name ends, in a form that has only one spelling.
fn is_boundary(prefix: &str) -> bool {
    let rest = prefix.split_once("://").map(|(_, rest)| rest.strip_prefix('/').unwrap_or(rest));
    prefix.ends_with('/') && rest.is_some_and(crate::policy::reach::is_plain)
}
