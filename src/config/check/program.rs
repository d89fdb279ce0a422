//! Finding the program of a command, as `execvp` would with the child's `PATH`, and saying what is amiss.

use std::path::{Path, PathBuf};

use rustix::fs::Access;

/// Why a program cannot be started.
#[derive(Debug, PartialEq, Eq)]
pub struct Missing {
    /// What is amiss.
    pub why: String,
    /// What to do.
    pub fix: String,
}

enum Candidate {
    Good,
    Absent,
    NotExecutable,
}

/// The absolute path of a program. A name with a slash is taken relative to the working directory of the child, any
/// other is looked for in the absolute directories of `path`.
pub fn find(name: &str, path: &str, cwd: &Path) -> Result<String, Missing> {
    let looked: Vec<PathBuf> = if name.contains('/') {
        vec![cwd.join(name)]
    } else {
        path.split(':').map(Path::new).filter(|d| d.is_absolute()).map(|d| d.join(name)).collect()
    };
    let mut unusable = None;
    for candidate in &looked {
        match look(candidate) {
            Candidate::Good => {
                return candidate.to_str().map(str::to_string).ok_or_else(|| Missing {
                    why: "has a path that is not UTF-8".into(),
                    fix: "move it".into(),
                });
            }
            Candidate::NotExecutable => unusable = unusable.or(Some(candidate)),
            Candidate::Absent => {}
        }
    }
    if let Some(file) = unusable {
        let shown = file.display();
        return Err(Missing {
            why: format!("is not executable: {shown}"),
            fix: format!("fix: chmod +x {shown}"),
        });
    }
    let (place, fix) = if name.contains('/') {
        (
            looked.first().map(|p| p.display().to_string()).unwrap_or_default(),
            "fix: install it or correct the path",
        )
    } else {
        (path.to_string(), "fix: install it, give its absolute path, or set PATH in the env of the command")
    };
    Err(Missing { why: format!("was not found; looked in {place}"), fix: fix.into() })
}

fn look(path: &Path) -> Candidate {
    match std::fs::metadata(path) {
        Ok(found) if !found.is_file() => Candidate::Absent,
        Ok(_) if rustix::fs::access(path, Access::EXEC_OK).is_ok() => Candidate::Good,
        Ok(_) => Candidate::NotExecutable,
        Err(_) => Candidate::Absent,
    }
}

#[cfg(test)]
#[path = "program_tests.rs"]
mod tests;
