use std::os::unix::fs::PermissionsExt as _;

use super::*;
use crate::broker::testing::shell;

#[test]
fn every_server_gets_a_directory_of_its_own_unless_its_entry_names_another() {
    let base = tempfile::tempdir().unwrap();
    let mut scratch = Scratch::make(base.path().to_str(), "x", None).unwrap();
    let first = scratch.dress(shell("a")).unwrap();
    let mut second = shell("b");
    second.env.insert("TMPDIR".into(), "/elsewhere".into());
    let second = scratch.dress(second).unwrap();
    let own = |n: &str| base.path().join("tunnelward-x").join(n);
    for (command, n) in [&first, &second].into_iter().zip(["0", "1"]) {
        assert!(command.profile.write.contains(&own(n)));
        assert_eq!(std::fs::metadata(own(n)).unwrap().permissions().mode() & 0o7777, 0o700);
    }
    assert_eq!(first.env["TMPDIR"], own("0").to_str().unwrap());
    assert_eq!(second.env["TMPDIR"], "/elsewhere");
    std::fs::write(own("0").join("left"), "x").unwrap();
    scratch.remove().unwrap();
    assert_eq!(std::fs::read_dir(base.path()).unwrap().count(), 0);
}

#[test]
fn what_is_there_already_is_not_used() {
    let base = tempfile::tempdir().unwrap();
    std::fs::create_dir(base.path().join("tunnelward-x")).unwrap();
    let made = Scratch::make(base.path().to_str(), "x", None);
    assert_eq!(made.unwrap_err().kind(), io::ErrorKind::AlreadyExists);
}
