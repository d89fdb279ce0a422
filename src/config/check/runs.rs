//! Which files a command runs: its program, the interpreter that the program's first line names, the script of an
//! interpreter, and what stands behind `env` and `sh -c`.
//!
//! It looks at names and first lines and runs nothing. What it does not find is not granted, so a wrong guess ends
//! in a refusal that the log explains, never in more than the command names.

use std::io::Read as _;
use std::path::{Path, PathBuf};

use rustix::fs::Access;

use super::program::{self, Missing};
use crate::config::problem::show;
use crate::config::shell;

/// How often a command may stand for another one.
const MAX_DEPTH: u8 = 4;
/// Longest first line that the kernel reads.
const MAX_FIRST_LINE: u64 = 256;

/// What a file is to the command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A program of its own.
    Program,
    /// A program that runs scripts.
    Interpreter,
    /// A script.
    Script,
    /// A script of node, deno or bun, which looks for packages beside itself.
    JavaScript,
}

/// A file that a command runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Run {
    /// As it is reached: absolute, symbolic links not followed.
    pub path: PathBuf,
    /// What it is.
    pub kind: Kind,
}

/// An interpreter, and which of its options matter here.
struct Interpreter {
    kind: Kind,
    /// Their value is a file that is run too.
    load: &'static [&'static str],
    /// Their value is something else.
    value: &'static [&'static str],
    /// No script follows: the code is an argument, or a module is named.
    end: &'static [&'static str],
}

const JAVASCRIPT: Interpreter = Interpreter {
    kind: Kind::JavaScript,
    load: &["-r", "--require", "--import", "--loader", "--experimental-loader", "--preload"],
    value: &["-C", "--conditions", "--cwd", "-c", "--config", "--import-map"],
    end: &["-e", "--eval", "-p", "--print", "eval"],
};
const PYTHON: Interpreter =
    Interpreter { kind: Kind::Script, load: &[], value: &["-W", "-X"], end: &["-c", "-m"] };
const RUBY: Interpreter =
    Interpreter { kind: Kind::Script, load: &[], value: &["-I", "-r", "-C", "-E"], end: &["-e"] };
const PERL: Interpreter = Interpreter { kind: Kind::Script, load: &[], value: &["-I"], end: &["-e", "-E"] };
const PHP: Interpreter = Interpreter { kind: Kind::Script, load: &[], value: &["-c", "-d"], end: &["-r"] };
// Known by its address: a constant may have several.
static SHELL: Interpreter = Interpreter { kind: Kind::Script, load: &[], value: &["-o", "+o"], end: &["-c"] };

/// The interpreter of this name; versions at its end do not count.
fn interpreter(name: &str) -> Option<&'static Interpreter> {
    match name.trim_end_matches(|c: char| c.is_ascii_digit() || c == '.') {
        "node" | "nodejs" | "deno" | "bun" => Some(&JAVASCRIPT),
        "python" | "pypy" => Some(&PYTHON),
        "ruby" => Some(&RUBY),
        "perl" => Some(&PERL),
        "php" => Some(&PHP),
        "sh" | "bash" | "dash" | "zsh" | "ksh" => Some(&SHELL),
        _ => None,
    }
}

/// The last part of a path, as text.
pub fn name(program: &str) -> &str {
    program.rsplit('/').next().unwrap_or(program)
}

/// The files of a command. `path` is the `PATH` of the child.
pub fn files(argv: &[String], path: &str, cwd: &Path) -> Vec<Run> {
    let mut found = Finder { path, cwd, runs: Vec::new(), missing: None };
    found.command(argv, 0);
    found.runs
}

/// What a command names and cannot be run: the program of another one, the interpreter of a first line, a script.
pub fn missing(argv: &[String], path: &str, cwd: &Path) -> Option<Missing> {
    let mut found = Finder { path, cwd, runs: Vec::new(), missing: None };
    found.command(argv, 0);
    found.missing
}

/// The command that really runs: behind `env` and `sh -c`.
pub fn innermost(argv: &[String]) -> Vec<String> {
    let mut command = argv.to_vec();
    for _ in 0..MAX_DEPTH {
        let Some((program, arguments)) = command.split_first() else { break };
        if name(program) == "env" {
            command = behind_env(arguments).to_vec();
        } else if interpreter(name(program)).is_some_and(|i| std::ptr::eq(i, &SHELL))
            && let Some(inner) = text_of_shell(arguments).and_then(|text| plain(text))
        {
            command = inner;
        } else {
            break;
        }
    }
    command
}

/// What a shell does itself, and a command line may begin with.
fn is_builtin(word: &str) -> bool {
    const BUILTINS: &str = ". : [ alias cd command eval exit export read return set shift source test trap type ulimit umask unset wait";
    BUILTINS.split(' ').any(|builtin| builtin == word)
}

/// The text of `sh -c TEXT`.
fn text_of_shell(arguments: &[String]) -> Option<&String> {
    let (option, rest) = arguments.split_first()?;
    let c = option.starts_with('-') && !option.starts_with("--") && option.ends_with('c');
    rest.iter().find(|a| !a.starts_with('-')).filter(|_| c)
}

