//! `health` and `process`: where the listener may be, and that it is loopback's alone unless asked for.

use super::*;
use crate::config::health::{Health, Listen};

fn tcp(text: &str) -> Option<Listen> {
    Some(Listen::Tcp(text.parse().unwrap()))
}

#[test]
fn health_is_on_by_default_on_loopback_and_can_be_turned_off() {
    let config = base().good();
    assert_eq!(config.health, Health { listen: tcp("127.0.0.1:8080"), url_file: None, pid_file: None });
    assert!(!config.worker.health.details && !config.worker.health.unix);
    let off =
        base().yaml("health: {enabled: false, url_file: /run/u}\nprocess: {pid_file: /run/p}").good().health;
    assert_eq!(off, Health { listen: None, url_file: None, pid_file: Some("/run/p".into()) });
}

#[test]
fn flags_go_before_variables_and_those_before_the_file() {
    let layered = base().yaml("health: {listen_addr: '127.0.0.1:1'}");
    assert_eq!(layered.good().health.listen, tcp("127.0.0.1:1"));
    let layered = layered.env("HEALTH_LISTEN_ADDR", "localhost:2");
    assert_eq!(layered.good().health.listen, tcp("127.0.0.1:2"));
    let layered = layered.flag("health.listen-addr", "[::1]:0");
    assert_eq!(layered.good().health.listen, tcp("[::1]:0"));
    // An empty one falls back to the default, as it does in tunnel-client.
    assert_eq!(base().flag("health.listen-addr", "").good().health.listen, tcp("127.0.0.1:8080"));
    let socket = base().env("HEALTH_UNIX_SOCKET", "/run/h.sock").flag("health.show-details", "true").good();
    assert_eq!(socket.health.listen, Some(Listen::Unix("/run/h.sock".into())));
    assert!(socket.worker.health.unix && socket.worker.health.details);
    let referred = base().env("WHERE", "127.0.0.1:9").yaml("health: {listen_addr: env:WHERE}").good();
    assert_eq!(referred.health.listen, tcp("127.0.0.1:9"));
}

#[test]
fn other_machines_are_answered_only_when_that_is_asked_for() {
    for address in ["0.0.0.0:8080", ":8080", "10.0.0.1:1", "[::]:8080"] {
        let yaml = format!("health: {{listen_addr: '{address}'}}");
        let problem = base().yaml(&yaml).bad();
        says(&problem, "health.listen_addr: would answer every machine");
        says(&problem, "health: {allow_remote: true}");
        let allowed = format!("health: {{listen_addr: '{address}', allow_remote: true}}");
        assert!(matches!(base().yaml(&allowed).good().health.listen, Some(Listen::Tcp(_))), "{address}");
    }
}

#[test]
fn what_is_no_address_or_path_is_named() {
    for address in ["nonsense", "example.com:80", "127.0.0.1", "127.0.0.1:65536", "::1:80"] {
        let problem = base().yaml(&format!("health: {{listen_addr: '{address}'}}")).bad();
        says(&problem, "must be host:port");
    }
    says(&base().yaml("health: {unix_socket: run/h}").bad(), "must be an absolute path");
    says(&base().yaml("process: {pid_file: p}").bad(), "must be an absolute path");
    let long = format!("health: {{unix_socket: /{}}}", "x".repeat(107));
    says(&base().yaml(&long).bad(), "at most 107 bytes");
}
