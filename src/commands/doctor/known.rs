//! What the texts about peers name of a configuration that is no longer there when they are met: settings, and where each is.
//! Pure.

use super::Case;
use super::settings::{TUNNELS, entry};
use crate::config::keys::{self, ALL};
use crate::config::types::{Config, HttpUrl, Transport};

/// What the texts about one peer name: settings, and where it is.
#[derive(Clone, Debug)]
pub struct Names {
    pub(super) url: String,
    pub(super) ca: String,
    pub(super) certificate: String,
    pub(super) pins: String,
    pub(super) addresses: String,
    /// The setting of its proxy, or the variable.
    pub(super) proxy: String,
    pub(super) place: String,
}

/// What is told of a configuration that is no longer there.
pub struct Known {
    pub(super) control: Names,
    pub(super) pins: usize,
    pub(super) has_proxy: bool,
    /// The control plane's host is no name.
    pub(super) is_address: bool,
    pub(super) http: Vec<(String, Names)>,
    /// Channel and, for a command, its place among the commands.
    pub(super) channels: Vec<(String, Option<usize>)>,
    file: Option<String>,
}

impl Known {
    /// Before the configuration is given away.
    pub fn of(case: &Case<'_>, config: &Config) -> Self {
        let worker = &config.worker;
        let control = Names {
            url: keys::BASE_URL.yaml.into(),
            ca: keys::CA_BUNDLE.yaml.into(),
            certificate: keys::CONTROL_CLIENT_CERT.yaml.into(),
            pins: keys::CONTROL_PINS.yaml.into(),
            addresses: String::new(),
            proxy: proxy(&worker.control.route.source),
            place: place(&worker.control.origin),
        };
        let (mut http, mut channels) = (Vec::new(), Vec::new());
        for binding in &worker.bindings {
            let channel = binding.channel.to_string();
            let mut command = None;
            match &binding.transport {
                Transport::Http { url, route, .. } => {
                    let n = http.len();
                    let member = |name: &str| entry(case, &keys::MCP_SERVER_URLS, n, name);
                    let names = Names {
                        url: member("url"),
                        ca: member("ca_bundle"),
                        certificate: member("client_cert"),
                        pins: member("pins"),
                        addresses: member("allowed_ips"),
                        proxy: proxy(&route.source),
                        place: place(url),
                    };
                    http.push((channel.clone(), names));
                }
                Transport::Stdio { index, .. } => command = Some(usize::from(*index)),
            }
            channels.push((channel, command));
        }
        Self {
            control,
            pins: worker.control.peer.pins.len(),
            has_proxy: !worker.proxies().is_empty(),
            is_address: is_address(&worker.control.origin),
            http,
            channels,
            file: case.file.map(|file| file.display().to_string()),
        }
    }

    /// A step with the names of a peer in it.
    pub(super) fn fill(&self, template: &str, names: &Names) -> String {
        let end = |word: &str| self.file.as_ref().map(|f| format!(" {word} {f}")).unwrap_or_default();
        // A variable is not set in the file.
        let of_proxy = if names.proxy.starts_with("the ") { String::new() } else { end("in") };
        let config = self.file.as_ref().map(|file| format!(" --config {file}")).unwrap_or_default();
        let (proxied, inside) = (format!("<PROXY_URL>{of_proxy}"), end("in"));
        let key = names.certificate.replace("client_cert", "client_key");
        let words: [(&str, &str); 12] = [
            ("%url", &names.url),
            ("%ca", &names.ca),
            ("%certificate", &names.certificate),
            ("%key", &key),
            ("%pins", &names.pins),
            ("%addresses", &names.addresses),
            ("<PROXY_URL>%in", &proxied),
            ("%proxy", &names.proxy),
            ("%at", &names.place),
            ("%page", TUNNELS),
            ("%config", &config),
            ("%in", &inside),
        ];
        words.iter().fold(template.to_owned(), |text, (word, value)| text.replace(word, value))
    }
}

fn is_address(url: &HttpUrl) -> bool {
    url.uri().host().is_some_and(|host| host.trim_matches(['[', ']']).parse::<std::net::IpAddr>().is_ok())
}

/// Host and port.
fn place(url: &HttpUrl) -> String {
    format!("{}:{}", url.uri().host().unwrap_or_default(), url.port())
}

/// Where the proxy of a route was set.
fn proxy(source: &str) -> String {
    let key = ALL.iter().find(|key| !key.flag.is_empty() && key.flag == source);
    match (key, source.strip_prefix("env:")) {
        (Some(key), _) => key.yaml.into(),
        (None, Some(name)) => format!("the variable {name}"),
        (None, None) if source == "environment" => "the variable HTTPS_PROXY".into(),
        (None, None) => keys::HTTP_PROXY.yaml.into(),
    }
}
