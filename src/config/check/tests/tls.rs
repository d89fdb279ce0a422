//! Who is believed, and as whom the agent comes.

use super::*;
use crate::config::peer::{Digest, MinVersion, Peer, PostQuantum};

const CERT: &str = "-----BEGIN CERTIFICATE-----\nAA==\n-----END CERTIFICATE-----\n";
const KEY: &str = "-----BEGIN PRIVATE KEY-----\nBB==\n-----END PRIVATE KEY-----\n";

/// A directory with `c.pem`, `k.pem` and `both.pem`.
fn files() -> (tempfile::TempDir, impl Fn(&str) -> String) {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("c.pem"), CERT).unwrap();
    std::fs::write(dir.path().join("k.pem"), KEY).unwrap();
    std::fs::write(dir.path().join("both.pem"), format!("{KEY}{CERT}")).unwrap();
    let base = dir.path().to_path_buf();
    (dir, move |name: &str| base.join(name).display().to_string())
}

fn pin(byte: u8) -> String {
    Digest::new([byte; 32]).to_string()
}

fn peer(config: &Config, at: usize) -> Peer {
    match &config.worker.bindings[at].transport {
        Transport::Http { peer, .. } => Peer::clone(peer),
        other => panic!("{other:?}"),
    }
}

#[test]
fn case_009_010_with_a_client_certificate_the_default_origin_has_a_host_of_its_own() {
    let (_dir, file) = files();
    let with = base()
        .flag("control-plane.client-cert", &file("c.pem"))
        .flag("control-plane.client-key", &file("k.pem"));
    let origin = |t: &Try| t.good().worker.control.origin.uri().to_string();
    let url = |url: &str| with.clone().env("CONTROL_PLANE_BASE_URL", url);
    assert_eq!(origin(&with), "https://mtls.api.openai.com/");
    for default in ["https://api.openai.com", "https://api.openai.com/", " https://api.openai.com// "] {
        assert_eq!(origin(&url(default)), "https://mtls.api.openai.com/", "{default:?}");
        let without = base().env("CONTROL_PLANE_BASE_URL", default);
        assert_eq!(origin(&without), "https://api.openai.com/", "{default:?}");
    }
    for (other, kept) in [
        ("https://api.openai.com/v1", "https://api.openai.com/"),
        ("https://eu.api.openai.com", "https://eu.api.openai.com/"),
        ("https://api.openai.com.example", "https://api.openai.com.example/"),
        ("https://gateway.internal/", "https://gateway.internal/"),
    ] {
        assert_eq!(origin(&url(other)), kept);
    }
}

#[test]
fn certificate_and_key_come_from_every_kind_of_reference() {
    let (dir, file) = files();
    let directory = dir.path().display().to_string();
    let from = |certificate: &str, key: &str| {
        let yaml = format!("control_plane: {{client_cert: '{certificate}', client_key: '{key}'}}");
        let host = base().env("C", &file("c.pem")).env("K", &file("k.pem"));
        host.env("CREDENTIALS_DIRECTORY", &directory).yaml(&yaml)
    };
    let (c, k) = (file("c.pem"), file("k.pem"));
    for (certificate, key) in [
        (c.clone(), k.clone()),
        ("env:C".into(), "env:K".into()),
        (format!("file:{c}"), format!("file:{k}")),
        ("credential:c.pem".into(), "credential:k.pem".into()),
        (file("both.pem"), file("both.pem")),
    ] {
        let own = from(&certificate, &key).good().worker.control.peer.identity.unwrap();
        assert_eq!((own.certificate.as_str(), own.key.expose()), (CERT, KEY), "{certificate}");
        assert_eq!(own.name, "control_plane.client_cert");
    }
    for (certificate, key, phrase) in [
        (&*k, &*k, "PEM bundle contained no certificates"),
        (&c, &c, "PEM file contained no private key (PKCS#8, SEC1 or PKCS#1)"),
        (&c, "/nonexistent", "invalid control-plane.client-key \"/nonexistent\": no such file"),
        ("env:NOPE", &k, "environment variable NOPE referenced by control-plane.client-cert is not set"),
        (&c, "credential:a/b", "credential name referenced by control-plane.client-key must be a file name"),
    ] {
        let problem = from(certificate, key).bad();
        says(&problem, phrase);
        assert!(!problem.contains("BB=="), "{problem}");
    }
}

#[test]
fn the_key_of_a_client_certificate_is_a_secret_everywhere() {
    let (_dir, file) = files();
    let yaml =
        format!("control_plane: {{client_cert: '{}', client_key: '{}'}}", file("c.pem"), file("k.pem"));
    let config = base().yaml(&yaml).good();
    assert!(!format!("{config:?}").contains("BB=="));
    // It does travel: sealed, to the worker.
    assert!(serde_json::to_string(&config.worker).unwrap().contains("BB=="));
}

