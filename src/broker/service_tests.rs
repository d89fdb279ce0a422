//! The whole broker against real processes: this test binary plays the worker and launch, by running one of its own
//! tests. Which part the worker plays is written in the tunnel id of its configuration.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use super::*;
use crate::broker::testing::{images, renewal, shell};
use crate::config::confinement::{Confinement, DEFAULT_ABI, OnViolation};
use crate::config::types::{
    Binding, Command, Log as LogConfig, Restart, Stop, Transport, Worker as WorkerConfig,
};
use crate::ipc::channel::{Channel as Socket, Received};
use crate::ipc::msg::{Ask, CallKind, Era, FromWorker, ToWorker};
use crate::log::{Format, Level};
use crate::sys::{memfd, message, process};

const SOON: Duration = Duration::from_secs(30);

const READY: FromWorker = FromWorker::Ready { landlock: 7, filters: 3 };

pub fn config(part: &str, commands: Vec<Command>) -> Config {
    let bindings = (0_u8..).zip(&commands).map(|(index, command)| Binding {
        channel: command.channel.clone(),
        stateless: false,
        transport: Transport::Stdio { index, serialize: false },
    });
    let mut worker = crate::control::testing::worker("http://127.0.0.1:9");
    worker.control.tunnel_id = part.into();
    (worker.bindings, worker.require) = (bindings.collect(), DEFAULT_ABI);
    Config {
        worker,
        commands,
        unix_sockets: BTreeMap::new(),
        log: LogConfig { level: Level::Debug, format: Format::Text, file: None },
        stop: Stop { drain_timeout: Duration::ZERO, poll_grace: Duration::ZERO },
        restart: Restart { backoff_min: Duration::from_millis(10), ..Restart::default() },
        confinement: Confinement { require: DEFAULT_ABI, identity: None, on_violation: OnViolation::Stop },
        audit: None,
        health: crate::config::health::Health { listen: None, ..Default::default() },
        file_sha256: None,
        own_files: vec![],
        files: BTreeSet::new(),
        readable: BTreeSet::new(),
        reload_interval: None,
        warnings: vec![],
    }
}

pub struct House {
    broker: Broker,
    lines: Arc<Mutex<Vec<String>>>,
    _manager: (tempfile::TempDir, std::os::unix::net::UnixDatagram),
}

impl House {
    fn new(part: &str, commands: Vec<Command>) -> Self {
        let (log, lines) = Log::memory();
        let signals = Signals::block().unwrap();
        // A manager that asks to be told something every ten seconds wakes a loop that would wait for ever.
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("notify");
        let manager = std::os::unix::net::UnixDatagram::bind(&path).unwrap();
        let env = BTreeMap::from([("NOTIFY_SOCKET".to_string(), path.to_str().unwrap().to_string())]);
        let notify = Notify::new(&env, Instant::now());
        let config = config(part, commands);
        let broker = Broker::new(
            &Sealed::of_a_test(),
            config,
            "0".repeat(32),
            renewal(),
            (images(), signals, notify, Front::default()),
            log,
        );
        Self { broker, lines, _manager: (dir, manager) }
    }

    pub fn start(part: &str, commands: Vec<Command>) -> Self {
        let mut house = Self::new(part, commands);
        house.broker.begin(Instant::now()).unwrap();
        house
    }

    pub fn log(&self) -> Vec<String> {
        self.lines.lock().unwrap().clone()
    }

    fn count(&self, text: &str) -> usize {
        self.log().iter().filter(|l| l.contains(text)).count()
    }

    /// Turns the loop until a line with the text was logged so many times.
    pub fn until(&mut self, text: &str, times: usize) {
        let end = Instant::now() + SOON;
        while self.count(text) < times {
            assert!(Instant::now() < end, "no {times} lines with {text:?} in {:#?}", self.log());
            assert_eq!(self.broker.turn().unwrap(), None, "{:#?}", self.log());
        }
    }

