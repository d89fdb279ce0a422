//! Which way leads to which peer: `http_proxy` in its four places, the proxies of the environment, `unix_socket` and
//! `allowed_ips`.
//!
//! Broker only. The nearest setting wins: the entry's own, then `mcp.http_proxy` or `control_plane.http_proxy`, then
//! `http_proxy`. Any of them makes the environment irrelevant, `NO_PROXY` included. No message repeats the URL of a
//! proxy, which may hold a password.

use std::path::PathBuf;
use std::time::Duration;

use super::bindings::Entry;
use crate::config::keys::{self, Key};
use crate::config::no_proxy;
use crate::config::problem::{Place, Problem, show};
use crate::config::profile::expand;
use crate::config::proxy_url::{self, Bare};
use crate::config::reference::{Reference, Spelling};
use crate::config::route::{Network, Proxy, Route, Via};
use crate::config::sources::{Given, Layer, Sources};
use crate::config::tree::Value;
use crate::config::types::HttpUrl;

/// Most entries of one `allowed_ips`.
const MAX_NETWORKS: usize = 64;
/// Longest path of a Unix socket: what the kernel's address holds, less the byte that ends it.
const MAX_SOCKET_PATH: usize = 107;
/// `proxy.check_interval` when nothing is configured.
const CHECK_INTERVAL: Duration = Duration::from_secs(60);

/// A proxy that a setting names, and what the log calls that setting.
#[derive(Clone)]
struct Explicit {
    proxy: Proxy,
    source: String,
}

/// The settings that hold for more than one route.
pub struct Proxies {
    control: Option<Explicit>,
    mcp: Option<Explicit>,
    global: Option<Explicit>,
}

impl Proxies {
    /// Reads `control_plane.http_proxy`, `mcp.http_proxy` and `http_proxy`.
    pub fn read(s: &mut Sources<'_>) -> Self {
        Self {
            control: setting(s, &keys::CONTROL_HTTP_PROXY, "control-plane"),
            mcp: setting(s, &keys::MCP_HTTP_PROXY, "mcp"),
            global: setting(s, &keys::HTTP_PROXY, "global"),
        }
    }

    /// The way to the control plane.
    pub fn control(&self, s: &mut Sources<'_>, origin: &HttpUrl) -> Route {
        route(s, self.control.as_ref().or(self.global.as_ref()), origin)
    }

    /// The way to any other host.
    pub fn mcp(&self, s: &mut Sources<'_>, target: &HttpUrl) -> Route {
        route(s, self.mcp.as_ref().or(self.global.as_ref()), target)
    }
}

/// What an entry of `mcp.server_urls` says about its own way.
pub struct Own {
    place: Place,
    proxy: Option<Explicit>,
    socket: Option<PathBuf>,
    allowed: Option<Vec<Network>>,
}

impl Own {
    /// Takes `http_proxy`, `unix_socket` and `allowed_ips` from an entry.
    pub fn read(s: &mut Sources<'_>, entry: &mut Entry) -> Self {
        let given = entry.text(s, "http_proxy").filter(|g| !g.trimmed().is_empty());
        let named = given.is_some();
        let proxy = given.and_then(|g| explicit(s, &g, "mcp.server-url", "mcp.server-url http-proxy"));
        let socket = socket(s, entry);
        let allowed = allowed(s, entry);
        if let Some((place, _)) = &socket {
            let other = if named { Some("http-proxy") } else { allowed.is_some().then_some("allowed-ips") };
            if let Some(other) = other {
                let why = format!("invalid mcp.server-url: unix-socket cannot be combined with {other}");
                s.refuse(Problem::new(place, why).hint("remove one of them"));
            }
        }
        let place = entry.place.clone();
        Self { place, proxy, socket: socket.map(|(_, path)| path), allowed }
    }

    /// The way to `url`, which is that of binding number `binding`; and the path, when it is a socket.
    pub fn route(
        self,
        s: &mut Sources<'_>,
        proxies: &Proxies,
        url: &HttpUrl,
        binding: u8,
    ) -> (Route, Option<PathBuf>) {
        if let Some(path) = self.socket {
            let route = Route { via: Via::Unix { binding }, source: "ignored".into(), allowed_ips: None };
            return (route, Some(path));
        }
        let explicit = self.proxy.as_ref().or(proxies.mcp.as_ref()).or(proxies.global.as_ref());
        let mut route = route(s, explicit, url);
        if self.allowed.is_some() && route.proxy().is_some() {
            let why = "allowed_ips cannot be combined with a proxy: the proxy resolves the name";
            s.refuse(
                Problem::new(&self.place, why)
                    .found(format!("a proxy from {}", route.source))
                    .hint("remove allowed_ips, or reach this server without a proxy"),
            );
        }
        route.allowed_ips = self.allowed;
        (route, None)
    }
}

