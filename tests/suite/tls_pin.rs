//! `tunnelward pin`: what it prints, what it says of peers that are not to be believed, and its exit codes.

use std::path::Path;
use std::process::Command;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::agent::eventually;
use crate::lab::Ca;
use crate::lab::pki::Identity;
use crate::tls_peers::{KEY, Recorder, agent_at, free_port, look, nobody, pin};

fn bundle(dir: &Path, pem: &str) -> String {
    let path = dir.join("bundle.pem");
    std::fs::write(&path, pem).unwrap();
    format!("--ca-bundle={}", path.display())
}

/// The pin of a certificate, by OpenSSL.
fn by_openssl(certificate: &Path) -> String {
    let script = "openssl x509 -in \"$0\" -pubkey -noout | openssl pkey -pubin -outform der | \
                  openssl dgst -sha256 -binary | openssl base64 -A";
    let output = Command::new("sh").arg("-c").arg(script).arg(certificate).output().unwrap();
    format!("sha256/{}", String::from_utf8(output.stdout).unwrap())
}

#[tokio::test]
async fn pin_prints_the_keys_of_the_verified_path_as_openssl_computes_them() {
    let ca = Ca::new();
    let server = ca.intermediate().server();
    let dir = tempfile::tempdir().unwrap();
    let (leaf, _) = server.write(dir.path(), "leaf");
    let root = ca.write(dir.path());
    let peer = Recorder::start(server.server_config(true, None)).await;
    let ran = look(&peer.addr.to_string(), &[&bundle(dir.path(), &ca.pem())]).await;
    assert_eq!(ran.code, Some(0), "{}", ran.err);
    for part in [
        "#   subject  CN=localhost\n",
        "#   issuer   CN=lab intermediate\n",
        "#   valid    Wed, 01 Jan 1975 00:00:00 GMT until ",
        "\npins:\n",
    ] {
        assert!(ran.out.contains(part), "{part} in {}", ran.out);
    }
    let lines: Vec<&str> = ran.out.lines().filter(|l| l.starts_with("  - ")).collect();
    assert_eq!(lines.len(), 3, "{}", ran.out);
    assert!(lines[0].starts_with(&format!("  - \"{}\"  # its own: CN=localhost", by_openssl(&leaf))));
    assert!(lines[1].ends_with("# intermediate: CN=lab intermediate"), "{}", lines[1]);
    assert!(lines[2].starts_with(&format!("  - \"{}\"  # trust anchor: CN=lab root", by_openssl(&root))));
    assert_eq!(peer.plain(), "", "not a word was said");
}

#[tokio::test]
async fn what_pin_prints_can_be_pasted() {
    let ca = Ca::new();
    let server = ca.server();
    let dir = tempfile::tempdir().unwrap();
    let peer = Recorder::start(server.server_config(false, None)).await;
    let ran = look(&peer.url(), &[&bundle(dir.path(), &ca.pem())]).await;
    let pasted = ran.out.split_once("\npins:\n").unwrap().1;
    let control: String = std::iter::once("  pins:\n".to_string())
        .chain(pasted.lines().map(|line| format!("  {line}\n")))
        .collect();
    let agent = agent_at(&peer.url(), &ca.pem(), &control, "").start();
    assert!(eventually(|| peer.plain().contains(KEY).then_some(())).await.is_some());
    agent.stop().await;
}

#[tokio::test]
async fn a_peer_that_is_not_to_be_believed_is_shown_as_unverified_and_ends_with_76() {
    let ca = Ca::new();
    let dir = tempfile::tempdir().unwrap();
    let bundle = bundle(dir.path(), &ca.pem());
    for (identity, why) in [
        (ca.server_expired(), "the certificate has expired"),
        (ca.server_for(&["elsewhere.example"]), "the certificate is not valid for the name"),
        (Ca::new().server(), "the certificate has an unknown issuer"),
        (Identity::self_signed(), "the certificate has an unknown issuer"),
    ] {
        let peer = Recorder::start(identity.server_config(false, None)).await;
        let ran = look(&peer.addr.to_string(), &[&bundle]).await;
        assert_eq!(ran.code, Some(76), "{why}: {}", ran.err);
        assert!(ran.err.contains(why), "{}", ran.err);
        assert!(ran.out.starts_with("# UNVERIFIED 127.0.0.1:"), "{}", ran.out);
        assert!(ran.out.contains(&pin(identity.spki())), "it is shown all the same");
        assert!(ran.out.lines().all(|line| line.starts_with('#')), "nothing can be pasted: {}", ran.out);
        peer.assert_heard_nothing();
    }
}

#[tokio::test]
async fn a_peer_that_wants_a_certificate_can_be_pinned_all_the_same() {
    let ca = Ca::new();
    let dir = tempfile::tempdir().unwrap();
    let server = ca.server();
    let peer = Recorder::start(server.server_config(false, Some(&ca))).await;
    let ran = look(&peer.addr.to_string(), &[&bundle(dir.path(), &ca.pem())]).await;
    assert_eq!(ran.code, Some(0), "{}", ran.err);
    assert!(ran.out.contains(&format!("  - \"{}\"", pin(server.spki()))));
}

