//! Where the things lie that a program or script needs: its directory, its virtual environment, its packages.
//!
//! It says what is wanted; `child` decides what of it is granted.

use std::path::{Path, PathBuf};

use super::runs::{Kind, Run};
use crate::config::read;

/// Largest `pyvenv.cfg`.
const MAX_PYVENV: u64 = 64 * 1024;

/// A directory, and the file that is granted in its place when the directory cannot be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wanted {
    /// Without symbolic links.
    pub directory: PathBuf,
    /// Without symbolic links; `None` when the directory is a guess that nothing is lost by.
    pub file: Option<PathBuf>,
}

/// What one file needs.
pub fn wanted(run: &Run) -> Vec<Wanted> {
    let mut wanted = Vec::new();
    let Ok(target) = run.path.canonicalize() else { return wanted };
    let parent = run.path.parent().and_then(|parent| parent.canonicalize().ok());
    // Where it is reached, and where it is: a link in `.venv/bin` or `node_modules/.bin` finds its surroundings by its
    // own place, a script of node by that of its target.
    let link = match (parent, run.path.file_name()) {
        (Some(parent), Some(name)) => parent.join(name),
        _ => target.clone(),
    };
    for place in [&link, &target] {
        beside(place, &target, &mut wanted);
        if run.kind == Kind::JavaScript {
            packages(place, &mut wanted);
        }
    }
    if run.kind == Kind::Interpreter
        && let Some(prefix) = prefix(&target)
    {
        wanted.push(Wanted { directory: prefix, file: Some(target) });
    }
    wanted
}

/// The directory of a file, the outermost `node_modules` that it is in, and its virtual environment.
fn beside(place: &Path, target: &Path, wanted: &mut Vec<Wanted>) {
    let file = || Some(target.to_path_buf());
    let Some(directory) = place.parent() else { return };
    wanted.push(Wanted { directory: directory.to_path_buf(), file: file() });
    let modules: Vec<&Path> = place.ancestors().filter(|a| a.ends_with("node_modules")).collect();
    if let Some(outermost) = modules.last() {
        wanted.push(Wanted { directory: outermost.to_path_buf(), file: file() });
    }
    let environment = directory.parent().filter(|_| directory.ends_with("bin"));
    let Some(environment) = environment else { return };
    let Ok(text) = read::text(&environment.join("pyvenv.cfg"), MAX_PYVENV) else { return };
    wanted.push(Wanted { directory: environment.to_path_buf(), file: file() });
    let mut lines = text.lines().filter_map(|line| line.split_once('='));
    let home = lines.find(|(key, _)| key.trim() == "home").map(|(_, value)| PathBuf::from(value.trim()));
    if let Some(home) = home.and_then(|home| home.canonicalize().ok()) {
        // The standard library lies beside the `bin` that `home` names.
        let base = home.parent().filter(|_| home.ends_with("bin")).unwrap_or(&home);
        wanted.push(Wanted { directory: base.to_path_buf(), file: file() });
    }
}

/// The package of a script, whose `package.json` says how it is read, and every `node_modules` on the way up, where
/// its imports are looked for.
fn packages(place: &Path, wanted: &mut Vec<Wanted>) {
    let above = || place.ancestors().skip(1);
    if let Some(root) = above().find(|directory| directory.join("package.json").is_file()) {
        let file = root.join("package.json").canonicalize().ok();
        wanted.push(Wanted { directory: root.to_path_buf(), file });
    }
    for modules in above().map(|directory| directory.join("node_modules")) {
        if let Some(directory) = modules.canonicalize().ok().filter(|m| m.is_dir()) {
            wanted.push(Wanted { directory, file: None });
        }
    }
}

/// Where an interpreter is installed: the directory that holds its `bin` and its `lib`. `~/.local` is that of many
/// things at once.
fn prefix(target: &Path) -> Option<PathBuf> {
    let bin = target.parent().filter(|bin| bin.ends_with("bin"))?;
    let prefix = bin.parent()?;
    let own = prefix.join("lib").is_dir() && !prefix.ends_with(".local");
    own.then(|| prefix.to_path_buf())
}
