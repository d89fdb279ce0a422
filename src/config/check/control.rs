//! `control_plane.*`.

use std::collections::BTreeSet;
use std::time::Duration;

use super::proxy::Proxies;
use super::{headers, tls};
use crate::config::keys;
use crate::config::problem::{Place, Problem, show};
use crate::config::reference::{Reference, Spelling};
use crate::config::sources::{Given, Layer, Sources};
use crate::config::types::{Channel, Control, HttpUrl, Secret};
use crate::config::{hdr, url};

const DEFAULT_ORIGIN: &str = "https://api.openai.com";
/// Where the control plane of the default origin takes client certificates.
const MTLS_ORIGIN: &str = "https://mtls.api.openai.com";
const KEY_REQUIRED: &str = "control plane API key is required; set --control-plane.api-key (env:/file:) or \
    CONTROL_PLANE_API_KEY or OPENAI_API_KEY";
const ID_REQUIRED: &str = "tunnel ID is required; set --control-plane.tunnel-id or CONTROL_PLANE_TUNNEL_ID";
/// Longest key; real ones have fewer than 200 characters.
const MAX_KEY: usize = 4096;
/// Bound on poll timeout plus guardrail.
const MAX_DEADLINE: Duration = Duration::from_secs(600);

/// The bearer key and the variable it came from, which no child may get.
pub struct ApiKey {
    secret: Secret,
    pub variable: Option<String>,
}

/// The key, from the first of: flag, `CONTROL_PLANE_API_KEY` (also when empty, which is an error), file,
/// `OPENAI_API_KEY`.
pub fn api_key(s: &mut Sources<'_>) -> Option<ApiKey> {
    let found = find_key(s);
    match found {
        Ok(key) => Some(key),
        Err(problem) => {
            s.refuse(problem);
            None
        }
    }
}

fn find_key(s: &mut Sources<'_>) -> Result<ApiKey, Problem> {
    if let Some(given) = s.flag(&keys::API_KEY) {
        return match Reference::parse(given.text.expose(), Spelling::Exact) {
            Some(reference) => resolve_key(s, &given, reference, "--control-plane.api-key"),
            None => {
                let why = "invalid control-plane.api-key: value must be prefixed with \"env:\" or \"file:\"";
                Err(Problem::new(&given.place, why)
                    .hint("arguments are readable for every user of the machine"))
            }
        };
    }
    if let Some(given) = s.env_even_empty(&keys::API_KEY) {
        if given.trimmed().is_empty() {
            return Err(Problem::new(&given.place, KEY_REQUIRED)
                .found("CONTROL_PLANE_API_KEY set but empty")
                .hint("give it a value or unset it"));
        }
        return checked_key(&given.place, given.trimmed(), Some(keys::API_KEY.env));
    }
    if let Some(given) = s.in_file(&keys::API_KEY).filter(|g| !g.trimmed().is_empty()) {
        return match Reference::parse(given.text.expose(), Spelling::AnyCase) {
            Some(reference) => resolve_key(s, &given, reference, "control_plane.api_key"),
            None => checked_key(&given.place, given.trimmed(), None),
        };
    }
    match s.host.env.get("OPENAI_API_KEY").map(|v| v.trim()).filter(|v| !v.is_empty()) {
        Some(value) => checked_key(&Place::named("OPENAI_API_KEY"), value, Some("OPENAI_API_KEY")),
        None => Err(Problem::new(&Place::named("control_plane.api_key"), KEY_REQUIRED)),
    }
}

fn resolve_key(
    s: &mut Sources<'_>,
    given: &Given,
    reference: Reference<'_>,
    user: &str,
) -> Result<ApiKey, Problem> {
    let secret = s.resolve(reference, &given.place, user)?;
    let variable = if let Reference::Env(name) = reference { Some(name) } else { None };
    checked_key(&given.place, secret.expose(), variable)
}

fn checked_key(place: &Place, key: &str, variable: Option<&str>) -> Result<ApiKey, Problem> {
    let legal = |b: u8| b.is_ascii_alphanumeric() || b == b'_' || b == b'-';
    if key.len() > MAX_KEY || !key.bytes().all(legal) {
        return Err(Problem::new(place, "control plane API key is malformed")
            .hint("a key has only letters, digits, '-' and '_'; look for white space or quotes inside it"));
    }
    Ok(ApiKey { secret: Secret::new(key.to_string()), variable: variable.map(str::to_string) })
}