#[test]
fn a_fingerprint_is_in_one_of_its_forms_and_has_a_certificate() {
    let (_dir, file) = files();
    let with = |fingerprint: &str| {
        let (c, k) = (file("c.pem"), file("k.pem"));
        let members =
            format!("client_cert: '{c}', client_key: '{k}', client_cert_fingerprint: '{fingerprint}'");
        base().yaml(&format!("control_plane: {{{members}}}"))
    };
    let expected = Some(Digest::new([0xab; 32]));
    for form in [pin(0xab), "ab".repeat(32), "AB:".repeat(31) + "AB"] {
        let own = with(&form).good().worker.control.peer.identity.unwrap();
        assert_eq!(own.fingerprint, expected, "{form}");
    }
    says(&with("SHA256 Fingerprint=AB").bad(), "must be the SHA-256 of the certificate");
    let alone = format!("control_plane: {{client_cert_fingerprint: '{}'}}", pin(1));
    says(&base().yaml(&alone).bad(), "needs a control_plane.client_cert");
}

#[test]
fn pins_are_two_or_more_well_formed_and_different() {
    let list = |pins: &str| base().yaml(&format!("control_plane: {{pins: [{pins}]}}"));
    let two = format!("'{}', '{}'", pin(1), pin(2));
    assert_eq!(list(&two).good().worker.control.peer.pins, [Digest::new([1; 32]), Digest::new([2; 32])]);
    says(&list(&format!("'{}'", pin(1))).bad(), "must contain at least two pins; found one");
    let single = format!("control_plane: {{pins: ['{}'], allow_single_pin: true}}", pin(1));
    assert_eq!(base().yaml(&single).good().worker.control.peer.pins.len(), 1);
    says(&list("").bad(), "must contain pins");
    says(&list(&format!("{two}, '{}'", pin(1))).bad(), "control_plane.pins[2]: duplicate pin");
    says(&list(&format!("{two}, 'sha256/AAAA'")).bad(), "must be sha256/ and the base64 of a SHA-256");
    says(&list(&format!("{two}, '{}'", "ab".repeat(32))).bad(), "tunnelward pin HOST");
    let many: Vec<String> = (0..17).map(|n| format!("'{}'", pin(n))).collect();
    says(&list(&many.join(", ")).bad(), "must contain at most 16 pins");
    says(&base().yaml("control_plane: {pins: x}").bad(), "must be a list");
}

#[test]
fn nothing_of_tls_is_asked_of_a_control_plane_without_it() {
    let yaml = format!(
        "control_plane: {{base_url: 'http://127.0.0.1', pins: ['{}', '{}'], ca_bundle_only: true}}",
        pin(1),
        pin(2)
    );
    let problems = base().yaml(&yaml).run().unwrap_err().join("\n");
    says(&problems, "control_plane.pins has no meaning with an http:// control plane");
    says(&problems, "control_plane.ca_bundle_only has no meaning with an http:// control plane");
    says(&problems, "control_plane.ca_bundle_only needs a ca_bundle");
}

#[test]
fn the_bundle_replaces_the_web_roots_for_the_control_plane_alone() {
    let (_dir, file) = files();
    let yaml = format!("ca_bundle: '{}'\ncontrol_plane: {{ca_bundle_only: true}}", file("c.pem"));
    let config = base().yaml(&yaml).good();
    assert!(config.worker.control.peer.bundle_only);
    assert!(!peer(&config, 0).bundle_only);
}

#[test]
fn the_tls_section_has_defaults_and_few_values() {
    let tls = |yaml: &str| base().yaml(yaml).good().worker.tls;
    let default = tls("");
    assert_eq!((default.min_version, default.post_quantum), (MinVersion::Tls13, PostQuantum::Prefer));
    assert_eq!(tls("tls: {min_version: '1.3', post_quantum: prefer}"), default);
    let old = tls("tls: {min_version: 1.2, post_quantum: off}");
    assert_eq!((old.min_version, old.post_quantum), (MinVersion::Tls12, PostQuantum::Off));
    says(&base().yaml("tls: {min_version: 1.1}").bad(), "must be \"1.3\" or \"1.2\"; found \"1.1\"");
    says(&base().yaml("tls: {post_quantum: on}").bad(), "must be prefer or off; found \"on\"");
}

