//! `log.*`.

use crate::config::keys;
use crate::config::problem::{Problem, show};
use crate::config::profile::expand;
use crate::config::sources::Sources;
use crate::config::types::Log;
use crate::log::{Format, Level};

/// The section. `tunnel-client` wants a format or a file with any level but info, because its lines have no
/// structure otherwise; ours always have one, so every level is accepted with every format.
pub fn log(s: &mut Sources<'_>) -> Log {
    let mut log = Log { level: Level::Info, format: Format::Text, file: None };
    if let Some(given) = s.one_filled(&keys::LOG_LEVEL) {
        match given.trimmed().to_ascii_lowercase().as_str() {
            "debug" => log.level = Level::Debug,
            "info" => log.level = Level::Info,
            "warn" => log.level = Level::Warn,
            "error" => log.level = Level::Error,
            other => {
                let shown = show(other);
                s.refuse(Problem::new(&given.place, "must be debug, info, warn or error").found(shown));
            }
        }
    }
    if let Some(given) = s.one_filled(&keys::LOG_FORMAT) {
        match given.trimmed() {
            "struct-text" | "text" => log.format = Format::Text,
            "json" => log.format = Format::Json,
            other => {
                let shown = show(other);
                s.refuse(Problem::new(&given.place, "must be struct-text, text or json").found(shown));
            }
        }
    }
    log.file = s.one_filled(&keys::LOG_FILE).map(|given| expand(given.trimmed(), s.host));
    if let Some(file) = &log.file {
        s.own.add(keys::LOG_FILE.yaml, file);
    }
    if s.truth(&keys::LOG_HTTP_RAW_UNSAFE, false) {
        let place = s.one(&keys::LOG_HTTP_RAW_UNSAFE).map(|g| g.place);
        if let Some(place) = place {
            let why = "log.http_raw_unsafe is refused: it would write API keys, authorizations and payloads to the log";
            s.refuse(Problem::new(&place, why).found("true").hint("set it to false or remove it"));
        }
    }
    log
}
