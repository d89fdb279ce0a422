//! `mcp.*` scalars, `limits`, stopping and restarting.

use std::time::Duration;

use super::headers;
use crate::config::keys::{self, Key};
use crate::config::problem::{Problem, show};
use crate::config::sources::Sources;
use crate::config::types::{Limits, Mcp, Restart, Stop};

/// Bounds of every setting in bytes.
const BYTES: std::ops::RangeInclusive<i64> = 4096..=4_294_967_296;

/// `mcp.*` without the bindings.
pub fn mcp(s: &mut Sources<'_>) -> Mcp {
    let no_ttl = "mcp.connection-max-ttl must be positive";
    let no_wait = "mcp.startup-wait-timeout must not be negative";
    let mut ttl = Duration::from_secs(600);
    match s.duration(&keys::MCP_CONNECTION_MAX_TTL, no_ttl) {
        Some((given, value)) if value.is_zero() => {
            s.refuse(Problem::new(&given.place, no_ttl).found(show(given.trimmed())));
        }
        Some((_, value)) => ttl = value,
        None => {}
    }
    let startup_wait =
        s.duration(&keys::MCP_STARTUP_WAIT_TIMEOUT, no_wait).map_or(Duration::ZERO, |(_, wait)| wait);
    if !headers::read(s, &keys::MCP_DISCOVERY_EXTRA_HEADERS, headers::For::Mcp).is_empty() {
        s.warnings.push("mcp.discovery_extra_headers is accepted but has no effect in this version".into());
    }
    Mcp {
        extra_headers: headers::kept(headers::read(s, &keys::MCP_EXTRA_HEADERS, headers::For::Mcp)),
        startup_wait,
        connection_max_ttl: ttl,
        max_concurrent_requests: max_concurrent(s),
        stdio_send_initialized: s.truth(&keys::MCP_STDIO_INITIALIZED, false),
    }
}

fn max_concurrent(s: &mut Sources<'_>) -> usize {
    const DEFAULT: usize = 10;
    let Some((given, number)) = s.integer(&keys::MCP_MAX_CONCURRENT) else { return DEFAULT };
    let rule = match usize::try_from(number) {
        Ok(n) if (1..=10_000).contains(&n) => return n,
        Ok(n) if n > 0 => "less than or equal to 10000",
        _ => "greater than zero",
    };
    let why = format!("mcp.max-concurrent-requests must be {rule}");
    s.refuse(Problem::new(&given.place, why).found(number.to_string()));
    DEFAULT
}

/// `limits`.
pub fn limits(s: &mut Sources<'_>) -> Limits {
    let default = Limits::default();
    let limits = Limits {
        poll_body_bytes: s.within(&keys::LIMIT_POLL_BODY, BYTES, default.poll_body_bytes),
        answer_bytes: s.within(&keys::LIMIT_ANSWER, BYTES, default.answer_bytes),
        in_flight_bytes: s.within(&keys::LIMIT_IN_FLIGHT, BYTES, default.in_flight_bytes),
    };
    let largest = limits.poll_body_bytes.max(limits.answer_bytes);
    if limits.in_flight_bytes < largest {
        let key = [keys::LIMIT_IN_FLIGHT, keys::LIMIT_POLL_BODY, keys::LIMIT_ANSWER];
        if let Some((place, _)) = key.iter().find_map(|k| s.node(k)) {
            let why =
                "limits.in_flight_bytes must not be below limits.poll_body_bytes and limits.answer_bytes";
            s.refuse(Problem::new(&place, why).found(format!("{} below {largest}", limits.in_flight_bytes)));
        }
    }
    limits
}

/// `drain_timeout`, `poll_grace`.
pub fn stop(s: &mut Sources<'_>) -> Stop {
    let hour = Duration::from_secs(3600);
    let before = s.problems.len();
    let stop = Stop {
        drain_timeout: bounded(
            s,
            &keys::DRAIN_TIMEOUT,
            Duration::from_secs(1),
            hour,
            Duration::from_secs(45),
        ),
        poll_grace: bounded(s, &keys::POLL_GRACE, Duration::ZERO, hour, Duration::from_secs(5)),
    };
    if s.problems.len() == before && stop.poll_grace > stop.drain_timeout {
        let place = s.node(&keys::POLL_GRACE).or_else(|| s.node(&keys::DRAIN_TIMEOUT));
        if let Some((place, _)) = place {
            let found = format!("{:?} above {:?}", stop.poll_grace, stop.drain_timeout);
            s.refuse(Problem::new(&place, "poll_grace must not exceed drain_timeout").found(found));
        }
    }
    stop
}

/// `restart`.
pub fn restart(s: &mut Sources<'_>) -> Restart {
    let default = Restart::default();
    let before = s.problems.len();
    let (ms, hour, day) = (Duration::from_millis(1), Duration::from_secs(3600), Duration::from_secs(86_400));
    let times = s.within(&keys::RESTART_TIMES, 1..=1000, 5);
    let restart = Restart {
        times: u32::try_from(times).unwrap_or(default.times),
        window: bounded(s, &keys::RESTART_WINDOW, Duration::from_secs(1), day, default.window),
        backoff_min: bounded(s, &keys::RESTART_BACKOFF_MIN, ms, hour, default.backoff_min),
        backoff_max: bounded(s, &keys::RESTART_BACKOFF_MAX, ms, hour, default.backoff_max),
    };
    if s.problems.len() == before && restart.backoff_min > restart.backoff_max {
        let place = s.node(&keys::RESTART_BACKOFF_MIN).or_else(|| s.node(&keys::RESTART_BACKOFF_MAX));
        if let Some((place, _)) = place {
            let found = format!("{:?} above {:?}", restart.backoff_min, restart.backoff_max);
            s.refuse(
                Problem::new(&place, "restart.backoff_min must not exceed restart.backoff_max").found(found),
            );
        }
    }
    restart
}

/// A duration of our own settings, within bounds.
pub fn bounded(
    s: &mut Sources<'_>,
    key: &Key,
    least: Duration,
    most: Duration,
    default: Duration,
) -> Duration {
    let why = format!("must be between {least:?} and {most:?}");
    match s.duration(key, &why) {
        Some((_, value)) if (least..=most).contains(&value) => value,
        Some((given, _)) => {
            s.refuse(Problem::new(&given.place, why).found(show(given.trimmed())));
            default
        }
        None => default,
    }
}
