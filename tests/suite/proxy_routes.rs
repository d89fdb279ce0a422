//! Which way each of the four routes takes, for every way to name a proxy: asked of the proxies themselves.
//!
//! In a network of its own, because names that are not this machine's are needed: proxies from the environment are
//! never used for loopback.

use crate::agent::{Agent, SOON, Setup, eventually};
use crate::calls::{text_of, tool};
use crate::forward_proxy::{ForwardProxy, Kind, Manner};
use crate::lab::{ControlPlane, Options, Relay, Stub, StubOptions};
use crate::own_network;

const HOSTS: &str = "127.0.0.1 localhost plane.test mcp.test\n::1 localhost\n";

/// Where a route leads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum To {
    Direct,
    /// The squid.
    First,
    /// The tinyproxy.
    Second,
}

use To::{Direct, First, Second};

/// One row: what is set (`1` and `2` stand for the URLs of the proxies), and where control plane, MCP over http and
/// MCP over https lead. The Unix socket is always direct.
struct Row {
    env: &'static [(&'static str, &'static str)],
    top: &'static str,
    control: &'static str,
    mcp: &'static str,
    http: &'static str,
    https: &'static str,
    ways: [To; 3],
}

const fn row(ways: [To; 3]) -> Row {
    Row { env: &[], top: "", control: "", mcp: "", http: "", https: "", ways }
}

const ENV: &[(&str, &str)] = &[("HTTPS_PROXY", "1"), ("HTTP_PROXY", "2")];
const LOWER: &[(&str, &str)] = &[("https_proxy", "1"), ("http_proxy", "2")];
const EXEMPT: &[(&str, &str)] = &[("HTTPS_PROXY", "2"), ("HTTP_PROXY", "2"), ("NO_PROXY", "*")];

const ROWS: &[Row] = &[
    row([Direct; 3]),
    Row { env: ENV, ..row([First, Second, First]) },
    Row { env: LOWER, ..row([First, Second, First]) },
    Row { env: EXEMPT, ..row([Direct; 3]) },
    Row { env: &[("HTTPS_PROXY", "1"), ("no_proxy", "plane.test")], ..row([Direct, Direct, First]) },
    Row { env: &[("HTTPS_PROXY", "1"), ("HTTP_PROXY", "2"), ("NO_PROXY", ".test")], ..row([Direct; 3]) },
    // The global one, over the environment and in spite of NO_PROXY.
    Row { top: "http_proxy: '1'", ..row([First; 3]) },
    Row { env: EXEMPT, top: "http_proxy: '1'", ..row([First; 3]) },
    // Those of one side.
    Row { env: EXEMPT, control: "http_proxy: '1'", ..row([First, Direct, Direct]) },
    Row { env: EXEMPT, mcp: "http_proxy: '1'", ..row([Direct, First, First]) },
    Row { env: EXEMPT, top: "http_proxy: '2'", control: "http_proxy: '1'", ..row([First, Second, Second]) },
    Row { env: EXEMPT, top: "http_proxy: '2'", mcp: "http_proxy: '1'", ..row([Second, First, First]) },
    // Those of one entry.
    Row { env: EXEMPT, http: "http_proxy: '1'", ..row([Direct, First, Direct]) },
    Row { env: EXEMPT, https: "http_proxy: '1'", ..row([Direct, Direct, First]) },
    Row { env: EXEMPT, mcp: "http_proxy: '2'", http: "http_proxy: '1'", ..row([Direct, First, Second]) },
    Row { env: EXEMPT, top: "http_proxy: '2'", https: "http_proxy: '1'", ..row([Second, Second, First]) },
    // As a reference.
    Row { env: &[("P", "1"), ("NO_PROXY", "*")], top: "http_proxy: env:P", ..row([First; 3]) },
];

struct Lab {
    plane: ControlPlane,
    http: Stub,
    https: Stub,
    relay: Relay,
    behind: Stub,
    first: ForwardProxy,
    second: ForwardProxy,
    dir: tempfile::TempDir,
}

impl Lab {
    async fn start() -> Self {
        let dir = tempfile::tempdir().unwrap();
        crate::lab::open(dir.path());
        own_network::replace("/etc/hosts", dir.path(), HOSTS);
        let names = &["plane.test", "mcp.test", "127.0.0.1"];
        let behind = Stub::start(StubOptions::default()).await;
        let manner = Manner { hosts: Some(HOSTS), ..Manner::default() };
        Self {
            plane: ControlPlane::start(Options { tls: true, names, ..Options::default() }).await,
            http: Stub::start(StubOptions::default()).await,
            https: Stub::start(StubOptions { tls: true, names, ..StubOptions::default() }).await,
            relay: Relay::start(&dir.path().join("socket"), behind.port()),
            behind,
            first: ForwardProxy::start(Kind::Squid, manner).await,
            second: ForwardProxy::start(Kind::Tinyproxy, manner).await,
            dir,
        }
    }