    fn end(&mut self) -> Exit {
        let end = Instant::now() + SOON;
        loop {
            assert!(Instant::now() < end, "no end in {:#?}", self.log());
            if let Some(exit) = self.broker.turn().unwrap() {
                return exit;
            }
        }
    }
}

impl Drop for House {
    fn drop(&mut self) {
        self.broker.kill_all();
    }
}

// ---- the roles ----

#[test]
fn as_worker() {
    if std::env::args().any(|a| a == "--") {
        Player::enter().play();
    }
}

/// A worker without a network.
struct Player {
    socket: Socket<FromWorker, ToWorker>,
    raw: std::os::fd::OwnedFd,
    log: Log,
    part: String,
    pipes: Vec<(u32, std::fs::File, std::fs::File)>,
    orphaned: bool,
}

impl Player {
    fn enter() -> Self {
        let socket = process::enter_worker().unwrap();
        let raw = socket.try_clone().unwrap();
        let (socket, log) = (Socket::new(socket), Log::relay(Level::Debug));
        let mut player = Self { socket, raw, log, part: String::new(), pipes: vec![], orphaned: false };
        let (first, mut fds) = player.frame();
        let [ToWorker::Config { size, sha256, instance_id }] = &first[..] else { panic!("{first:?}") };
        assert_eq!((fds.len(), instance_id.len()), (1, 32));
        let json = memfd::read_sealed(fds.remove(0), *size).unwrap();
        assert_eq!(crate::ipc::digest::sha256_hex(&json), *sha256);
        let config: WorkerConfig = serde_json::from_slice(&json).unwrap();
        assert_eq!(config.control.api_key.expose(), "sk-secret");
        assert_eq!(std::env::vars_os().count(), 0, "the environment is empty");
        player.part = config.control.tunnel_id;
        player
    }

    fn frame(&mut self) -> (Vec<ToWorker>, Vec<std::os::fd::OwnedFd>) {
        loop {
            match self.socket.recv().unwrap() {
                Received::Frame(messages, fds) => return (messages, fds),
                Received::Closed => std::process::abort(),
                Received::Nothing => {
                    poll::wait(&[Interest::read(self.socket.fd())], None).unwrap();
                }
            }
        }
    }

    fn says(&mut self, message: FromWorker) {
        self.socket.queue(&message, vec![]).unwrap();
        assert!(self.socket.flush().unwrap());
    }

    fn asks(&mut self, call: u64, id: &str) {
        self.asks_within(call, id, 60_000);
    }

    fn asks_within(&mut self, call: u64, id: &str, ttl_ms: u64) {
        self.says(FromWorker::Ask(Ask {
            call,
            request_id: id.into(),
            shard_token: "shard".into(),
            channel: "main".into(),
            kind: CallKind::Request,
            rpc_id: Some("1".into()),
            ttl_ms: Some(ttl_ms),
            about: None,
        }));
    }

    fn play(mut self) {
        self.says(READY);
        match self.part.as_str() {
            "garbage" => message::send(&self.raw, b"[{\"exec\":{\"path\":\"/bin/sh\"}}]", &[]).unwrap(),
            "descriptor" => {
                message::send(&self.raw, b"[{\"poll_ok\":{}}]", &[self.raw.as_fd()]).unwrap();
            }
            "long" => message::send(&self.raw, &vec![b' '; 70_000], &[]).unwrap(),
            "violation" => process::raise(31),
            "unconfined" => leave(Exit::Violation),
            "ask" => {
                self.asks(1, "r1");
                self.asks(2, "r1");
            }
            _ => {}
        }
        loop {
            let (messages, fds) = self.frame();
            let mut fds = fds.into_iter();
            for message in messages {
                self.log.info("fake", "heard", &[("message", format!("{message:?}").into())]);
                if let ToWorker::Child { generation, .. } = message {
                    let (stdin, stdout) = (fds.next().unwrap().into(), fds.next().unwrap().into());
                    self.pipes.push((generation, stdin, stdout));
                }
                self.orphaned |= matches!(message, ToWorker::Orphan(_));
                self.reacts(message);
            }
        }
    }

