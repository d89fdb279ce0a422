//! `init` in a terminal and without one: on an empty machine it makes a profile with which `doctor` is content and `run`
//! serves, and whatever stops it leaves nothing behind.

use std::fs::File;
use std::io::{Read as _, Write as _};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};

use crate::agent::SOON;
use crate::calls::{initialize, tool};
use crate::lab::{ControlPlane, Options, Stub, StubOptions};

const ID: &str = "tunnel_0123456789abcdef0123456789abcdef";

/// A machine on which nobody has been yet: an empty home, and an ordinary user who sits at it.
struct Machine {
    home: tempfile::TempDir,
    env: Vec<(String, String)>,
}

/// What a user is who is not root.
const NOBODY: u32 = 65_534;

impl Machine {
    fn new() -> Self {
        let home = tempfile::tempdir().unwrap();
        if rustix::process::geteuid().is_root() {
            std::os::unix::fs::chown(home.path(), Some(NOBODY), Some(NOBODY)).unwrap();
        }
        Self { home, env: Vec::new() }
    }

    fn profiles(&self) -> PathBuf {
        self.home.path().join(".config/tunnelward")
    }

    /// The agent, as the ordinary user, with what comes before it.
    fn command(&self, before: &[&str], arguments: &[&str]) -> Command {
        let mut words: Vec<String> = before.iter().map(|word| (*word).to_owned()).collect();
        if rustix::process::geteuid().is_root() {
            let ids = [format!("--reuid={NOBODY}"), format!("--regid={NOBODY}")];
            words.extend(["setpriv".to_owned(), "--clear-groups".to_owned()].into_iter().chain(ids));
        }
        words.push(self.agent().display().to_string());
        let mut command = Command::new(&words[0]);
        command.args(&words[1..]).args(arguments).env_clear().env("HOME", self.home.path());
        command.env("PATH", "/usr/bin:/bin").envs(self.env.iter().map(|(k, v)| (k, v)));
        command.current_dir("/");
        command
    }

    /// The agent, where the ordinary user can execute it.
    fn agent(&self) -> PathBuf {
        let copy = self.home.path().join("tunnelward");
        if !copy.exists() {
            std::fs::copy(crate::place::agent(), &copy).unwrap();
            std::fs::set_permissions(&copy, std::fs::Permissions::from_mode(0o755)).unwrap();
        }
        copy
    }

    /// Runs it without a terminal.
    fn run(&self, arguments: &[&str]) -> (i32, String) {
        let output = self.command(&[], arguments).stdin(Stdio::null()).output().unwrap();
        let text = [output.stdout, output.stderr].concat();
        (output.status.code().unwrap(), String::from_utf8(text).unwrap())
    }

    /// Everything that lies in the home, but the program.
    fn files(&self) -> Vec<String> {
        fn walk(directory: &Path, found: &mut Vec<String>) {
            for entry in std::fs::read_dir(directory).unwrap().flatten() {
                found.push(entry.file_name().into_string().unwrap());
                if entry.path().is_dir() {
                    walk(&entry.path(), found);
                }
            }
        }
        let mut found = Vec::new();
        walk(self.home.path(), &mut found);
        found.retain(|name| name != "tunnelward" || self.profiles().exists());
        found.sort();
        found
    }
}

/// A session at a terminal: what is typed goes in, everything that shows is recorded.
struct Terminal {
    master: File,
    shown: Arc<Mutex<String>>,
    child: std::process::Child,
}

