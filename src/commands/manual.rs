//! The manual page, in roff: commands and flags from their own tables, the topics of `help` as sections. Pure.

use super::help::{Topic, topics};
use super::tables::{Command, Entry, flags};

/// tunnelward(1).
pub fn page() -> String {
    let mut out = format!(
        ".TH TUNNELWARD 1 \"\" \"tunnelward {}\"\n.SH NAME\ntunnelward \\- a hardened agent for the Secure MCP Tunnel\n",
        env!("CARGO_PKG_VERSION")
    );
    out.push_str(".SH SYNOPSIS\n.B tunnelward\n.I command\n[\n.I arguments\n]\n.SH COMMANDS\n");
    if let Some(program) = Command::of(&[]) {
        for command in &program.commands {
            describe(&mut out, &[&command.name]);
        }
    }
    out.push_str(".SH FLAGS\nWhat a command calls [flags]. Dots may be written as hyphens, and values behind an equals sign.\n");
    for (flag, help, variable) in flags() {
        tagged(&mut out, &format!("--{flag}"), &format!("{help} ({variable})"));
    }
    for topic in topics() {
        section(&mut out, &topic);
    }
    out
}

/// A command, and those below it.
fn describe(out: &mut String, words: &[&str]) {
    let Some(command) = Command::of(words) else { return };
    if command.commands.is_empty() {
        tagged(out, &format!("tunnelward {}", command.usage), &command.about);
    }
    if words != ["run"] && !command.options.is_empty() {
        out.push_str(".RS\n");
        for Entry { name, about } in &command.options {
            tagged(out, name, about);
        }
        out.push_str(".RE\n");
    }
    for below in &command.commands {
        describe(out, &[words, &[below.name.as_str()]].concat());
    }
}

fn tagged(out: &mut String, tag: &str, text: &str) {
    out.push_str(".TP\n.B ");
    escape(out, tag);
    out.push('\n');
    line(out, text);
}

fn section(out: &mut String, topic: &Topic) {
    out.push_str(".SH ");
    escape(out, &topic.name().to_uppercase());
    out.push('\n');
    for (n, part) in topic.text().split("\n\n").enumerate() {
        if part.starts_with("    ") {
            out.push_str(".PP\n.nf\n");
            part.lines().for_each(|text| line(out, text));
            out.push_str(".fi\n");
        } else {
            out.push_str(if n == 0 { "" } else { ".PP\n" });
            part.lines().for_each(|text| line(out, text));
        }
    }
}

/// A line of text, which is not a request whatever it begins with.
fn line(out: &mut String, text: &str) {
    if text.starts_with(['.', '\'']) {
        out.push_str("\\&");
    }
    escape(out, text);
    out.push('\n');
}

fn escape(out: &mut String, text: &str) {
    for c in text.chars() {
        match c {
            '\\' => out.push_str("\\e"),
            '-' => out.push_str("\\-"),
            '"' => out.push_str("\\(dq"),
            c => out.push(c),
        }
    }
}