/// The allowlist of channels, sorted; `None` when there is none.
pub fn poll_channels(s: &mut Sources<'_>) -> Option<Vec<Channel>> {
    let given = s.many(&keys::POLL_CHANNELS, &[','])?;
    let mut channels = BTreeSet::new();
    let place = given.first().map(|g| g.place.clone());
    let place = place.or_else(|| s.node(&keys::POLL_CHANNELS).map(|n| n.0));
    for item in &given {
        let text = item.text.expose();
        let problem = match Channel::normalise(text) {
            _ if text.trim().is_empty() => "control-plane.poll-channel contains an empty channel".to_string(),
            None => format!("control-plane.poll-channel {} must match ^[a-z0-9_-]{{1,64}}$", show(text)),
            Some(c) if c.as_str() != text => {
                format!("control-plane.poll-channel {} is not canonical; use \"{c}\"", show(text))
            }
            Some(c) if channels.contains(&c) => format!("duplicate control-plane.poll-channel \"{c}\""),
            Some(c) => {
                channels.insert(c);
                continue;
            }
        };
        s.refuse(Problem::new(&item.place, problem));
    }
    if given.is_empty() {
        let place = place.unwrap_or_else(|| Place::named(keys::POLL_CHANNELS.yaml));
        s.refuse(
            Problem::new(&place, "control-plane.poll-channel must contain at least one channel")
                .hint("remove the list to poll for all channels"),
        );
    }
    Some(channels.into_iter().collect())
}

/// The section, once key and allowlist are known. `None` when something in it is wrong.
pub fn control(
    s: &mut Sources<'_>,
    key: Option<ApiKey>,
    poll_channels: Option<Vec<Channel>>,
    bundle: bool,
    proxies: &Proxies,
) -> Option<Control> {
    let origin = origin(s);
    let route = origin.as_ref().map(|origin| proxies.control(s, origin));
    let peer = tls::control(s, origin.as_ref(), bundle);
    let path_prefix = path_prefix(s);
    let tunnel_id = tunnel_id(s);
    let organization = organization(s);
    let extra_headers = headers::read(s, &keys::CONTROL_EXTRA_HEADERS, headers::For::ControlPlane);
    let (poll_timeout, poll_guardrail) = poll_times(s);
    let max_inflight = max_inflight(s);
    Some(Control {
        origin: origin?,
        route: route?,
        path_prefix: path_prefix?,
        tunnel_id: tunnel_id?,
        organization,
        api_key: key?.secret.into(),
        extra_headers: headers::kept(extra_headers),
        poll_timeout,
        poll_guardrail,
        max_inflight,
        poll_channels,
        peer,
    })
}

/// A value that may be a reference in the file, but not in a flag or variable.
fn referable(s: &mut Sources<'_>, key: &keys::Key) -> Option<Result<Given, ()>> {
    let mut given = s.one(key)?;
    let reference = Reference::parse(given.text.expose(), Spelling::AnyCase);
    match reference.filter(|_| given.layer == Layer::File).map(|r| s.resolve(r, &given.place, key.yaml)) {
        None => {}
        Some(Ok(text)) => given.text = text,
        Some(Err(problem)) => {
            s.refuse(problem);
            return Some(Err(()));
        }
    }
    Some(Ok(given))
}

/// Where the control plane is.
pub fn origin(s: &mut Sources<'_>) -> Option<HttpUrl> {
    let given = match referable(s, &keys::BASE_URL) {
        Some(Err(())) => return None,
        Some(Ok(given)) if !given.trimmed().is_empty() => given,
        _ => return url::origin(reached(s, DEFAULT_ORIGIN)).ok(),
    };
    match url::origin(reached(s, given.text.expose())) {
        Ok(origin) => Some(origin),
        Err(refused) => {
            s.refuse(refusal(&given.place, refused));
            None
        }
    }
}

/// The base URL to use for the given one: with a client certificate, the default one has a host of its own.
fn reached<'a>(s: &mut Sources<'_>, text: &'a str) -> &'a str {
    let default = text.trim().trim_end_matches('/') == DEFAULT_ORIGIN;
    if default && s.one_filled(&keys::CONTROL_CLIENT_CERT).is_some() { MTLS_ORIGIN } else { text }
}

fn path_prefix(s: &mut Sources<'_>) -> Option<String> {
    let given = match referable(s, &keys::URL_PATH) {
        None => return Some(String::new()),
        Some(Err(())) => return None,
        Some(Ok(given)) => given,
    };
    match url::path_prefix(given.text.expose()) {
        Ok(prefix) => Some(prefix),
        Err(refused) => {
            s.refuse(refusal(&given.place, refused));
            None
        }
    }
}