    fn reacts(&mut self, message: ToWorker) {
        match (self.part.as_str(), message) {
            ("mute", ToWorker::Drain { .. }) => {}
            (_, ToWorker::Drain { .. }) => {
                self.says(FromWorker::Drained { unfinished: 0 });
                // Not by returning: the harness would write to a place that is not ours.
                leave(Exit::Ok);
            }
            // The first life ends here; the next ones hear of the call as an orphan.
            ("ask", ToWorker::Verdict { call: 2, .. }) if !self.orphaned => std::process::abort(),
            ("echo", ToWorker::Child { generation, .. }) => {
                use std::io::{BufRead as _, Write as _};
                let (_, stdin, stdout) = self.pipes.last_mut().unwrap();
                stdin.write_all(b"ping\n").unwrap();
                let lines = io::BufReader::new(stdout).lines();
                let line = lines.map(Result::unwrap).find(|l| l.contains("pong")).unwrap();
                self.log.info("fake", "echo", &[("line", line.into()), ("generation", generation.into())]);
            }
            ("late", ToWorker::Go { .. }) => self.says(FromWorker::Beat { late_ms: 10_001 }),
            ("overdue", ToWorker::Go { .. }) => self.asks_within(1, "r1", 0),
            // It moves, but for that one call.
            ("overdue", ToWorker::Verdict { .. }) => loop {
                std::thread::sleep(Duration::from_secs(1));
                self.says(FromWorker::Beat { late_ms: 0 });
            },
            ("eras", ToWorker::Child { index, generation: 1, .. }) => {
                self.says(FromWorker::Spawn { index, era: Era::Stateless, seen: 1 });
                self.says(FromWorker::Spawn { index, era: Era::Stateless, seen: 1 });
            }
            // As if it had asked before the child arrived.
            ("crossing", ToWorker::Child { index, generation: 1, .. }) => {
                self.says(FromWorker::Spawn { index, era: Era::Session, seen: 0 });
                self.says(FromWorker::Spawn { index, era: Era::Stateless, seen: 0 });
                self.says(FromWorker::Spawn { index, era: Era::Stateless, seen: 1 });
            }
            ("lost", ToWorker::Child { index, generation: 1, .. }) => {
                self.pipes.clear();
                self.says(FromWorker::ChildLost { index, generation: 1 });
                self.says(FromWorker::Spawn { index, era: Era::Session, seen: 1 });
            }
            _ => {}
        }
    }
}

#[expect(
    clippy::disallowed_methods,
    clippy::exit,
    reason = "the fake worker ends without the harness's words"
)]
fn leave(exit: Exit) -> ! {
    std::process::exit(exit.code().into())
}

// ---- the tests ----

#[test]
fn a_service_starts_serves_and_stops_without_leftovers() {
    let mut house = House::start(
        "echo",
        vec![shell("echo on stderr >&2; while read x; do echo pong $x $ONLY $HOME; done")],
    );
    house.until("pong", 1);
    let log = house.log();
    let echo = log.iter().find(|l| l.contains("pong")).unwrap();
    assert!(echo.contains("\"pong ping this\"") && echo.contains("role=worker"), "{echo}");
    house.until("on stderr", 1);
    let pids: Vec<u32> = house.broker.children.pids().collect();
    house.broker.stop(Instant::now());
    assert_eq!(house.end(), Exit::Ok);
    assert_eq!(house.count("🟢 tunnel-client started"), 1);
    assert_eq!(house.count("worker ended"), 1, "{:#?}", house.log());
    assert_eq!(house.count("mcp child exited"), 1);
    assert_eq!(house.count("level=ERROR"), 0, "{:#?}", house.log());
    assert!(pids.iter().all(|pid| process::exit_fd(*pid).is_err()));
}

