use super::*;

fn manager() -> (tempfile::TempDir, UnixDatagram, BTreeMap<String, String>) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("notify");
    let socket = UnixDatagram::bind(&path).unwrap();
    socket.set_nonblocking(true).unwrap();
    let env = BTreeMap::from([("NOTIFY_SOCKET".to_string(), path.to_str().unwrap().to_string())]);
    (dir, socket, env)
}

fn heard(socket: &UnixDatagram) -> Vec<String> {
    let mut buffer = [0; 4096];
    let mut all = Vec::new();
    while let Ok(n) = socket.recv(&mut buffer) {
        all.push(String::from_utf8(buffer[..n].to_vec()).unwrap());
    }
    all
}

#[test]
fn the_start_is_extended_until_the_first_poll_and_ready_is_said_once() {
    let (_dir, socket, env) = manager();
    let start = Instant::now();
    let mut notify = Notify::new(&env, start);
    for second in 0..=20 {
        notify.tick(start + Duration::from_secs(second));
    }
    assert_eq!(heard(&socket), vec!["EXTEND_TIMEOUT_USEC=30000000\n"; 3]);
    assert!(notify.deadline().is_some());
    notify.status("control plane: connection refused");
    notify.status("control plane: connection refused");
    notify.ready();
    notify.status("polling the control plane");
    notify.tick(start + Duration::from_secs(60));
    notify.ready();
    notify.status("polling the control plane");
    assert_eq!(
        heard(&socket),
        ["STATUS=control plane: connection refused\n", "READY=1\n", "STATUS=polling the control plane\n"]
    );
    assert_eq!(notify.deadline(), None);
    notify.stopping();
    assert_eq!(heard(&socket), ["STOPPING=1\n"]);
}

#[test]
fn a_reason_from_below_cannot_say_anything_else() {
    let (_dir, socket, env) = manager();
    let mut notify = Notify::new(&env, Instant::now());
    notify.status("bad\nREADY=1\rMAINPID=1\0");
    assert_eq!(heard(&socket), ["STATUS=bad READY=1 MAINPID=1 \n"]);
}

#[test]
fn a_manager_that_does_not_listen_delays_nothing() {
    let (_dir, _socket, env) = manager();
    let mut notify = Notify::new(&env, Instant::now());
    for n in 0..10_000 {
        notify.status(&n.to_string());
    }
}

#[test]
fn without_a_manager_nothing_is_due() {
    let now = Instant::now();
    let mut notify = Notify::new(&BTreeMap::new(), now);
    notify.ready();
    notify.status("polling the control plane");
    assert_eq!(Notify::new(&BTreeMap::new(), now).deadline(), None);
    let env = BTreeMap::from([("NOTIFY_SOCKET".to_string(), "/nonexistent/x".to_string())]);
    assert_eq!(Notify::new(&env, now).deadline(), None);
}

#[test]
fn a_reload_is_announced_once_and_its_end_too_by_a_service_that_is_ready() {
    let (_dir, socket, env) = manager();
    let mut notify = Notify::new(&env, Instant::now());
    notify.reloading();
    notify.reloaded();
    assert_eq!(heard(&socket), [""; 0], "it is still starting");
    notify.ready();
    notify.status("polling the control plane");
    heard(&socket);
    notify.reloading();
    notify.reloading();
    let said = heard(&socket);
    assert_eq!(said.len(), 1);
    let usec = said[0].strip_prefix("RELOADING=1\nMONOTONIC_USEC=").unwrap().trim_end();
    assert!(usec.parse::<u64>().unwrap() > 0);
    notify.reloaded();
    notify.reloaded();
    assert_eq!(heard(&socket), ["READY=1\n"]);
}

#[test]
fn the_watchdog_is_fed_when_it_watches_this_process() {
    let (_dir, socket, env) = manager();
    let pid = std::process::id();
    let with = |usec: &str, of: &str| {
        let mut env = env.clone();
        env.insert("WATCHDOG_USEC".into(), usec.into());
        if !of.is_empty() {
            env.insert("WATCHDOG_PID".into(), of.into());
        }
        Notify::new(&env, Instant::now())
    };
    for notify in [with("3000000", &pid.to_string()), with("3000000", "")] {
        assert_eq!(notify.alive_every(), Some(Duration::from_secs(1)));
        notify.alive();
        assert_eq!(heard(&socket), ["WATCHDOG=1\n"]);
    }
    for notify in [with("3000000", "1"), with("0", ""), with("x", ""), with("1", "x")] {
        assert_eq!(notify.alive_every(), None);
        notify.alive();
        assert_eq!(heard(&socket), [""; 0]);
    }
    assert_eq!(watchdog(&BTreeMap::new(), pid), None);
}
