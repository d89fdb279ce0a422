//! Completion in a shell: the scripts that ask, and the answers.
//!
//! Pure. The scripts hold no names: each time, they ask the program that is to be run (`tunnelward complete WORDS`, the last
//! word being the one that is begun), so they fit every version of it.

use super::cli::Cli;
use super::help;
use super::tables::{Command, flags};

const BASH: &str = r#"# bash completion of tunnelward: source it, or put it in /usr/share/bash-completion/completions/tunnelward
_tunnelward() {
    local IFS=$'\n'
    COMPREPLY=($("$1" complete "${COMP_WORDS[@]:1:COMP_CWORD}" 2>/dev/null | cut -f1))
    [ ${#COMPREPLY[@]} -gt 0 ] || compopt -o default
}
complete -F _tunnelward tunnelward
"#;

const ZSH: &str = r#"#compdef tunnelward
# zsh completion of tunnelward: put it in a directory of $fpath as _tunnelward, or source it after compinit
_tunnelward() {
    local -a found
    local line
    for line in "${(@f)$("${words[1]}" complete "${(@)words[2,CURRENT]}" 2>/dev/null)}"; do
        [[ -z $line ]] || found+=("${line%%$'\t'*}:${line#*$'\t'}")
    done
    if (( $#found )); then _describe tunnelward found; else _files; fi
}
if [ "$funcstack[1]" = _tunnelward ]; then _tunnelward "$@"; else compdef _tunnelward tunnelward; fi
"#;

const FISH: &str = r"# fish completion of tunnelward: put it in /usr/share/fish/vendor_completions.d/tunnelward.fish
function __tunnelward_complete
    set -l words (commandline -opc)
    set -l found ($words[1] complete $words[2..-1] (commandline -ct | string collect --allow-empty) 2>/dev/null | string match -r '.+')
    if test (count $found) -gt 0
        printf '%s\n' $found
    else
        __fish_complete_path (commandline -ct)
    end
end
complete -c tunnelward -f -a '(__tunnelward_complete)'
";

/// The command that the parser of commands does not know as one.
const HELP: &str = "help";

/// The shells that there are scripts for.
const SHELLS: [(&str, &str); 3] = [("bash", BASH), ("zsh", ZSH), ("fish", FISH)];

/// The script of a shell.
pub fn script(shell: &str) -> Cli {
    match SHELLS.iter().find(|(name, _)| *name == shell) {
        Some((_, script)) => Cli::Print((*script).into()),
        None => Cli::Usage("completions are there for bash, zsh and fish".into()),
    }
}

/// What the last word may become: a line for each, with what it means behind a tab.
pub fn candidates(words: &[&str]) -> String {
    let (begun, before) = words.split_last().unwrap_or((&"", &[]));
    let asks = before.first() == Some(&HELP);
    let before = if asks { before.get(1..).unwrap_or_default() } else { before };
    let mut path: Vec<&str> = Vec::new();
    let Some(mut command) = Command::of(&[]) else { return String::new() };
    let mut last = "";
    for word in before {
        last = word;
        if command.commands.iter().any(|below| below.name == *word) {
            path.push(word);
            match Command::of(&path) {
                Some(below) => command = below,
                None => return String::new(),
            }
        }
    }
    let mut out = String::new();
    let mut add = |name: &str, about: &str| {
        if name.starts_with(begun) {
            let about = about.split(';').next().unwrap_or_default();
            out.push_str(&format!("{name}\t{about}\n"));
        }
    };
    if asks && path.is_empty() {
        help::topics().iter().for_each(|topic| add(topic.name(), topic.summary()));
        add("man", "the manual page, in roff");
    }
    if last.starts_with('-') && !last.contains('=') && command.takes_value(last) {
        return String::new();
    }
    if begun.starts_with('-') {
        let run = path == ["run"];
        command.options.iter().filter(|_| !run).for_each(|option| add(&option.name, &option.about));
        for (flag, help, _) in flags().filter(|_| command.with_flags) {
            add(&format!("--{flag}"), help);
        }
        add("--help", "display usage information");
    } else {
        if path.is_empty() && !asks {
            add(HELP, "explain a topic or a command");
        }
        match path.as_slice() {
            ["completions"] => SHELLS.iter().for_each(|(shell, _)| add(shell, "")),
            _ => command.commands.iter().for_each(|below| add(&below.name, &below.about)),
        }
    }
    out
}

#[cfg(test)]
#[path = "complete_tests.rs"]
mod tests;
