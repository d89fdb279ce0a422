//! What a reload reads, how often changes are looked for, and who may own a secret.

use std::os::unix::fs::{PermissionsExt as _, chown};
use std::path::{Path, PathBuf};

use super::*;

/// A directory that is no temporary one by its name, with a key in it.
fn key(mode: u32) -> (tempfile::TempDir, PathBuf) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().canonicalize().unwrap().join("key");
    std::fs::write(&path, "sk-1").unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
    (dir, path)
}

fn with_key(path: &Path) -> Try {
    base().without("CONTROL_PLANE_API_KEY").flag("control-plane.api-key", &format!("file:{}", path.display()))
}

#[test]
fn changes_are_looked_for_every_minute_unless_the_file_says_otherwise() {
    assert_eq!(base().good().reload_interval, Some(Duration::from_secs(60)));
    let with = |value: &str| base().yaml(&format!("reload_interval: {value}"));
    assert_eq!(with("0").good().reload_interval, None);
    assert_eq!(with("5m").good().reload_interval, Some(Duration::from_secs(300)));
    for wrong in ["10ms", "25h", "often", "-1s"] {
        says(&with(wrong).bad(), "reload_interval: must be 0 or between 1s and 86400s");
    }
}

#[test]
fn a_secret_that_anybody_can_change_is_refused_and_one_that_anybody_can_read_is_warned_of() {
    for mode in [0o400, 0o440, 0o600, 0o660] {
        let (_dir, path) = key(mode);
        assert_eq!(with_key(&path).good().warnings, [""; 0], "{mode:o}");
    }
    let (_dir, path) = key(0o644);
    let warnings = with_key(&path).good().warnings;
    assert_eq!(warnings.len(), 1);
    says(&warnings[0], "key referenced by --control-plane.api-key can be read by every user");
    for mode in [0o602, 0o666] {
        let (_dir, path) = key(mode);
        let problem = with_key(&path).bad();
        says(&problem, "key referenced by --control-plane.api-key can be changed by every user");
        says(&problem, "chmod 0400");
    }
}

#[test]
fn a_secret_of_somebody_else_is_refused() {
    let (_dir, path) = key(0o400);
    let start = if rustix::process::geteuid().is_root() {
        chown(&path, Some(12_345), None).unwrap();
        with_key(&path)
    } else {
        // It belongs to whoever runs this, which is neither root nor the agent's user.
        with_key(&path).root("tunnelward:x:701:702::/:/bin/false\n", "tunnelward:x:702:\n")
    };
    says(&start.bad(), "who is neither root nor the agent's user");
}

#[test]
fn a_secret_of_root_or_of_whom_the_agent_becomes_is_taken() {
    if rustix::process::geteuid().is_root() {
        for owner in [0, 701] {
            let (_dir, path) = key(0o400);
            chown(&path, Some(owner), None).unwrap();
            with_key(&path).root("tunnelward:x:701:702::/:/bin/false\n", "tunnelward:x:702:\n").good();
        }
    } else {
        let (_dir, path) = key(0o400);
        with_key(&path).good();
    }
}

#[test]
fn a_credential_is_the_service_managers_and_everything_that_was_read_is_read_again() {
    let (dir, path) = key(0o444);
    let (ca, pem) =
        (dir.path().join("ca.pem"), "-----BEGIN CERTIFICATE-----\nAA==\n-----END CERTIFICATE-----\n");
    std::fs::write(&ca, pem).unwrap();
    let config = base()
        .without("CONTROL_PLANE_API_KEY")
        .env("CREDENTIALS_DIRECTORY", path.parent().unwrap().to_str().unwrap())
        .yaml(&format!("control_plane: {{api_key: 'credential:key'}}\nca_bundle: {}\n", ca.display()))
        .good();
    assert_eq!(config.warnings, [""; 0]);
    assert!(config.files.contains(&path) && config.files.contains(&ca), "{:?}", config.files);
    assert!(config.files.iter().any(|file| file.ends_with("p.yaml")), "{:?}", config.files);
    assert!(config.readable.contains(path.parent().unwrap()), "{:?}", config.readable);
}

#[test]
fn a_directory_that_is_too_broad_is_not_read_again_but_the_file_in_it_is() {
    // A file directly in a directory that everybody uses.
    let file = tempfile::Builder::new().tempfile_in("/var/tmp").unwrap();
    std::fs::write(file.path(), "sk-1").unwrap();
    let readable = with_key(file.path()).good().readable;
    assert!(readable.contains(file.path()) && !readable.contains(Path::new("/var/tmp")), "{readable:?}");
}

#[test]
fn a_link_to_a_directory_that_is_exchanged_is_followed_where_it_may_lead() {
    let (dir, path) = key(0o400);
    let root = dir.path().canonicalize().unwrap();
    std::fs::create_dir(root.join("one")).unwrap();
    std::fs::rename(&path, root.join("one/key")).unwrap();
    std::os::unix::fs::symlink(root.join("one"), root.join("now")).unwrap();
    std::os::unix::fs::symlink(root.join("now/key"), &path).unwrap();
    let readable = with_key(&path).good().readable;
    assert!(readable.contains(&root), "{readable:?}");
}
