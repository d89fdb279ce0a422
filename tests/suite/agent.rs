//! The agent under test, as a real process with a real configuration file.

use std::io::{BufRead, BufReader};
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// How long anything that should happen soon may take on a loaded machine.
pub const SOON: Duration = Duration::from_secs(20);

/// Whom the agent becomes when root starts it: a number that no account has.
pub const SOMEBODY: u32 = 54_321;

/// A running `tunnelward run`.
pub struct Agent {
    child: Child,
    log: Arc<Mutex<Vec<String>>>,
    reader: std::thread::JoinHandle<()>,
    log_file: Option<PathBuf>,
    /// Holds the configuration and whatever the test puts beside it.
    pub dir: tempfile::TempDir,
}

/// How to start an agent.
pub struct Setup {
    yaml: String,
    env: Vec<(String, String)>,
    args: Vec<String>,
    before: Vec<String>,
    outer: Option<Vec<String>>,
    program: Option<PathBuf>,
    log_file: Option<PathBuf>,
    no_file: bool,
    /// Holds the configuration and whatever the test puts beside it.
    pub dir: tempfile::TempDir,
}

impl Setup {
    /// With a configuration file of this text.
    pub fn new(yaml: impl Into<String>) -> Self {
        let dir = tempfile::tempdir().unwrap();
        Self {
            yaml: yaml.into(),
            env: Vec::new(),
            args: Vec::new(),
            before: Vec::new(),
            outer: None,
            program: None,
            log_file: None,
            no_file: false,
            dir,
        }
    }

    /// With this configuration instead; `@DIR@` in it is the directory of the agent's files.
    pub fn yaml(mut self, yaml: String) -> Self {
        self.yaml = yaml;
        self
    }

    /// Adds a variable to the otherwise nearly empty environment.
    pub fn env(mut self, name: &str, value: &str) -> Self {
        self.env.push((name.into(), value.into()));
        self
    }

    /// Without a configuration file of its own: arguments and variables say everything.
    pub fn without_file(mut self) -> Self {
        self.no_file = true;
        self
    }

    /// Another program in place of the agent.
    pub fn program(mut self, program: PathBuf) -> Self {
        self.program = Some(program);
        self
    }

    /// On a lesser kernel, as `redteam outer` with these arguments pretends it.
    pub fn outer(mut self, args: &str) -> Self {
        self.outer = Some(args.split_whitespace().map(str::to_string).collect());
        self
    }

    /// The log is in this file, as the configuration says.
    pub fn log_file(mut self, path: PathBuf) -> Self {
        self.log_file = Some(path);
        self
    }

    /// Starts it by a command that executes what follows it, such as `nsenter`.
    pub fn by(mut self, command: &[String]) -> Self {
        self.before = command.to_vec();
        self
    }

    /// Adds arguments after `run --config FILE`.
    pub fn args(mut self, args: &[&str]) -> Self {
        self.args.extend(args.iter().map(|a| (*a).to_string()));
        self
    }

    /// Writes a file beside the configuration and returns its path.
    pub fn file(&self, name: &str, content: &str) -> PathBuf {
        let path = self.dir.path().join(name);
        std::fs::write(&path, content).unwrap();
        // As an operator would: for the agent alone, which reads it again when it has become somebody else.
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
        if rustix::process::geteuid().is_root() {
            std::os::unix::fs::chown(&path, Some(SOMEBODY), Some(SOMEBODY)).unwrap();
        }
        path
    }

    /// Starts it. As root it becomes [`SOMEBODY`], unless the configuration names another.
    pub fn start(self) -> Agent {
        let mut yaml = self.yaml.replace("@DIR@", &self.dir.path().display().to_string());
        if rustix::process::geteuid().is_root() && !yaml.lines().any(|line| line.starts_with("confinement:"))
        {
            yaml += &format!("\nconfinement: {{user: \"{SOMEBODY}\"}}\n");
        }
        // Agents of tests that run at the same time must not meet at the default port.
        if !yaml.lines().any(|line| line.starts_with("health:")) {
            yaml += "\nhealth: {enabled: false}\n";
        }
        let config = self.file("tunnelward.yaml", &yaml);
        let program = self.program.unwrap_or_else(crate::place::agent);
        let own = crate::own_network::agent_before().iter().map(|word| (*word).to_string());
        let before: Vec<String> = self.before.iter().cloned().chain(own).collect();
        let mut command = match (&self.outer, before.split_first()) {
            (Some(lesser), _) => {
                let mut command = traced(crate::lab::attacker());
                command.arg("outer").args(lesser).arg(program);
                command
            }
            (None, Some((first, rest))) => {
                let mut command = Command::new(first);
                command.args(rest).arg(program);
                command
            }
            (None, None) => traced(program),
        };
        command.arg("run");
        if !self.no_file {
            command.arg("--config").arg(&config);
        }
        command.args(&self.args);
        command.env_clear().env("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin");
        command.envs(self.env.iter().map(|(k, v)| (k, v)));
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let log = Arc::new(Mutex::new(Vec::new()));
        let stderr = BufReader::new(child.stderr.take().unwrap());
        let lines = Arc::clone(&log);
        let reader = std::thread::spawn(move || {
            for line in stderr.split(b'\n').map_while(Result::ok) {
                lines.lock().unwrap().push(String::from_utf8_lossy(&line).into_owned());
            }
        });
        Agent { child, log, reader, log_file: self.log_file, dir: self.dir }
    }
}

