//! Which proxy is taken for which peer, and how what is wrong with one is said.

use super::*;
use crate::config::route::{Route, Via};

/// The way to the control plane and to the only binding.
fn ways(attempt: &Try) -> (Route, Route) {
    let worker = attempt.good().worker;
    let Transport::Http { route, .. } = &worker.bindings[0].transport else { panic!("not HTTP") };
    (worker.control.route.clone(), Route::clone(route))
}

fn shown(route: &Route) -> (String, String) {
    (route.proxy().map(|p| p.shown()).unwrap_or_default(), route.source.clone())
}

fn is(route: &Route, proxy: &str, source: &str) {
    assert_eq!(shown(route), (proxy.to_owned(), source.to_owned()));
}

#[test]
fn case_289_the_nearest_setting_wins_and_the_environment_comes_last() {
    let none = base();
    let (control, mcp) = ways(&none);
    is(&control, "", "none");
    is(&mcp, "", "none");
    let env = base().env("HTTPS_PROXY", "http://env:1");
    let (control, mcp) = ways(&env);
    is(&control, "http://env:1", "environment");
    is(&mcp, "http://env:1", "environment");
    let global = env.clone().env("TUNNEL_CLIENT_HTTP_PROXY", "http://global:1");
    let (control, mcp) = ways(&global);
    is(&control, "http://global:1", "http-proxy");
    is(&mcp, "http://global:1", "http-proxy");
    let routes =
        global.flag("mcp.http-proxy", "http://mcp:1").yaml("control_plane: {http_proxy: 'https://cp'}");
    let (control, mcp) = ways(&routes);
    is(&control, "https://cp:443", "control-plane.http-proxy");
    is(&mcp, "http://mcp:1", "mcp.http-proxy");
    let entry = routes
        .without("MCP_SERVER_URL")
        .yaml("mcp: {server_urls: [{url: 'https://h', http_proxy: 'http://own'}]}");
    is(&ways(&entry).1, "http://own:80", "mcp.server-url http-proxy");
    let line =
        base().env("MCP_SERVER_URL", "url=https://h,http-proxy=http://own").flag("http-proxy", "http://g");
    is(&ways(&line).1, "http://own:80", "mcp.server-url http-proxy");
}

#[test]
fn case_289_an_explicit_proxy_ignores_no_proxy_and_one_of_the_environment_heeds_it() {
    let exempt = base().env("HTTPS_PROXY", "http://env:1").env("NO_PROXY", "*");
    let (control, mcp) = ways(&exempt);
    is(&control, "", "none");
    is(&mcp, "", "none");
    let explicit = exempt.flag("http-proxy", "http://g:1");
    is(&ways(&explicit).0, "http://g:1", "http-proxy");
    is(&ways(&explicit).1, "http://g:1", "http-proxy");
    let local = explicit.env("MCP_SERVER_URL", "http://localhost:9/mcp");
    is(&ways(&local).1, "http://g:1", "http-proxy");
    let local = base().env("MCP_SERVER_URL", "http://127.0.0.1:9").env("HTTP_PROXY", "http://env:1");
    is(&ways(&local).1, "", "none");
}

#[test]
fn a_proxy_may_be_a_reference_and_its_credentials_are_taken_out() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("proxy");
    std::fs::write(&path, "http://u:s%40cret@p:3128\n").unwrap();
    std::fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o400)).unwrap();
    let attempt = base()
        .env("P", "http://u:pw@p:1")
        .env("CREDENTIALS_DIRECTORY", dir.path().to_str().unwrap())
        .yaml(&format!("http_proxy: file:{}\ncontrol_plane: {{http_proxy: 'env:P'}}", path.display()));
    let (control, mcp) = ways(&attempt);
    is(&control, "http://p:1", "env:P");
    is(&mcp, "http://p:3128", "file");
    let secret = |route: &Route| route.proxy().unwrap().authorization.clone().unwrap().expose().to_owned();
    assert_eq!((secret(&control), secret(&mcp)), ("Basic dTpwdw==".into(), "Basic dTpzQGNyZXQ=".into()));
    let credential = attempt.flag("mcp.http-proxy", "credential:proxy");
    is(&ways(&credential).1, "http://p:3128", "credential:proxy");
    assert_eq!(credential.good().warnings, Vec::<String>::new());
    let told = format!("{:?}", credential.good());
    assert!(!told.contains("pw@") && !told.contains("s@cret") && !told.contains("dTp"), "{told}");
    let flag = base().flag("http-proxy", "http://u:pw@p").good().warnings;
    assert!(flag.len() == 1 && flag[0].contains("--http-proxy holds credentials") && !flag[0].contains("pw"));
}

