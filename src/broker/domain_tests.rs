use super::*;
use crate::broker::testing::shell;
use crate::config::types::{Command, HttpUrl, Transport};

/// A configuration with this command and a control plane at this port.
fn config(port: u16, change: impl FnOnce(&mut Command)) -> Config {
    let mut command = shell("exec cat");
    change(&mut command);
    let mut config = crate::broker::service::tests::config("", vec![command]);
    config.worker.control.origin = HttpUrl::try_from(format!("http://127.0.0.1:{port}")).unwrap();
    assert!(matches!(config.worker.bindings[0].transport, Transport::Stdio { .. }));
    config
}

#[test]
fn what_is_within_the_domain_is_allowed_and_what_is_not_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let sub = |name: &str| {
        let path = dir.path().join(name);
        std::fs::create_dir_all(&path).unwrap();
        path
    };
    let (read, write, other) = (sub("read"), sub("write"), sub("other"));
    let start = config(443, |c| {
        c.profile.read.insert(read.clone());
        c.profile.write.insert(write.clone());
        c.profile.tcp_ports.insert(5432);
    });
    let domain = Domain::of(grants(&start, None), 4);
    let lacks = |port, change: &dyn Fn(&mut Command)| domain.lacks(&config(port, change));
    assert_eq!(domain.lacks(&start), [""; 0]);
    let below = sub("read/below");
    assert_eq!(lacks(5432, &|c| c.profile.read.extend([below.clone()])), [""; 0]);
    assert_eq!(lacks(443, &|c| c.profile.read.extend([write.clone()])), [""; 0]);
    let named = |what: &str, path: &Path| vec![format!("to {what} {}", path.display())];
    assert_eq!(lacks(443, &|c| c.profile.write.extend([read.clone()])), named("write to", &read));
    assert_eq!(lacks(443, &|c| c.profile.read.extend([other.clone()])), named("read", &other));
    assert_eq!(lacks(443, &|c| c.profile.execute.extend([write.clone()])), named("execute", &write));
    assert_eq!(lacks(80, &|_| {}), ["to connect to TCP port 80"]);
    assert_eq!(lacks(443, &|c| c.profile.unix_sockets = true), ["to connect to Unix sockets"]);
    let unlimited = Domain::of(grants(&start, None), 3);
    assert_eq!(unlimited.lacks(&config(80, |_| {})), [""; 0]);
}

#[test]
fn a_directory_that_was_replaced_is_not_the_one_that_was_granted() {
    let dir = tempfile::tempdir().unwrap();
    let granted = dir.path().join("granted");
    std::fs::create_dir(&granted).unwrap();
    let config = config(443, |c| c.profile.read.extend([granted.clone()]));
    let domain = Domain::of(grants(&config, None), 4);
    std::fs::rename(&granted, dir.path().join("away")).unwrap();
    std::fs::create_dir(&granted).unwrap();
    assert_eq!(domain.lacks(&config), [format!("to read {}", granted.display())]);
}
