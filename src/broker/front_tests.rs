use std::os::unix::fs::{MetadataExt as _, symlink};
use std::os::unix::net::{UnixListener, UnixStream};

use super::*;

fn only(listen: Option<Listen>) -> Health {
    Health { listen, url_file: None, pid_file: None }
}

#[test]
fn a_socket_is_private_answers_and_goes_with_its_owner() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("made/health.sock");
    let config = only(Some(Listen::Unix(path.clone())));
    let front = Front::open(&config, None).unwrap();
    assert_eq!(path.metadata().unwrap().mode() & 0o117, 0, "{:o}", path.metadata().unwrap().mode());
    assert_eq!(path.parent().unwrap().metadata().unwrap().mode() & 0o027, 0);
    UnixStream::connect(&path).unwrap();
    let again = Front::open(&config, None).unwrap_err().to_string();
    assert!(
        again.contains("already accepting connections") && again.contains("health.unix_socket"),
        "{again}"
    );
    drop(front);
    assert!(!path.exists());
}

#[test]
fn a_stale_socket_is_replaced_and_anything_else_is_not() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("s");
    drop(UnixListener::bind(&path).unwrap());
    drop(Front::open(&only(Some(Listen::Unix(path.clone()))), None).unwrap());
    std::fs::write(&path, "precious").unwrap();
    assert!(Front::open(&only(Some(Listen::Unix(path.clone()))), None).is_err());
    assert_eq!(std::fs::read_to_string(&path).unwrap(), "precious");
    // A link to a socket that nobody listens on is no socket.
    let (socket, link) = (dir.path().join("t"), dir.path().join("l"));
    drop(UnixListener::bind(&socket).unwrap());
    symlink(&socket, &link).unwrap();
    assert!(Front::open(&only(Some(Listen::Unix(link.clone()))), None).is_err());
    assert!(link.is_symlink() && socket.exists());
}

#[test]
fn files_are_put_in_place_of_links_and_removed_only_if_they_are_still_ours() {
    let dir = tempfile::tempdir().unwrap();
    let (victim, url, pid) = (dir.path().join("victim"), dir.path().join("url"), dir.path().join("pid"));
    std::fs::write(&victim, "untouched").unwrap();
    symlink(&victim, &url).unwrap();
    symlink(&victim, &pid).unwrap();
    let listen = Some(Listen::Tcp("127.0.0.1:0".parse().unwrap()));
    let config = Health { listen, url_file: Some(url.clone()), pid_file: Some(pid.clone()) };
    let front = Front::open(&config, None).unwrap();
    assert!(front.url().starts_with("http://127.0.0.1:") && front.listener().is_some());
    assert_eq!(std::fs::read_to_string(&url).unwrap(), front.url());
    assert_eq!(std::fs::read_to_string(&pid).unwrap(), format!("{}\n", std::process::id()));
    let mode = |path: &Path| path.symlink_metadata().unwrap().mode() & 0o7777;
    assert_eq!((mode(&url), mode(&pid)), (0o600, 0o644));
    assert_eq!(std::fs::read_to_string(&victim).unwrap(), "untouched");
    // Somebody else's by now: a link, and another file.
    std::fs::remove_file(&url).unwrap();
    symlink(&victim, &url).unwrap();
    drop(front);
    assert!(url.is_symlink() && !pid.exists());
    assert_eq!(std::fs::read_to_string(&victim).unwrap(), "untouched");
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 2, "no draft is left");
}

#[test]
fn an_address_in_use_is_named_with_what_to_do() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap();
    let said = Front::open(&only(Some(Listen::Tcp(address))), None).unwrap_err().to_string();
    for text in [&address.to_string(), "health.listen_addr", "health: {enabled: false}"] {
        assert!(said.contains(text), "{said}");
    }
}

#[test]
fn addresses_are_written_as_tunnel_client_writes_them() {
    assert_eq!(url("::1".parse().unwrap(), 1), "http://[::1]:1");
    assert_eq!(url("0.0.0.0".parse().unwrap(), 2), "http://localhost:2");
    assert_eq!(url_safe(Path::new("/run/h?>.sock")), "L3J1bi9oPz4uc29jaw");
}
