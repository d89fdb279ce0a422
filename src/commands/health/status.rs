//! `status`: how a running service is, for a person or as it is, once or again and again.

use std::io::{self, IsTerminal as _, Write as _};
use std::time::Duration;

use super::{Locator, StatusCommand, ask, complain, json, plain};
use crate::exit::Exit;
use crate::worker::inquire::{Found, Page};

/// How often it is shown again unless that is said.
const EVERY: u16 = 2;
/// Moves to the corner and clears the screen.
const CLEAR: &str = "\u{1b}[H\u{1b}[2J";

/// Shows it. With `--watch` until a signal ends the process, or nobody reads.
pub fn status(wanted: &StatusCommand, find: impl Fn() -> Locator) -> Exit {
    let mut out = io::stdout().lock();
    let clear = if wanted.watch && !wanted.json && out.is_terminal() { CLEAR } else { "" };
    let page = if wanted.json { Page::Document } else { Page::Board };
    loop {
        // A service that is started again may be somewhere else.
        let found = ask(&find(), page);
        let exit = if found.error.is_none() && found.ready { Exit::Ok } else { Exit::Unwell };
        let mut text = shown(&found, !wanted.watch);
        if wanted.json && found.error.is_some() {
            complain(&text);
            text.clear();
        } else if wanted.watch && !wanted.json {
            text.push('\n');
        }
        let line = if text.is_empty() { "" } else { "\n" };
        let written = write!(out, "{clear}{text}{line}").and_then(|()| out.flush());
        if !wanted.watch || written.is_err() {
            return exit;
        }
        std::thread::sleep(Duration::from_secs(wanted.every.unwrap_or(EVERY).into()));
    }
}

fn shown(found: &Found, pretty: bool) -> String {
    match (&found.error, &found.value) {
        (Some(why), _) => format!("NO STATUS: {}", plain(why)),
        (None, Some(document)) => json(document, pretty),
        (None, None) => found.text.lines().map(plain).collect::<Vec<_>>().join("\n"),
    }
}