#[test]
fn a_dead_workers_calls_are_logged_handed_on_and_never_permitted_again() {
    let mut house = House::start("ask", vec![shell("exec cat")]);
    house.until("worker died", 1);
    let line = house.log().into_iter().find(|l| l.contains("worker died")).unwrap();
    assert!(
        line.contains("signal=6") && line.contains("calls_held=1") && line.contains("request_ids=r1"),
        "{line}"
    );
    house.until("Orphan(Ask", 1);
    house.until("verdict: InDoubt", 2);
    let orphan = house.log().into_iter().find(|l| l.contains("Orphan(Ask")).unwrap();
    assert!(orphan.contains("shard") && !orphan.contains("ttl_ms: Some(60000)"), "{orphan}");
    assert!(house.count("verdict: Permit") <= 1);
    assert_eq!(house.count("🟢 tunnel-client started"), 1);
}

#[test]
fn after_a_worker_crash_the_children_are_replaced() {
    let mut house = House::start("ask", vec![shell("exec cat")]);
    house.until("mcp child started", 2);
    house.until("generation: 2", 1);
    assert_eq!(house.count("mcp child exited"), 1);
    assert_eq!(house.broker.children.pids().count(), 1);
}

#[test]
fn a_worker_that_breaks_the_protocol_is_killed_and_replaced() {
    for (part, reason) in [
        ("garbage", "unknown variant `exec`"),
        ("descriptor", "it sent a descriptor"),
        ("long", "the frame is too long"),
    ] {
        let mut house = House::start(part, vec![shell("exec cat")]);
        house.until("worker died", 2);
        let line = house.log().into_iter().find(|l| l.contains("worker broke the protocol")).unwrap();
        assert!(line.contains(reason), "{part}: {line}");
        assert!(house.log().iter().any(|l| l.contains("worker died") && l.contains("signal=9")));
    }
}

#[test]
fn a_worker_that_dies_again_and_again_is_started_slowly_and_never_ends_the_service() {
    let mut house = House::start("garbage", vec![shell("exec cat")]);
    house.until("worker started", 6);
    house.until("is started slowly", 1);
    assert!(house.broker.restart_at.unwrap() > Instant::now() + Duration::from_secs(50));
    house.broker.stop(Instant::now());
    assert_eq!(house.end(), Exit::Ok);
}

#[test]
fn a_worker_killed_by_its_filter_or_without_confinement_is_not_replaced() {
    for (part, why) in
        [("violation", "killed by its own filter"), ("unconfined", "confinement does not hold")]
    {
        let mut house = House::start(part, vec![shell("exec cat")]);
        assert_eq!(house.end(), Exit::Violation);
        assert_eq!((house.count("worker started"), house.count(why)), (1, 1), "{:#?}", house.log());
        assert!(house.broker.children.is_empty());
    }
}

#[test]
fn a_dead_child_is_announced_gone_and_started_again() {
    let mut house = House::start("echo", vec![shell("read x; echo pong; exit 3")]);
    house.until("pong", 2);
    let log = house.log();
    assert!(log.iter().any(|l| l.contains("mcp child exited") && l.contains("exit_code=3")), "{log:#?}");
    assert!(
        log.iter().any(|l| l.contains("ChildGone { index: 0, generation: 1, retry_in_ms: 10 }")),
        "{log:#?}"
    );
    assert!(log.iter().any(|l| l.contains("Child { index: 0, era: None, generation: 2, ")), "{log:#?}");
}

#[test]
fn a_lost_child_is_stopped_with_its_group_and_replaced() {
    let stubborn = "trap '' TERM; sleep 1000 & echo child $! >&2; while :; do sleep 1; done";
    let mut house = House::start("lost", vec![shell(stubborn)]);
    house.until("line=\"child", 1);
    let line = house.log().into_iter().find(|l| l.contains("line=\"child")).unwrap();
    let grandchild: u32 = line.split("child ").last().unwrap().trim_matches('"').parse().unwrap();
    let begun = Instant::now();
    house.until("mcp child exited", 1);
    assert!(begun.elapsed() > Duration::from_secs(4), "it had its time");
    house.until("era: Some(Session), generation: 2", 1);
    let gone =
        || std::fs::read_to_string(format!("/proc/{grandchild}/stat")).map_or(true, |s| s.contains(") Z"));
    let end = Instant::now() + SOON;
    while !gone() {
        assert!(Instant::now() < end, "a grandchild survived");
    }
}

