//! `policy`: what may be called, inline or in a file of its own.

use std::path::Path;

use crate::config::call_policy::{self, Origin};
use crate::config::keys;
use crate::config::problem::Problem;
use crate::config::profile::expand;
use crate::config::sources::Sources;
use crate::config::tree::Value;
use crate::config::types::Binding;

/// The checked text of the policy; `None` when there is none, or when it is wrong.
pub fn policy(s: &mut Sources<'_>, bindings: &[Binding]) -> Option<String> {
    let (place, node) = s.node(&keys::POLICY)?;
    let channels: Vec<&str> = bindings.iter().map(|binding| binding.channel.as_str()).collect();
    // Without bindings, which is a problem of its own, every channel would be another.
    let known = (!channels.is_empty()).then_some(channels.as_slice());
    let checked = match &node.value {
        Value::Map(_) => call_policy::check(&node, &Origin::inline(place), known),
        Value::Text(text) => match text.expose().trim().strip_prefix("file:") {
            Some(path) => {
                let path = expand(path, s.host);
                s.own.add(&place.path, Path::new(&path));
                s.read.add(Path::new(&path));
                call_policy::file(&path, known)
            }
            None => Err(vec![Problem::new(&place, "must be a map, or file: and the path of one")]),
        },
        other => Err(vec![Problem::new(&place, "must be a map, or file: and a path").found(other.kind())]),
    };
    checked.map_err(|problems| s.problems.extend(problems)).ok()
}