    /// An agent as the row says, with `plane` and `mcp` as names of the peers.
    fn agent(&self, row: &Row, plane: &str, mcp: &str) -> Agent {
        let fill = |text: &str| text.replace("'1'", &self.first.url()).replace("'2'", &self.second.url());
        let whole = |text: &str| match text {
            "1" => self.first.url(),
            "2" => self.second.url(),
            other => other.to_owned(),
        };
        let setup = Setup::new("");
        let ca = setup.file("ca.pem", &(self.plane.ca_pem() + &self.https.ca.pem()));
        let key = setup.file("key", &self.plane.api_key);
        let member = |text: &str| if text.is_empty() { String::new() } else { format!(", {}", fill(text)) };
        let yaml = format!(
            "ca_bundle: {ca}\n{top}\ncontrol_plane:\n  base_url: https://{plane}:{p}\n  tunnel_id: {id}\n  api_key: \
             \"file:{key}\"\n  {control}\nlog: {{level: debug, format: struct-text}}\nmcp:\n  {all}\n  server_urls:\n  \
             - {{channel: main, url: 'http://{mcp}:{h}/mcp'{http}}}\n  \
             - {{channel: tls, url: 'https://{mcp}:{s}/mcp'{https}}}\n  \
             - {{channel: sock, url: 'http://{mcp}:{h}/mcp', unix_socket: {path}}}\n",
            ca = ca.display(),
            key = key.display(),
            id = self.plane.tunnel_id,
            p = self.plane.port(),
            h = self.http.port(),
            s = self.https.port(),
            top = fill(row.top),
            control = fill(row.control),
            all = fill(row.mcp),
            http = member(row.http),
            https = member(row.https),
            path = self.dir.path().join("socket").display(),
        );
        row.env.iter().fold(setup.yaml(yaml), |setup, (name, value)| setup.env(name, &whole(value))).start()
    }

    /// Calls one tool on each channel, and checks which proxy was asked for what.
    async fn shows(&self, number: usize, row: &Row, plane: &str, mcp: &str) {
        let before = [self.first.log().len(), self.second.log().len()];
        let counts = || [self.http.request_count(), self.https.request_count(), self.behind.request_count()];
        let (was, relayed) = (counts(), self.relay.accepted());
        let agent = self.agent(row, plane, mcp);
        for channel in ["main", "tls", "sock"] {
            let id = format!("{number}-{channel}-{plane}");
            self.plane.enqueue(tool(&id, "echo", r#"{"text":"here"}"#).channel(channel));
            let answer = self.plane.wait_for_response(&id, SOON).await;
            assert_eq!(text_of(&answer), "here", "row {number}, {channel}");
        }
        let one_more = was.map(|n| n.saturating_add(1));
        assert_eq!(counts(), one_more, "row {number}: each server was called once");
        assert!(self.relay.accepted() > relayed, "row {number}: the socket was used");
        agent.stop().await;
        let asks = [
            format!("CONNECT {plane}:{}", self.plane.port()),
            format!("POST http://{mcp}:{}/mcp", self.http.port()),
            format!("CONNECT {mcp}:{}", self.https.port()),
        ];
        for (ask, way) in asks.iter().zip(row.ways) {
            let asked = |log: String, before: usize| log[before..].contains(ask.as_str());
            let seen = || (asked(self.first.log(), before[0]), asked(self.second.log(), before[1]));
            let wanted = (way == First, way == Second);
            // Squid writes its line when a tunnel has ended.
            eventually(|| (seen() == wanted).then_some(())).await;
            assert_eq!(seen(), wanted, "row {number}: {ask} of the first and second proxy");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn each_route_takes_the_nearest_proxy_and_an_explicit_one_ignores_no_proxy() {
    if !own_network::inside(
        "proxy_routes::each_route_takes_the_nearest_proxy_and_an_explicit_one_ignores_no_proxy",
    ) {
        return;
    }
    let lab = Lab::start().await;
    for (number, row) in ROWS.iter().enumerate() {
        lab.shows(number, row, "plane.test", "mcp.test").await;
    }
    // On loopback proxies of the environment do not count, and explicit ones do.
    let environment = Row { env: ENV, ..row([Direct; 3]) };
    lab.shows(100, &environment, "127.0.0.1", "127.0.0.1").await;
    let explicit = Row { env: EXEMPT, top: "http_proxy: '1'", ..row([First; 3]) };
    lab.shows(101, &explicit, "127.0.0.1", "127.0.0.1").await;
    lab.plane.assert_clean();
}