/// The problem of an address.
pub fn refusal(place: &Place, refused: url::Refused) -> Problem {
    let problem = Problem::new(place, refused.why);
    match refused.hint {
        Some(hint) => problem.hint(hint),
        None => problem,
    }
}

fn tunnel_id(s: &mut Sources<'_>) -> Option<String> {
    let given = match s.flag(&keys::TUNNEL_ID) {
        Some(given) => Some(given),
        // Set but empty, the variable hides the file.
        None => s.env_even_empty(&keys::TUNNEL_ID).or_else(|| s.in_file(&keys::TUNNEL_ID)),
    };
    let Some(given) = given else {
        s.refuse(Problem::new(&Place::named(keys::TUNNEL_ID.yaml), ID_REQUIRED));
        return None;
    };
    let id = given.trimmed();
    let legal = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit();
    let problem = match id.strip_prefix("tunnel_") {
        Some(rest) if rest.len() == 32 && rest.bytes().all(legal) => return Some(id.to_string()),
        _ if id.is_empty() => Problem::new(&given.place, ID_REQUIRED).found("nothing"),
        _ => {
            let why =
                format!("invalid tunnel ID {}: must match tunnel_<32 lowercase letters or digits>", show(id));
            Problem::new(&given.place, why)
        }
    };
    s.refuse(problem);
    None
}

fn organization(s: &mut Sources<'_>) -> Option<String> {
    let given = s.one_filled(&keys::ORGANIZATION_ID)?;
    let text = given.text.expose();
    let problem = if text.contains(['\r', '\n']) {
        "control-plane.organization-id cannot contain header line breaks"
    } else if !hdr::is_value(text) {
        "control-plane.organization-id cannot contain control characters"
    } else {
        return Some(given.trimmed().to_string());
    };
    s.refuse(Problem::new(&given.place, problem));
    None
}

fn poll_times(s: &mut Sources<'_>) -> (Duration, Duration) {
    let before = s.problems.len();
    let no_timeout = "control-plane.poll-timeout must be greater than zero";
    let no_guardrail = "control-plane.poll-deadline-guardrail must be greater than zero";
    let timeout = s.duration(&keys::POLL_TIMEOUT, no_timeout);
    let guardrail = s.duration(&keys::POLL_GUARDRAIL, no_guardrail);
    if let Some((given, _)) = timeout.as_ref().filter(|(_, t)| t.is_zero()) {
        s.refuse(Problem::new(&given.place, no_timeout).found(show(given.trimmed())));
    }
    if let Some((given, value)) = &guardrail {
        if value.is_zero() {
            s.refuse(Problem::new(&given.place, no_guardrail).found(show(given.trimmed())));
        } else if *value >= Duration::from_secs(60) {
            let why = "control-plane.poll-deadline-guardrail must be less than 1m0s";
            s.refuse(Problem::new(&given.place, why).found(show(given.trimmed())));
        }
    }
    let place = timeout.as_ref().or(guardrail.as_ref()).map(|(g, _)| g.place.clone());
    let timeout = timeout.map_or(Duration::from_secs(30), |(_, t)| t);
    let guardrail = guardrail.map_or(Duration::from_secs(5), |(_, t)| t);
    if s.problems.len() == before && timeout.saturating_add(guardrail) > MAX_DEADLINE {
        let why = "control-plane.poll-timeout plus control-plane.poll-deadline-guardrail must be less than or equal \
            to 10m0s";
        let place = place.unwrap_or_else(|| Place::named(keys::POLL_TIMEOUT.yaml));
        s.refuse(Problem::new(&place, why).found(format!("{timeout:?} plus {guardrail:?}")));
    }
    (timeout, guardrail)
}

fn max_inflight(s: &mut Sources<'_>) -> usize {
    const DEFAULT: usize = 20;
    let key = &keys::MAX_INFLIGHT;
    let variable = if s.flag(key).is_none() { s.env_even_empty(key) } else { None };
    if let Some(empty) = variable.filter(|g| g.trimmed().is_empty()) {
        let why = "CONTROL_PLANE_MAX_INFLIGHT_REQUESTS must be an integer";
        s.refuse(Problem::new(&empty.place, why).found("nothing"));
        return DEFAULT;
    }
    let Some((given, number)) = s.integer(key) else { return DEFAULT };
    let name = if given.layer == Layer::Env { key.env } else { key.flag };
    let rule = match usize::try_from(number) {
        Ok(n) if (1..=10_000).contains(&n) => return n,
        Ok(n) if n > 0 => "less than or equal to 10000",
        _ => "greater than zero",
    };
    s.refuse(Problem::new(&given.place, format!("{name} must be {rule}")).found(number.to_string()));
    DEFAULT
}