#[test]
fn what_is_wrong_with_a_proxy_is_said_without_its_text() {
    for (attempt, phrase) in [
        (
            base().flag("control-plane.http-proxy", "env:GONE"),
            "environment variable GONE referenced by control-plane.http-proxy proxy is not set",
        ),
        (base().env("E", " ").flag("mcp.http-proxy", "env:E"), "invalid mcp proxy: value is required"),
        (
            base().env("TUNNEL_CLIENT_HTTP_PROXY", "pw.test:1"),
            "invalid global proxy: proxy URL scheme must be http or https",
        ),
        (
            base().yaml("control_plane: {http_proxy: 'socks5://u:pw@h'}"),
            "invalid control-plane proxy: proxy URL scheme must be",
        ),
        (
            base().env("HTTPS_PROXY", "socks5://u:pw@h"),
            "HTTPS_PROXY: invalid environment proxy: proxy URL scheme",
        ),
        (base().flag("http-proxy", "http://u:pw@h:99999"), "must name a host, and a port"),
    ] {
        let problem = attempt.bad();
        says(&problem, phrase);
        assert!(!problem.contains("pw"), "{problem}");
    }
    // One that is for nobody is nobody's problem.
    base().env("HTTP_PROXY", "socks5://h").good();
}

#[test]
fn case_163_a_unix_socket_makes_every_proxy_irrelevant() {
    let entry = |more: &str| {
        base().without("MCP_SERVER_URL").env("HTTP_PROXY", "http://e").flag("http-proxy", "http://g").yaml(&format!(
            "mcp: {{server_urls: [{{url: 'http://h/mcp', channel: a}}, {{url: 'http://h/mcp', unix_socket: /run/s{more}}}]}}"
        ))
    };
    let config = entry("").good();
    let Transport::Http { route, .. } = &config.worker.bindings[1].transport else { panic!("not HTTP") };
    assert_eq!((&route.via, route.source.as_str()), (&Via::Unix { binding: 1 }, "ignored"));
    assert_eq!(config.unix_sockets, BTreeMap::from([(1, "/run/s".into())]));
    assert!(
        !serde_json::to_string(&config.worker).unwrap().contains("/run/s"),
        "the path stays in the broker"
    );
    says(&entry(", http_proxy: 'http://p'").bad(), "unix-socket cannot be combined with http-proxy");
    says(&entry(", allowed_ips: 10.0.0.0/8").bad(), "unix-socket cannot be combined with allowed-ips");
    says(&entry(&"x".repeat(107)).bad(), "must not be longer than 107 bytes");
}

#[test]
fn allowed_ips_is_a_list_of_networks_and_excludes_proxies() {
    let entry = |allowed: &str| {
        base()
            .without("MCP_SERVER_URL")
            .yaml(&format!("mcp: {{server_urls: [{{url: 'https://h', allowed_ips: {allowed}}}]}}"))
    };
    assert_eq!(ways(&entry("[10.0.0.0/8, 'fd00::/8']")).1.allowed_ips.unwrap().len(), 2);
    assert_eq!(ways(&entry("10.1.2.3")).1.allowed_ips.unwrap().len(), 1);
    assert_eq!(ways(&base()).1.allowed_ips, None);
    says(
        &entry("[10.0.0.1/8]").bad(),
        "mcp.server_urls[0].allowed_ips[0]: has bits set behind the network's own",
    );
    says(&entry("[]").bad(), "between 1 and 64 entries");
    says(&entry("[mcp.internal]").bad(), "must be an address or a network");
    for proxied in [
        entry("[10.0.0.0/8]").flag("http-proxy", "http://p"),
        entry("[10.0.0.0/8]").env("https_proxy", "http://p"),
    ] {
        says(&proxied.bad(), "allowed_ips cannot be combined with a proxy");
    }
    entry("[10.0.0.0/8]").env("https_proxy", "http://p").env("no_proxy", "h").good();
}

#[test]
fn the_ports_are_those_of_peers_or_of_the_proxies_before_them() {
    let ports = |t: &Try| t.good().worker.tcp_ports().into_iter().collect::<Vec<_>>();
    assert_eq!(ports(&base()), [443]);
    let many = base().without("MCP_SERVER_URL").yaml(
        "control_plane: {base_url: 'https://cp:8443'}\nmcp:\n  server_urls:\n  - {url: 'http://h/mcp'}\n  - {channel: b, url: 'https://h:9443'}\n  - {channel: c, url: 'http://h:1234', unix_socket: /s}\n",
    );
    assert_eq!(ports(&many), [80, 8443, 9443]);
    assert_eq!(ports(&many.clone().flag("mcp.http-proxy", "http://p:3128")), [3128, 8443]);
    let all = many.flag("http-proxy", "https://p");
    assert_eq!(ports(&all), [443]);
    assert_eq!(all.good().worker.proxies().len(), 1, "each proxy once");
}

#[test]
fn the_interval_of_checks_has_a_default() {
    assert_eq!(base().good().worker.proxy_check_interval, Duration::from_secs(60));
    let set = base().env("PROXY_CHECK_INTERVAL", "5s").good();
    assert_eq!(set.worker.proxy_check_interval, Duration::from_secs(5));
}