impl Agent {
    /// The pid of the broker.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// The pid of the worker, once there is one.
    pub fn worker_pid(&self) -> u32 {
        self.child_with("worker").expect("no worker runs")
    }

    /// The pid of a direct child of the broker whose command line contains `text`.
    pub fn child_with(&self, text: &str) -> Option<u32> {
        children_of(self.pid()).into_iter().find(|pid| {
            let line = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
            String::from_utf8_lossy(&line).replace('\0', " ").contains(text)
        })
    }

    /// All log lines so far.
    pub fn log(&self) -> Vec<String> {
        let mut lines = self.log.lock().unwrap().clone();
        if let Some(file) = self.log_file.as_ref().and_then(|path| std::fs::read_to_string(path).ok()) {
            lines.extend(file.lines().map(str::to_owned));
        }
        lines
    }

    /// Waits until a log line contains all the texts, and returns it.
    pub async fn logged(&self, texts: &[&str]) -> String {
        let found = eventually(|| self.log().into_iter().find(|l| texts.iter().all(|t| l.contains(t)))).await;
        found.unwrap_or_else(|| panic!("no log line with {texts:?} in:\n{}", self.log().join("\n")))
    }

    /// How many log lines contain the text.
    pub fn count(&self, text: &str) -> usize {
        self.log().iter().filter(|l| l.contains(text)).count()
    }

    /// Sends a signal to the broker.
    pub fn signal(&self, signal: &str) {
        kill(self.pid(), signal);
    }

    /// Waits for the end of the broker; its log is complete then.
    pub async fn ended(&mut self, within: Duration) -> Option<ExitStatus> {
        let until = Instant::now() + within;
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                eventually(|| self.reader.is_finished().then_some(())).await;
                return Some(status);
            }
            if Instant::now() > until {
                return None;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// Stops it politely; it must exit 0.
    pub async fn stop(mut self) -> Vec<String> {
        self.signal("TERM");
        let status = self.ended(Duration::from_secs(60)).await;
        let log = self.log();
        assert_eq!(status.and_then(|s| s.code()), Some(0), "log:\n{}", log.join("\n"));
        log
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if std::thread::panicking() {
            eprintln!("--- log of the agent ---\n{}", self.log().join("\n"));
        }
    }
}

/// The agent, below strace when `scripts/record-syscalls` asks for traces.
fn traced(program: PathBuf) -> Command {
    static COUNT: std::sync::atomic::AtomicU32 = std::sync::atomic::AtomicU32::new(0);
    let Some(traces) = std::env::var_os("TUNNELWARD_SUITE_TRACES") else { return Command::new(program) };
    let number = COUNT.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
    let mut command = Command::new("strace");
    // Beside the agent (-D), so that the process that was started is the agent.
    command
        .args(["-D", "-f", "-q", "-e", "raw=all", "-o"])
        .arg(PathBuf::from(traces).join(number.to_string()));
    command.arg(program);
    command
}

/// Sends a signal by name.
pub fn kill(pid: u32, signal: &str) {
    let status = Command::new("kill").arg(format!("-{signal}")).arg(pid.to_string()).status().unwrap();
    assert!(status.success(), "kill -{signal} {pid}");
}

/// Direct children of a process.
pub fn children_of(pid: u32) -> Vec<u32> {
    let mut children = Vec::new();
    for entry in std::fs::read_dir("/proc").unwrap().flatten() {
        let Some(candidate) = entry.file_name().to_str().and_then(|n| n.parse::<u32>().ok()) else {
            continue;
        };
        let stat = std::fs::read_to_string(format!("/proc/{candidate}/stat")).unwrap_or_default();
        let parent =
            stat.rsplit(')').next().and_then(|rest| rest.split_whitespace().nth(1).map(str::to_owned));
        if parent.as_deref() == Some(pid.to_string().as_str()) {
            children.push(candidate);
        }
    }
    children
}

/// Whether a process exists and is not a zombie.
pub fn alive(pid: u32) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    let state = stat.rsplit(')').next().and_then(|rest| rest.split_whitespace().next().map(str::to_owned));
    !matches!(state.as_deref(), None | Some("Z" | "X"))
}

/// Asks again and again until there is an answer or [`SOON`] has passed.
pub async fn eventually<T>(mut look: impl FnMut() -> Option<T>) -> Option<T> {
    let until = Instant::now() + SOON;
    loop {
        if let Some(found) = look() {
            return Some(found);
        }
        if Instant::now() > until {
            return None;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}