#[test]
fn the_second_era_gets_a_child_of_its_own_once() {
    let mut house = House::start("eras", vec![shell("exec cat")]);
    house.until("era: Some(Stateless), generation: 2", 1);
    house.broker.stop(Instant::now());
    assert_eq!(house.end(), Exit::Ok);
    assert_eq!(house.count("mcp child started"), 2);
    assert_eq!(house.count("mcp child exited"), 2);
}

#[test]
fn a_wish_that_crosses_the_child_on_the_way_starts_no_other() {
    let mut house = House::start("crossing", vec![shell("exec cat")]);
    house.until("era: Some(Stateless), generation: 2", 1);
    house.broker.stop(Instant::now());
    assert_eq!(house.end(), Exit::Ok);
    assert_eq!(house.count("mcp child started"), 2);
}

#[test]
fn a_worker_that_does_not_finish_is_killed() {
    let mut house = House::start("mute", vec![shell("exec cat")]);
    house.until("🟢 tunnel-client started", 1);
    house.broker.stop(Instant::now());
    assert_eq!(house.end(), Exit::Ok);
    assert!(house.log().iter().any(|l| l.contains("killing the worker") && l.contains("does not finish")));
}

#[test]
fn a_second_stop_signal_ends_everything_at_once() {
    let mut house = House::start("mute", vec![shell("trap '' TERM; while :; do sleep 1; done")]);
    house.until("🟢 tunnel-client started", 1);
    house.broker.stop(Instant::now());
    let begun = Instant::now();
    assert_eq!(house.broker.stop_now(), Exit::TempFail);
    house.end();
    assert!(begun.elapsed() < Duration::from_secs(3));
}

#[test]
fn a_second_stop_signal_when_everything_is_finished_is_no_failure() {
    let mut house = House::start("serve", vec![]);
    house.until("🟢 tunnel-client started", 1);
    house.broker.stop(Instant::now());
    while house.broker.workers.iter().any(|w| !w.is_drained()) {
        assert_eq!(house.broker.turn().unwrap(), None);
    }
    assert_eq!(house.broker.stop_now(), Exit::Ok);
}

#[test]
fn a_server_that_cannot_be_started_at_the_start_ends_the_start() {
    let missing = Command { argv: vec!["/nonexistent/server".into()], ..shell("") };
    let mut house = House::new("echo", vec![shell("exec cat"), missing]);
    assert_eq!(house.broker.begin(Instant::now()), Err(Exit::Unavailable));
    let line = house.log().into_iter().find(|l| l.contains("mcp command cannot be started")).unwrap();
    assert!(
        line.contains("/nonexistent/server") && line.contains("starting the program: No such file"),
        "{line}"
    );
    let cwd = Command { cwd: "/nonexistent".into(), ..shell("") };
    let mut house = House::new("echo", vec![cwd]);
    assert_eq!(house.broker.begin(Instant::now()), Err(Exit::Unavailable));
}

#[test]
fn a_server_that_vanishes_later_is_tried_again() {
    let dir = tempfile::tempdir().unwrap();
    let open = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    std::fs::set_permissions(dir.path(), open).unwrap();
    let link = dir.path().join("server");
    std::os::unix::fs::symlink("/bin/cat", &link).unwrap();
    let command = Command { argv: vec![link.to_str().unwrap().into()], ..shell("") };
    let mut house = House::start("serve", vec![command]);
    std::fs::remove_file(&link).unwrap();
    let now = Instant::now();
    house.until("Child { index: 0", 1);
    house.broker.children.lost(Id { index: 0, generation: 1 }, WorkerId(1), now);
    house.until("mcp command cannot be started", 2);
    house.until("ChildGone { index: 0, generation: 3", 1);
    std::os::unix::fs::symlink("/bin/cat", &link).unwrap();
    house.until("mcp child started", 2);
}