#[test]
fn every_binding_has_its_own_identity_or_the_default() {
    let (_dir, file) = files();
    let (c, k, both) = (file("c.pem"), file("k.pem"), file("both.pem"));
    let yaml = format!(
        "mcp:\n  client_cert: '{c}'\n  client_key: '{k}'\n  server_urls:\n  - {{url: 'https://a'}}\n  \
         - {{channel: b, url: 'https://b', client_cert: '{both}', client_key: '{both}', ca_bundle: '{c}', \
         server_name: b.internal, pins: ['{p1}', '{p2}']}}\n  - {{channel: c, url: 'http://c'}}\n",
        p1 = pin(1),
        p2 = pin(2)
    );
    let config = base().without("MCP_SERVER_URL").yaml(&yaml).good();
    let name = |at: usize| peer(&config, at).identity.map(|own| own.name);
    assert_eq!(name(0).as_deref(), Some("mcp.client_cert"));
    assert_eq!(name(1).as_deref(), Some("mcp.server_urls[1].client_cert"));
    assert_eq!(name(2), None, "plain http has nobody to prove anything to");
    let own = peer(&config, 1);
    assert_eq!((own.server_name.as_deref(), own.ca_pem.as_deref()), (Some("b.internal"), Some(CERT)));
    assert_eq!(own.pins.len(), 2);
    assert_eq!(config.worker.control.peer, Peer::default());
    // In a line, as a flag has it.
    let line = format!("url=https://h,client-cert={c},client-key={k}");
    let config = base().flag("mcp.server-url", &line).good();
    assert!(peer(&config, 0).identity.is_some());
}

#[test]
fn what_a_binding_cannot_use_is_refused() {
    let (_dir, file) = files();
    let (c, k) = (file("c.pem"), file("k.pem"));
    let entry = |url: &str, more: &str| {
        let yaml = format!("mcp: {{server_urls: [{{url: '{url}', {more}}}]}}");
        base().without("MCP_SERVER_URL").yaml(&yaml)
    };
    for (url, more, phrase) in [
        ("https://h", format!("client_cert: '{c}'"), "client_cert and client_key must be given together"),
        ("http://h", "server_name: x".into(), "server_name has no meaning with an http:// url"),
        ("http://h", format!("ca_bundle: '{c}'"), "ca_bundle has no meaning with an http:// url"),
        (
            "http://h",
            format!("pins: ['{}', '{}']", pin(1), pin(2)),
            "pins has no meaning with an http:// url",
        ),
        ("https://h", format!("pins: ['{}']", pin(1)), "must contain at least two pins"),
        ("https://h", "server_name: 'x y'".into(), "must be a host name or an address"),
        ("https://h", "server_name: 'x:443'".into(), "must be a host name or an address"),
        ("https://h", format!("ca_bundle: '{k}'"), "PEM bundle contained no certificates"),
    ] {
        says(&entry(url, &more).bad(), phrase);
    }
    let single = entry("https://h", &format!("pins: ['{}'], allow_single_pin: true", pin(1))).good();
    assert_eq!(peer(&single, 0).pins.len(), 1);
}

#[test]
fn no_mcp_server_is_given_a_key_or_certificate_of_the_agents_own() {
    let (dir, file) = files();
    let root = dir.path().canonicalize().unwrap();
    let other = tempfile::tempdir().unwrap();
    let bundle = other.path().join("ca.pem");
    std::fs::write(&bundle, CERT).unwrap();
    let start = |key: &str, grant: &str| {
        let yaml = format!(
            "ca_bundle: {}\ncontrol_plane: {{client_cert: '{}', client_key: '{key}'}}\n\
             mcp: {{client_cert: '{}', client_key: '{}', commands: [{{channel: x, command: sh, \
             confinement: {{read: ['{grant}']}}}}]}}\n",
            bundle.display(),
            file("c.pem"),
            file("both.pem"),
            file("both.pem"),
        );
        base().env("K", &file("k.pem")).yaml(&yaml)
    };
    for key in [file("k.pem"), format!("file:{}", file("k.pem")), "env:K".into()] {
        let own = start(&key, other.path().to_str().unwrap()).good().own_files;
        for name in ["c.pem", "k.pem", "both.pem"] {
            assert!(own.contains(&root.join(name)), "{name} with {key} in {own:?}");
        }
        let problem = start(&key, &file("k.pem")).bad();
        says(&problem, "k.pem (control_plane.client_key) to the MCP server");
    }
}

#[test]
fn a_key_knows_whether_it_is_locked() {
    let (_dir, file) = files();
    let config = base()
        .flag("control-plane.client-cert", &file("c.pem"))
        .flag("control-plane.client-key", &file("k.pem"))
        .good();
    let secrets: Vec<&str> = config.worker.secrets().map(|s| s.expose()).collect();
    assert!(secrets.contains(&KEY), "the private key is one of the secrets");
    assert_eq!(secrets.len(), 2, "and the bearer key is the other");
}
