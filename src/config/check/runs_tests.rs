use std::os::unix::fs::PermissionsExt as _;

use super::*;

/// A machine of its own: interpreters that are empty, and a few scripts.
struct Place(tempfile::TempDir);

impl Place {
    fn new() -> Self {
        let place = Self(tempfile::tempdir().unwrap());
        for name in
            ["env", "node", "nodejs", "python3.11", "ruby", "perl", "php8.2", "sh", "deno", "bun", "tool"]
        {
            place.program(name, "");
        }
        for name in ["a.js", "hook.js", "a.py", "data", "a.sh"] {
            std::fs::write(place.0.path().join(name), "").unwrap();
        }
        place
    }
    fn program(&self, name: &str, text: &str) {
        let path = self.0.path().join(name);
        std::fs::write(&path, text).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
    }
    /// The names of what runs, with the first letter of what it is.
    fn runs(&self, command: &str) -> Vec<String> {
        let argv = shell::split(&command.replace("$D", self.0.path().to_str().unwrap())).unwrap();
        let found = files(&argv, self.0.path().to_str().unwrap(), self.0.path());
        let letter = |kind| match kind {
            Kind::Program => "p",
            Kind::Interpreter => "i",
            Kind::Script => "s",
            Kind::JavaScript => "j",
        };
        found
            .iter()
            .map(|run| format!("{}:{}", letter(run.kind), run.path.file_name().unwrap().to_str().unwrap()))
            .collect()
    }
}

#[test]
fn the_script_of_an_interpreter_is_its_first_argument_that_is_a_file() {
    let place = Place::new();
    for (command, expected) in [
        ("tool a.js", "p:tool"),
        ("$D/node $D/a.js $D/data", "i:node j:a.js"),
        ("node --max-old-space-size=100 a.js data", "i:node j:a.js"),
        ("nodejs -r ./hook.js a.js data", "i:nodejs j:hook.js j:a.js"),
        ("node --import ./hook.js a.js", "i:node j:hook.js j:a.js"),
        ("node -r missing a.js", "i:node j:a.js"),
        ("node -e code a.js", "i:node"),
        ("node --eval code a.js", "i:node"),
        ("node -- a.js", "i:node j:a.js"),
        ("node missing.js", "i:node"),
        ("deno run --allow-read a.js", "i:deno j:a.js"),
        ("bun run a.js", "i:bun j:a.js"),
        ("python3.11 -u a.py data", "i:python3.11 s:a.py"),
        ("python3.11 -W ignore a.py", "i:python3.11 s:a.py"),
        ("python3.11 -m server data", "i:python3.11"),
        ("python3.11 -Im server data", "i:python3.11"),
        ("python3.11 -c code data", "i:python3.11"),
        ("ruby -I data a.py", "i:ruby s:a.py"),
        ("perl -w a.py", "i:perl s:a.py"),
        ("php8.2 -d x=y a.py data", "i:php8.2 s:a.py"),
        ("sh a.sh data", "i:sh s:a.sh"),
        ("sh -o pipefail a.sh", "i:sh s:a.sh"),
    ] {
        assert_eq!(place.runs(command).join(" "), expected, "{command}");
    }
}

#[test]
fn what_stands_behind_env_and_a_shell_is_found() {
    let place = Place::new();
    for (command, expected) in [
        ("env A=b node a.js", "p:env i:node j:a.js"),
        ("env -i -u X -C / A=b -- node a.js", "p:env i:node j:a.js"),
        ("env env env node a.js", "p:env i:node j:a.js"),
        ("env env env env env env node a.js", "p:env"),
        ("env missing a.js", "p:env"),
        ("env", "p:env"),
        ("sh -c 'node a.js'", "i:sh i:node j:a.js"),
        ("sh -ec 'exec A=b node a.js data'", "i:sh i:node j:a.js"),
        ("sh -c 'sh -c \"node a.js\"'", "i:sh i:node j:a.js"),
        ("sh -c 'cd / && node a.js'", "i:sh"),
        ("sh -c 'node $SCRIPT' data", "i:sh"),
        ("sh -c \"unterminated 'quote\" data", "i:sh"),
    ] {
        assert_eq!(place.runs(command).join(" "), expected, "{command}");
    }
}

#[test]
fn the_first_line_of_a_script_names_its_interpreter() {
    let place = Place::new();
    let root = place.0.path().display().to_string();
    for (line, expected) in [
        ("#!$D/node\n", "i:node j:server"),
        ("#!$D/env node\n", "p:env i:node j:server"),
        ("#! $D/python3.11 -u\nprint()", "i:python3.11 s:server"),
        ("#!$D/sh -e\n", "i:sh s:server"),
        ("#!$D/tool\n", "p:tool p:server"),
        ("#!/nonexistent/x\n", "p:server"),
        ("#!", "p:server"),
        ("#!\u{fffd}", "p:server"),
        ("\x7fELF", "p:server"),
        ("#!$D/server\n", "p:server"),
    ] {
        place.program("server", &line.replace("$D", &root));
        assert_eq!(place.runs("server a.js").join(" "), expected, "{line}");
    }
    // A link finds its surroundings by its own name.
    std::os::unix::fs::symlink("node", place.0.path().join("link")).unwrap();
    assert_eq!(place.runs("link"), ["p:link"]);
}

#[test]
fn what_a_command_runs_and_is_not_there_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let script = dir.path().join("server.py");
    std::fs::write(&script, "#!/no/such/python\n").unwrap();
    std::fs::set_permissions(&script, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    let script = script.display().to_string();
    let missing = |words: &[&str]| {
        let argv: Vec<String> = words.iter().map(|word| (*word).to_string()).collect();
        missing(&argv, "/usr/bin:/bin", Path::new("/")).map(|missing| missing.why)
    };
    for good in [&["sh", "-c", "exit 0"][..], &["sh"], &["env", "A=b", "sh", "-c", "true"], &["sleep", "1"]] {
        assert_eq!(missing(good), None, "{good:?}");
    }
    assert!(missing(&["sh", "/no/such.sh"]).unwrap().starts_with("script \"/no/such.sh\" was not found"));
    assert!(
        missing(&["sh", "-c", "no-such-program x"]).unwrap().starts_with("program \"no-such-program\" was")
    );
    assert!(
        missing(&["env", "A=b", "no-such-program"]).unwrap().starts_with("program \"no-such-program\" was")
    );
    assert!(missing(&[&script]).unwrap().starts_with("program \"/no/such/python\" was not found"));
}
