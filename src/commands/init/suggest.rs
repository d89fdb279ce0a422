//! The policy to start from: what `policy suggest` says about the profile that was just made, in a file beside it.

use std::collections::BTreeMap;
use std::path::Path;

use super::place::Place;
use crate::broker::spawn::Images;

/// How the suggestion says that a server did not take part.
const SILENT: &str = "\n  # it does not ";

/// Asks, in a process of its own that confines itself, and writes what it hears. What to tell of it.
pub fn policy(
    place: &mut Place,
    (profile, path): (&Path, &Path),
    force: bool,
    env: &BTreeMap<String, String>,
) -> (&'static str, String) {
    let shown = profile.display().to_string();
    let later = |why: &str| {
        let command = format!("tunnelward policy suggest --config {shown} > {}", path.display());
        ("Policy", format!("none: {why}. Later: {command}"))
    };
    let asked = Images::default().output(&["policy", "suggest", "--config", &shown], env);
    let (good, text, complaint) = match asked {
        Ok(output) => (output.status.success(), output.stdout, output.stderr),
        Err(e) => return later(&format!("the MCP server could not be asked ({e})")),
    };
    let text = String::from_utf8_lossy(&text).into_owned();
    if !good || text.contains(SILENT) {
        let complaint = String::from_utf8_lossy(&complaint).trim().replace('\n', "; ");
        let why = if good || complaint.is_empty() { "it does not answer".to_owned() } else { complaint };
        return later(&format!("the MCP server could not be asked ({why})"));
    }
    match place.write(path, text.as_bytes(), force) {
        Ok(()) => {
            place.keep();
            let how =
                "read it, then take the # off `policy` in the profile; until then every call is allowed";
            ("Policy", format!("{}: {how}", path.display()))
        }
        Err((_, why)) => later(&why),
    }
}