impl Terminal {
    /// Starts a command whose controlling terminal this is.
    fn start(machine: &Machine, arguments: &[&str]) -> Self {
        let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC).unwrap();
        grantpt(&master).unwrap();
        unlockpt(&master).unwrap();
        let name = ptsname(&master, Vec::new()).unwrap().into_string().unwrap();
        let slave = File::options().read(true).write(true).open(&name).unwrap();
        // What was started in the background ignores Ctrl-C, and hands that on.
        let outer = ["setsid", "--ctty", "--wait", "env", "--default-signal=INT"];
        let mut command = machine.command(&outer, arguments);
        let [input, output, error] = [(); 3].map(|()| Stdio::from(slave.try_clone().unwrap()));
        let child = command.stdin(input).stdout(output).stderr(error).spawn().unwrap();
        let master = File::from(master);
        let shown = Arc::new(Mutex::new(String::new()));
        let (mut reader, record) = (master.try_clone().unwrap(), Arc::clone(&shown));
        std::thread::spawn(move || {
            let mut some = [0; 4096];
            // It ends with an error when nobody holds the other end.
            while let Ok(n @ 1..) = reader.read(&mut some) {
                record.lock().unwrap().push_str(&String::from_utf8_lossy(&some[..n]));
            }
        });
        Self { master, shown, child }
    }

    fn shown(&self) -> String {
        self.shown.lock().unwrap().clone()
    }

    /// Waits until something shows.
    fn wait_for(&self, text: &str) {
        let until = Instant::now() + SOON;
        while !self.shown().contains(text) {
            assert!(Instant::now() < until, "no {text:?} in\n{}", self.shown());
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// Waits for a question, and types.
    fn answer(&mut self, question: &str, typed: &str) {
        self.wait_for(question);
        // The question is there before the terminal is made deaf.
        std::thread::sleep(Duration::from_millis(100));
        self.master.write_all(typed.as_bytes()).unwrap();
    }

    /// The exit code, when it ends.
    fn end(mut self) -> (Option<i32>, String) {
        let until = Instant::now() + Duration::from_secs(60);
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                std::thread::sleep(Duration::from_millis(50));
                return (status.code(), self.shown());
            }
            assert!(Instant::now() < until, "it does not end:\n{}", self.shown());
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

async fn world() -> (ControlPlane, Stub) {
    let plane = ControlPlane::start(Options { tls: true, ..Options::default() }).await;
    let stub = Stub::start(StubOptions::default()).await;
    stub.handler(|request| request.path.starts_with("/.well-known/").then(|| crate::lab::Reply::status(404)));
    (plane, stub)
}

/// Does what blocks elsewhere, since the lab lives here.
async fn aside<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    tokio::task::spawn_blocking(work).await.unwrap()
}

#[tokio::test]
async fn init_then_doctor_then_run_on_an_empty_machine_in_a_terminal() {
    let (plane, stub) = world().await;
    let mut machine = Machine::new();
    let ca = machine.home.path().join("lab-ca.pem");
    std::fs::write(&ca, plane.ca_pem()).unwrap();
    // Where the lab is and whom to believe: everything else is answered.
    for (name, value) in [("CONTROL_PLANE_BASE_URL", plane.url()), ("CA_BUNDLE", ca.display().to_string())] {
        machine.env.push((name.into(), value));
    }
    machine.env.push(("HEALTH_LISTEN_ADDR".into(), format!("127.0.0.1:{}", crate::tls_peers::free_port())));
    let (key, url) = (plane.api_key.clone(), stub.url());
    let (machine, commands) = aside(move || {
        let mut init = Terminal::start(&machine, &["init"]);
        init.answer("Tunnel id", "tunnel_7\r");
        init.answer("That is not one.", &format!("{ID}\r"));
        init.answer("MCP server", &format!("{url}\r"));
        // Pasted, with a slip that is taken back.
        init.answer("or paste the key", &format!("{key}x\u{7f}\r"));
        let (code, shown) = init.end();
        assert_eq!(code, Some(0), "{shown}");
        assert!(!shown.contains(&key) && !shown.contains("sk-"), "the key was shown: {shown}");
        let commands: Vec<String> = shown
            .lines()
            .filter_map(|line| Some(line.trim_end().split_once("tunnelward ")?.1.to_owned()))
            .filter(|command| command.starts_with("doctor") || command.starts_with("run"))
            .collect();
        (machine, commands)
    })
    .await;
    assert_eq!(commands, ["doctor --profile sample_mcp_with_dcr", "run --profile sample_mcp_with_dcr"]);
    let mode = |path: &Path| path.metadata().unwrap().mode() & 0o777;
    let profiles = machine.profiles();
    assert_eq!(mode(&profiles), 0o700);
    for name in ["sample_mcp_with_dcr.yaml", "sample_mcp_with_dcr.key", "sample_mcp_with_dcr.policy.yaml"] {
        assert_eq!(mode(&profiles.join(name)), 0o600, "{name}");
    }
    let profile = std::fs::read_to_string(profiles.join("sample_mcp_with_dcr.yaml")).unwrap();
    assert!(!profile.contains(&plane.api_key), "{profile}");
    let policy = std::fs::read_to_string(profiles.join("sample_mcp_with_dcr.policy.yaml")).unwrap();
    assert!(policy.contains("tools: [\"echo\"]"), "{policy}");

    let (machine, (code, shown)) = aside(move || {
        let ended = Terminal::start(&machine, &commands[0].split(' ').collect::<Vec<_>>()).end();
        (machine, ended)
    })
    .await;
    assert_eq!(code, Some(0), "{shown}");
    assert!(
        shown.contains("RESULT ok\r\nNEXT   tunnelward run --profile sample_mcp_with_dcr\r\n"),
        "{shown}"
    );

    let mut run = Terminal::start(&machine, &["run", "--profile", "sample_mcp_with_dcr"]);
    plane.wait_for_poll(1, SOON).await;
    plane.enqueue(initialize("r0"));
    plane.wait_for_response("r0", SOON).await;
    plane.enqueue(tool("r1", "echo", r#"{"text":"first use"}"#));
    let answer = plane.wait_for_response("r1", SOON).await;
    assert!(answer.resp_json.as_ref().unwrap().contains("first use"), "{:?}", answer.resp_json);
    // Ctrl-C.
    run.answer("poll", "\u{3}");
    let (code, shown) = aside(move || run.end()).await;
    assert_eq!(code, Some(0), "{shown}");
    plane.assert_clean();
}

#[test]
fn whoever_stops_answering_leaves_nothing_behind() {
    let machine = Machine::new();
    machine.agent();
    for (answered, typed) in
        [(0, "\u{3}"), (0, "\u{4}"), (1, "\u{3}"), (1, "\u{4}"), (2, "\u{3}"), (2, "\u{4}")]
    {
        let mut init = Terminal::start(&machine, &["init"]);
        let questions = ["Tunnel id", "MCP server", "API key"];
        let answers = [format!("{ID}\r"), "http://127.0.0.1:9/mcp\r".to_owned()];
        for (question, answer) in questions.iter().zip(&answers).take(answered) {
            init.answer(question, answer);
        }
        init.answer(questions[answered], typed);
        let (code, shown) = init.end();
        assert_ne!(code, Some(0), "{shown}");
        assert_eq!(machine.files(), Vec::<String>::new(), "{answered} answers, then {typed:?}: {shown}");
    }
}

#[test]
fn what_is_missing_without_a_terminal_is_named() {
    let machine = Machine::new();
    for (arguments, named) in [
        (&["init"][..], "--tunnel-id is missing"),
        (&["init", "--tunnel-id", ID], "--mcp-server-url or --mcp-command is missing"),
        (
            &["init", "--tunnel-id", ID, "--mcp-server-url", "http://h/", "--sample", "x"],
            "--sample: there are sample_mcp_with_dcr,",
        ),
        (&["init", "--tunnel-id", ID, "--mcp-server-url=http://h/", "--mcp-command=x"], "mutually exclusive"),
        (&["init", "--profile", "../x", "--tunnel-id", ID], "--profile is no name"),
    ] {
        let (code, text) = machine.run(arguments);
        assert_eq!(code, 64, "{arguments:?}: {text}");
        assert!(text.contains(named), "{arguments:?}: {text}");
    }
    let key = "sk-hunter2";
    let (code, text) =
        machine.run(&["init", "--tunnel-id", ID, "--mcp-command=x", "--control-plane-api-key-ref", key]);
    assert_eq!(code, 64, "{text}");
    assert!(
        text.contains("must begin with env:, file: or credential:") && !text.contains("hunter2"),
        "{text}"
    );
    assert_eq!(machine.files(), Vec::<String>::new());
}

#[test]
fn what_the_parser_refuses_and_a_program_that_is_not_there_leave_nothing_behind() {
    let machine = Machine::new();
    for (server, said) in [
        ("--mcp-server-url=ftp://h/", "mcp.server_urls[0]"),
        ("--mcp-command=no-such-program-here", "\"no-such-program-here\" was not found"),
        ("--mcp-command=sh /nonexistent.sh", "script \"/nonexistent.sh\" was not found"),
    ] {
        let (code, text) = machine.run(&["init", "--tunnel-id", ID, server]);
        assert_eq!(code, 78, "{text}");
        assert!(text.contains(said), "{text}");
        assert_eq!(machine.files(), Vec::<String>::new());
    }
}

#[test]
fn every_sample_is_a_profile_that_tunnelward_takes() {
    let machine = Machine::new();
    let url = "--mcp-server-url=http://127.0.0.1:9/mcp";
    for (sample, server) in [
        ("sample_mcp_with_dcr", url),
        ("sample_mcp_stdio_local", "--mcp-command=/bin/true"),
        ("sample_mcp_remote_no_auth", url),
        ("sample_mcp_enterprise_proxy", url),
    ] {
        let (code, text) = machine.run(&[
            "init",
            "--profile",
            sample,
            "--sample",
            sample,
            "--tunnel-id",
            ID,
            server,
            "--open-web-ui",
        ]);
        assert_eq!(code, 0, "{text}");
        assert!(text.contains("note: --open-web-ui is ignored"), "{text}");
        assert!(text.contains(&format!("Sample   {sample}\n")), "{text}");
        assert!(text.contains("Before   set CONTROL_PLANE_API_KEY in the environment"), "{text}");
        let profile = std::fs::read_to_string(machine.profiles().join(format!("{sample}.yaml"))).unwrap();
        for part in [
            "config_version: 1\n",
            "  api_key: \"env:CONTROL_PLANE_API_KEY\"\n",
            "  listen_addr: \"127.0.0.1:8080\"\n",
            "  open_browser: false\n",
            "  level: info\n  format: json\n",
        ] {
            assert!(profile.contains(part), "{sample}: {profile}");
        }
        let proxied = profile.contains("ca_bundle: env:ENTERPRISE_CA_BUNDLE\n")
            && profile.contains("http_proxy: env:HTTPS_PROXY\n");
        assert_eq!(proxied, sample == "sample_mcp_enterprise_proxy", "{profile}");
    }
}

#[test]
fn a_profile_that_is_there_stays_unless_it_is_to_be_replaced() {
    let machine = Machine::new();
    let arguments =
        ["init", "--profile", "mine", "--tunnel-id", ID, "--mcp-server-url=http://127.0.0.1:9/mcp"];
    assert_eq!(machine.run(&arguments).0, 0);
    let path = machine.profiles().join("mine.yaml");
    std::fs::write(&path, "mine\n").unwrap();
    let (code, text) = machine.run(&arguments);
    assert_eq!(code, 73, "{text}");
    assert_eq!(text, "profile \"mine\" already exists; pass --force to replace it\n");
    assert_eq!(std::fs::read_to_string(&path).unwrap(), "mine\n");
    let (code, text) = machine.run(&[&arguments[..], &["--force"]].concat());
    assert_eq!(code, 0, "{text}");
    assert!(std::fs::read_to_string(&path).unwrap().contains("config_version: 1"));
}

#[test]
fn a_profile_of_tunnel_client_is_taken_over_byte_for_byte() {
    let mut machine = Machine::new();
    machine.env.push(("CONTROL_PLANE_API_KEY".into(), "sk-test".into()));
    let theirs = machine.home.path().join(".config/tunnel-client");
    std::fs::create_dir_all(&theirs).unwrap();
    let text = format!(
        "# ours, with a comment\nconfig_version: 1\ncontrol_plane: {{tunnel_id: {ID}, api_key: 'env:CONTROL_PLANE_API_KEY'}}\n\
         mcp: {{server_urls: [{{url: 'http://127.0.0.1:9/mcp'}}]}}\nadmin_ui: {{open_browser: false, allow_remote: false}}\n"
    );
    std::fs::write(theirs.join("site.yaml"), &text).unwrap();
    if rustix::process::geteuid().is_root() {
        for path in [machine.home.path().join(".config"), theirs.clone(), theirs.join("site.yaml")] {
            std::os::unix::fs::chown(path, Some(NOBODY), Some(NOBODY)).unwrap();
        }
    }
    // Without a terminal it is only mentioned.
    let (code, said) = machine.run(&["init"]);
    assert_eq!(code, 64, "{said}");
    assert!(said.contains("give --from "), "{said}");
    // With one it is asked.
    let mut init = Terminal::start(&machine, &["init"]);
    init.answer("Take it over as it is? [Y/n]", "\r");
    let (code, shown) = init.end();
    assert_eq!(code, Some(0), "{shown}");
    let made = machine.profiles().join("site.yaml");
    assert_eq!(std::fs::read_to_string(&made).unwrap(), text);
    assert_eq!(made.metadata().unwrap().mode() & 0o777, 0o600);
    // What does not pass the check is not copied.
    std::fs::write(theirs.join("site.yaml"), text.replace("open_browser: false", "open_browser: true"))
        .unwrap();
    let from = theirs.join("site.yaml").display().to_string();
    let (code, said) = machine.run(&["init", "--from", &from, "--profile", "other"]);
    assert_eq!(code, 78, "{said}");
    assert!(said.contains("rejects non-default admin_ui.open_browser"), "{said}");
    assert!(!machine.profiles().join("other.yaml").exists());
}

/// As root the files become the agent's, so that a reload can read them; where there is no account, a number is named.
#[test]
fn what_root_makes_belongs_to_the_agent() {
    if !rustix::process::geteuid().is_root() {
        // Somebody else's files cannot be given away; they stay ours.
        let machine = Machine::new();
        let arguments = ["init", "--tunnel-id", ID, "--mcp-server-url=http://127.0.0.1:9/mcp"];
        assert_eq!(machine.run(&arguments).0, 0);
        let made = machine.profiles().join("sample_mcp_with_dcr.yaml").metadata().unwrap();
        assert_eq!(made.uid(), rustix::process::geteuid().as_raw());
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    std::fs::set_permissions(dir.path(), std::fs::Permissions::from_mode(0o755)).unwrap();
    let profiles = dir.path().join("profiles");
    let mut command = Command::new(crate::place::agent());
    command.args(["init", "--tunnel-id", ID, "--mcp-server-url=http://127.0.0.1:9/mcp", "--profile-dir"]);
    let ran = command.arg(&profiles).env_clear().stdin(Stdio::null()).output().unwrap();
    assert!(ran.status.success(), "{}", String::from_utf8_lossy(&ran.stderr));
    let path = profiles.join("sample_mcp_with_dcr.yaml");
    let text = std::fs::read_to_string(&path).unwrap();
    let accounts = std::fs::read_to_string("/etc/passwd").unwrap();
    let account = accounts.lines().find_map(|line| {
        let fields: Vec<&str> = line.split(':').collect();
        (fields[0] == "tunnelward").then(|| fields[2].parse::<u32>().unwrap())
    });
    let uid = account.unwrap_or(60_999);
    assert_eq!(text.contains("user: \"60999\""), account.is_none(), "{text}");
    for path in [&path, &profiles] {
        assert_eq!(path.metadata().unwrap().uid(), uid, "{}", path.display());
    }
    assert_eq!(path.metadata().unwrap().mode() & 0o777, 0o600);
    assert_eq!(profiles.metadata().unwrap().mode() & 0o777, 0o700);
}