/// `proxy.check_interval`.
pub fn check_interval(s: &mut Sources<'_>) -> Duration {
    let rule = "proxy.check-interval must be greater than zero";
    match s.duration(&keys::PROXY_CHECK_INTERVAL, rule) {
        Some((given, interval)) if interval.is_zero() => {
            s.refuse(Problem::new(&given.place, rule).found(show(given.trimmed())));
            CHECK_INTERVAL
        }
        Some((_, interval)) => interval,
        None => CHECK_INTERVAL,
    }
}

fn route(s: &mut Sources<'_>, explicit: Option<&Explicit>, target: &HttpUrl) -> Route {
    if let Some(Explicit { proxy, source }) = explicit {
        return Route { via: Via::Proxy(proxy.clone()), source: source.clone(), allowed_ips: None };
    }
    let Some((name, value)) = no_proxy::proxy_for(s.host.env, target) else { return Route::direct() };
    match proxy_url::read(value.trim(), Bare::IsHttp) {
        Ok(proxy) => Route { via: Via::Proxy(proxy), source: "environment".into(), allowed_ips: None },
        Err(why) => {
            // To go without the proxy would be to leave the network by a way that somebody closed.
            let problem = Problem::new(&Place::named(name), format!("invalid environment proxy: {why}"))
                .hint("correct the variable, unset it, or exempt the host with NO_PROXY");
            if !s.problems.contains(&problem) {
                s.refuse(problem);
            }
            Route::direct()
        }
    }
}

fn setting(s: &mut Sources<'_>, key: &Key, name: &str) -> Option<Explicit> {
    let given = s.one_filled(key)?;
    explicit(s, &given, name, key.flag)
}

/// A proxy URL, or a reference to one. `name` and `flag` are for messages.
fn explicit(s: &mut Sources<'_>, given: &Given, name: &str, flag: &str) -> Option<Explicit> {
    let user = format!("{flag} proxy");
    let (text, source) = match Reference::parse(given.text.expose(), Spelling::AnyCase) {
        None => (given.text.clone(), flag.to_owned()),
        Some(reference) => {
            if let Reference::Env(variable) = reference
                && s.host.env.get(variable).is_some_and(|value| value.trim().is_empty())
            {
                s.refuse(
                    Problem::new(&given.place, format!("invalid {name} proxy: value is required"))
                        .found(format!("environment variable {variable} set but empty")),
                );
                return None;
            }
            let source = match reference {
                Reference::Env(variable) => format!("env:{variable}"),
                Reference::File(_) => "file".into(),
                Reference::Credential(credential) => format!("credential:{credential}"),
            };
            match s.resolve(reference, &given.place, &user) {
                Ok(text) => (text, source),
                Err(problem) => {
                    s.refuse(problem);
                    return None;
                }
            }
        }
    };
    match proxy_url::read(text.expose().trim(), Bare::IsWrong) {
        Ok(proxy) => {
            if proxy.authorization.is_some() && given.layer == Layer::Flag && source == flag {
                s.warnings.push(format!(
                    "--{flag} holds credentials, and arguments are readable for every user of the machine; \
                     give the URL as env:NAME, file:/path or credential:NAME"
                ));
            }
            Some(Explicit { proxy, source })
        }
        Err(why) => {
            s.refuse(Problem::new(&given.place, format!("invalid {name} proxy: {why}")));
            None
        }
    }
}

fn socket(s: &mut Sources<'_>, entry: &mut Entry) -> Option<(Place, PathBuf)> {
    let given = entry.text(s, "unix_socket").filter(|g| !g.trimmed().is_empty())?;
    let path = expand(given.trimmed(), s.host);
    let why = if !path.is_absolute() {
        "must be an absolute path"
    } else if path.as_os_str().len() > MAX_SOCKET_PATH {
        "must not be longer than 107 bytes, which is what the kernel takes"
    } else if path.as_os_str().as_encoded_bytes().contains(&0) {
        "must not contain a NUL"
    } else {
        return Some((given.place, path));
    };
    let shown = show(&path.display().to_string());
    s.refuse(Problem::new(&given.place, format!("invalid mcp.server-url: unix-socket {why}")).found(shown));
    None
}

/// A list of networks, or a single one.
fn allowed(s: &mut Sources<'_>, entry: &mut Entry) -> Option<Vec<Network>> {
    let (place, node) = entry.take("allowed_ips")?;
    let items = match node.value {
        Value::Text(_) => vec![(place.clone(), node)],
        _ => s.list(&place, node)?,
    };
    if items.is_empty() || items.len() > MAX_NETWORKS {
        let why = format!("allowed_ips must have between 1 and {MAX_NETWORKS} entries");
        s.refuse(Problem::new(&place, why).found(items.len().to_string()));
    }
    let mut networks = Vec::new();
    for (place, node) in items {
        let Some(given) = s.single(place, node) else { continue };
        match Network::try_from(given.trimmed().to_owned()) {
            Ok(network) => networks.push(network),
            Err(why) => s.refuse(Problem::new(&given.place, why).found(show(given.trimmed()))),
        }
    }
    Some(networks)
}