#[tokio::test]
async fn other_ends_of_pin_have_codes_of_their_own() {
    let nobody_listens = look(&format!("127.0.0.1:{}", free_port()), &[]).await;
    assert_eq!(nobody_listens.code, Some(75), "{}", nobody_listens.err);
    assert!(nobody_listens.err.contains("connection refused"), "{}", nobody_listens.err);
    assert_eq!(look("", &[]).await.code, Some(64));
    assert_eq!(look("http://example.com", &[]).await.code, Some(64));
    let missing = look("127.0.0.1:1", &["--ca-bundle=/nonexistent"]).await;
    assert_eq!(missing.code, Some(78), "{}", missing.err);
    assert!(missing.err.contains("invalid ca-bundle"), "{}", missing.err);
    let ssh = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = ssh.local_addr().unwrap().to_string();
    tokio::spawn(async move {
        let (mut stream, _) = ssh.accept().await.unwrap();
        stream.write_all(b"SSH-2.0-x\r\n").await.unwrap();
        let _ = stream.read_to_end(&mut Vec::new()).await;
    });
    let other = look(&address, &[]).await;
    assert_eq!((other.code, other.out.as_str()), (Some(76), ""), "{}", other.err);
    assert!(other.err.contains("does not speak TLS"), "{}", other.err);
    let metadata = look("169.254.169.254", &[]).await;
    assert_eq!(metadata.code, Some(75), "{}", metadata.err);
    assert!(metadata.err.contains("refused: link-local"), "{}", metadata.err);
}

#[tokio::test]
async fn pin_takes_its_roots_from_the_profile_and_needs_nothing_else_of_it() {
    let ca = Ca::new();
    let dir = tempfile::tempdir().unwrap();
    let root = ca.write(dir.path());
    let peer = Recorder::start(ca.server().server_config(false, None)).await;
    let profile = |control: &str| {
        let path = dir.path().join("p.yaml");
        std::fs::write(&path, format!("ca_bundle: {root:?}\ncontrol_plane: {{{control}}}\n")).unwrap();
        path.display().to_string()
    };
    let only = format!("base_url: \"{}\", ca_bundle_only: true", peer.url());
    let pinned = |pin: String| format!("{only}, pins: ['{}', '{pin}']", nobody());
    let other = pin(Ca::new().server().spki());
    for (control, code) in
        [(String::new(), 0), (only.clone(), 0), (pinned(pin(&ca.spki())), 0), (pinned(other), 76)]
    {
        let ran = look(&peer.addr.to_string(), &["--config", &profile(&control)]).await;
        assert_eq!(ran.code, Some(code), "{}", ran.err);
        assert!(ran.out.contains("pins:"), "what could be pinned instead is shown");
        assert_eq!(ran.err.contains("none of these keys is one of control_plane.pins"), code == 76);
    }
}

#[tokio::test]
async fn what_pin_reads_of_a_peer_is_read_by_a_confined_process() {
    // It takes the connection and says nothing, so that the process that reads can be looked at.
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let target = listener.local_addr().unwrap().to_string();
    let mut command = Command::new(crate::place::agent());
    let mut pin = command.arg("pin").arg(&target).env_clear().spawn().unwrap();
    let (held, _) = listener.accept().await.unwrap();
    let children = std::fs::read_to_string(format!("/proc/{0}/task/{0}/children", pin.id())).unwrap();
    let status = std::fs::read_to_string(format!("/proc/{}/status", children.trim())).unwrap();
    let is = |name: &str| {
        let line = status.lines().find(|l| l.starts_with(&format!("{name}:"))).unwrap();
        line.split_whitespace().nth(1).unwrap().to_string()
    };
    pin.kill().unwrap();
    pin.wait().unwrap();
    drop(held);
    assert_ne!(is("Uid"), "0", "{status}");
    assert_eq!(is("CapEff"), "0000000000000000");
    assert_eq!((is("NoNewPrivs"), is("Seccomp")), ("1".into(), "2".into()));
    assert!(is("Seccomp_filters").parse::<u32>().unwrap() >= 2, "{status}");
    assert_eq!(is("Threads"), "1");
}

#[tokio::test]
async fn pin_does_not_look_when_the_kernel_cannot_confine_it_as_asked() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("p.yaml");
    // The highest floor that there is.
    std::fs::write(&file, "config_version: 1\nconfinement: {require: 10}\n").unwrap();
    let (port, _listener) = {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        (listener.local_addr().unwrap(), listener)
    };
    let ran = look(&port.to_string(), &["--config", file.to_str().unwrap()]).await;
    assert_eq!(ran.code, Some(69), "{}", ran.err);
    assert!(ran.err.contains("Landlock ABI"), "{}", ran.err);
    assert_eq!(ran.out, "");
}