/// A shell's text as the words of one command, when it is one plain command.
fn plain(text: &str) -> Option<Vec<String>> {
    if text.contains(['|', '&', ';', '<', '>', '(', ')', '$', '`', '\n', '*', '?', '[', '#']) {
        return None;
    }
    let words = shell::split(text).ok()?;
    let first = words.iter().position(|w| w != "exec" && !w.contains('='))?;
    words.get(first..).map(<[String]>::to_vec)
}

fn behind_env(arguments: &[String]) -> &[String] {
    let mut rest = arguments;
    while let Some((first, others)) = rest.split_first() {
        rest = match first.as_str() {
            "-u" | "-C" | "--unset" | "--chdir" => others.get(1..).unwrap_or_default(),
            option if option.starts_with('-') || option.contains('=') => others,
            _ => break,
        };
    }
    rest
}

struct Finder<'a> {
    path: &'a str,
    cwd: &'a Path,
    runs: Vec<Run>,
    missing: Option<Missing>,
}

impl Finder<'_> {
    fn add(&mut self, path: PathBuf, kind: Kind) {
        if !self.runs.iter().any(|run| run.path == path) {
            self.runs.push(Run { path, kind });
        }
    }

    /// Adds what a command runs. The kind that its scripts have, when its program is an interpreter.
    fn command(&mut self, argv: &[String], depth: u8) -> Option<Kind> {
        let (first, arguments) = argv.split_first()?;
        if depth > MAX_DEPTH {
            return None;
        }
        let program = match program::find(first, self.path, self.cwd) {
            Ok(program) => PathBuf::from(program),
            Err(Missing { why, fix }) => {
                self.missing = Some(Missing { why: format!("program {} {why}", show(first)), fix });
                return None;
            }
        };
        if name(first) == "env" {
            self.add(program, Kind::Program);
            return self.command(behind_env(arguments), depth.saturating_add(1));
        }
        if let Some(interpreter) = interpreter(name(first)) {
            self.add(program, Kind::Interpreter);
            let text = text_of_shell(arguments).filter(|_| std::ptr::eq(interpreter, &SHELL));
            match text.map(|text| plain(text)) {
                Some(inner) => {
                    let inner = inner.filter(|words| !words.first().is_some_and(|word| is_builtin(word)));
                    self.command(&inner.unwrap_or_default(), depth.saturating_add(1));
                }
                None => self.scripts(interpreter, arguments),
            }
            return Some(interpreter.kind);
        }
        let kind = first_line(&program).and_then(|line| self.command(&line, depth.saturating_add(1)));
        self.add(program, kind.unwrap_or(Kind::Program));
        None
    }

    fn scripts(&mut self, interpreter: &'static Interpreter, arguments: &[String]) {
        let mut rest = arguments.iter();
        let mut named = None;
        while let Some(argument) = rest.next() {
            let is = |options: &[&str]| options.contains(&argument.as_str());
            // `-uc` and `-Im` are two options in one.
            let short = argument.starts_with('-') && !argument.starts_with("--");
            let joined = |c: &str| short && argument.ends_with(c) && is_end(interpreter, c);
            if is(interpreter.load) {
                if let Some(file) = rest.next().and_then(|value| self.existing(value)) {
                    self.add(file, interpreter.kind);
                }
            } else if is(interpreter.value) {
                rest.next();
            } else if is(interpreter.end) || joined("c") || joined("m") {
                return;
            } else if !argument.starts_with('-')
                && let Some(file) = self.existing(argument)
            {
                if rustix::fs::access(&file, Access::READ_OK).is_err() {
                    let (why, fix) = ("is not readable", format!("fix: chmod +r {}", file.display()));
                    self.missing = Some(Missing { why: format!("script {} {why}", show(argument)), fix });
                }
                self.add(file, interpreter.kind);
                return;
            } else if !argument.starts_with('-') && argument.contains(['/', '.']) {
                named = named.or(Some(argument));
            }
        }
        if let Some(argument) = named {
            let (why, fix) = ("was not found", "fix: install it or correct the path".into());
            self.missing = Some(Missing { why: format!("script {} {why}", show(argument)), fix });
        }
    }

    fn existing(&self, argument: &str) -> Option<PathBuf> {
        let path = self.cwd.join(argument);
        path.is_file().then_some(path)
    }
}

fn is_end(interpreter: &Interpreter, letter: &str) -> bool {
    interpreter.end.iter().any(|option| option.strip_prefix('-') == Some(letter))
}

/// The interpreter that a program's first line names, with its argument.
fn first_line(program: &Path) -> Option<Vec<String>> {
    let mut head = Vec::new();
    std::fs::File::open(program).ok()?.take(MAX_FIRST_LINE).read_to_end(&mut head).ok()?;
    let line = head.strip_prefix(b"#!")?.split(|b| *b == b'\n').next()?;
    let line = std::str::from_utf8(line).ok()?.trim();
    Some(line.split_ascii_whitespace().map(str::to_string).collect())
}

#[cfg(test)]
#[path = "runs_tests.rs"]
mod tests;
