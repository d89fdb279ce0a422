//! `doctor` on set-ups that are broken in one way: what it reports, and an operator who does what it says and nothing else.
//!
//! The profile is kept as a value and written as JSON, which is YAML, so that the steps of the advice can be applied to it
//! without thinking.

use std::collections::BTreeMap;
use std::os::unix::fs::{PermissionsExt as _, chown, symlink};
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use crate::agent::SOMEBODY;
use crate::lab::{ControlPlane, Options, Stub, StubOptions};
use crate::tls_peers::free_port;

/// A machine with a configuration, between a control plane and an MCP server that are in order.
pub struct Patient {
    /// The control plane.
    pub plane: ControlPlane,
    /// The MCP server.
    pub stub: Stub,
    /// The profile.
    pub profile: Value,
    /// The environment.
    pub env: BTreeMap<String, String>,
    /// Arguments after those that name the profile.
    pub args: Vec<String>,
    /// Whether the profile is named by `--config`.
    pub named: bool,
    /// What the operator knows, by the word in angle brackets.
    pub known: BTreeMap<String, String>,
    /// Holds everything.
    pub dir: tempfile::TempDir,
}

/// What doctor reported.
pub struct Report {
    /// The exit code.
    pub code: i32,
    /// The JSON.
    pub json: Value,
    /// Everything that was printed.
    pub text: String,
}

impl Report {
    /// The checks that failed.
    pub fn failed(&self) -> Vec<&str> {
        let failed = self.json["failed_checks"].as_array();
        failed.into_iter().flatten().map(|id| id.as_str().unwrap()).collect()
    }

    /// The finding of a check.
    pub fn check(&self, id: &str) -> &Value {
        let checks = self.json["checks"].as_array().unwrap();
        checks.iter().find(|check| check["id"] == id).unwrap_or(&Value::Null)
    }
}

impl Patient {
    /// In the best of health.
    pub async fn new(options: Options) -> Self {
        let plane = ControlPlane::start(options.clone()).await;
        let stub = Stub::start(StubOptions::default()).await;
        // As most servers: no such document.
        stub.handler(|request| {
            let none = crate::lab::Reply::status(404);
            request.path.starts_with("/.well-known/").then_some(none)
        });
        let dir = crate::place::servers_dir();
        std::fs::create_dir(dir.path().join("bin")).unwrap();
        symlink(crate::place::agent(), dir.path().join("bin/tunnelward")).unwrap();
        let mut patient = Self {
            plane,
            stub,
            profile: Value::Null,
            env: BTreeMap::new(),
            args: Vec::new(),
            named: true,
            known: BTreeMap::new(),
            dir,
        };
        let (key, ca) = (patient.plane.api_key.clone(), patient.plane.ca_pem());
        let (key, ca) = (patient.file("key", &key), patient.file("ca.pem", &ca));
        let client = patient.plane.ca.client("the agent");
        patient.file("client.pem", &client.cert_pem);
        patient.file("client.key", &client.key_pem);
        let url = patient.plane.url();
        patient.profile = json!({
            "config_version": 1,
            "ca_bundle": ca,
            "control_plane": {
                "base_url": url, "tunnel_id": patient.plane.tunnel_id, "api_key": format!("file:{key}"),
            },
            "health": {"listen_addr": format!("127.0.0.1:{}", free_port())},
            "mcp": {"server_urls": [{"channel": "main", "url": patient.stub.url()}]},
        });
        if rustix::process::geteuid().is_root() {
            patient.profile["confinement"] = json!({"user": SOMEBODY.to_string()});
        }
        if options.require_client_cert {
            patient.profile["control_plane"]["client_cert"] = patient.path("client.pem").into();
            patient.profile["control_plane"]["client_key"] = patient.path("client.key").into();
        }
        let lab = format!("{} stub-stdio", crate::lab::program().display());
        for (word, value) in [
            ("TUNNEL_ID", patient.plane.tunnel_id.clone()),
            ("API_KEY_REFERENCE", format!("file:{key}")),
            ("VALUE", patient.plane.api_key.clone()),
            ("MCP_URL", patient.stub.url()),
            ("HTTPS_URL", patient.plane.url()),
            ("MCP_COMMAND", lab),
            ("NETWORK", "127.0.0.0/8".into()),
            ("CA_BUNDLE", ca),
            ("CLIENT_CERT", patient.path("client.pem")),
            ("CLIENT_KEY", patient.path("client.key")),
        ] {
            patient.known.insert(word.into(), value);
        }
        patient
    }

    /// The path of a file beside the profile.
    pub fn path(&self, name: &str) -> String {
        self.dir.path().join(name).display().to_string()
    }

    /// Writes a file for the agent alone, and returns its path.
    pub fn file(&self, name: &str, content: &str) -> String {
        let path = self.dir.path().join(name);
        std::fs::write(&path, content).unwrap();
        mode(&path, 0o600);
        if rustix::process::geteuid().is_root() {
            chown(&path, Some(SOMEBODY), Some(SOMEBODY)).unwrap();
        }
        path.display().to_string()
    }

    /// The MCP server is started by this command.
    pub fn by_command(&mut self, command: &str) {
        self.profile["mcp"] = json!({"commands": [{"channel": "main", "command": command}]});
    }

    /// Where the profile is.
    pub fn profile_path(&self) -> PathBuf {
        self.dir.path().join("profile.yaml")
    }

    /// Writes the profile as it is now; its permissions stay if it is there.
    pub fn write(&self) {
        let path = self.profile_path();
        let before = path.metadata().ok().map(|found| found.permissions());
        self.file("profile.yaml", &serde_json::to_string_pretty(&self.profile).unwrap());
        before.into_iter().for_each(|before| std::fs::set_permissions(&path, before).unwrap());
    }

    /// Runs doctor with these flags.
    pub async fn run(&self, flags: &[&str]) -> (i32, String) {
        let mut command = tokio::process::Command::new(crate::place::agent());
        command.arg("doctor").args(flags);
        if self.named {
            command.arg("--config").arg(self.profile_path());
        }
        command.args(&self.args).env_clear().env("PATH", "/usr/bin:/bin").env("HOME", self.dir.path());
        command.envs(&self.env).stdin(std::process::Stdio::null());
        let output = command.output().await.unwrap();
        let all = [output.stdout, output.stderr].concat();
        (output.status.code().unwrap(), String::from_utf8(all).unwrap())
    }

    /// Writes the profile and has it examined.
    pub async fn examine(&self) -> Report {
        self.write();
        self.look().await
    }

    /// Has it examined as it lies there.
    pub async fn look(&self) -> Report {
        let (code, text) = self.run(&["--json"]).await;
        assert!(!text.contains(&self.plane.api_key), "the key was printed:\n{text}");
        let json = serde_json::from_str(&text).unwrap_or_else(|e| panic!("{e}: {text}"));
        Report { code, json, text }
    }

    /// Does what the first step says, and those that directly follow. What is not a step is returned.
    pub async fn follow(&mut self, next: &str) -> Option<String> {
        for (n, line) in next.lines().enumerate() {
            if !self.step(line).await {
                return (n == 0).then(|| line.to_owned());
            }
        }
        None
    }

    fn fill(&self, text: &str) -> String {
        let mut text = text.to_owned();
        for (word, value) in &self.known {
            text = text.replace(&format!("<{word}>"), value);
        }
        assert!(!text.contains('<'), "nobody knows {text}");
        text
    }

    async fn step(&mut self, line: &str) -> bool {
        let steps = ["set ", "add ", "rename ", "remove ", "unset ", "drop ", "run: "];
        if !steps.iter().any(|step| line.starts_with(step)) || line.starts_with("set the clock") {
            return false;
        }
        // A URL is one of the control plane or of the MCP server.
        let url = if line.contains("mcp") { self.stub.url() } else { self.plane.url() };
        let line = self.fill(&line.replace("<URL>", &url));
        let file = self.profile_path().display().to_string();
        let inside = |rest: &str, word: &str| {
            let told = rest.strip_suffix(&format!(" {word} {file}"));
            told.unwrap_or_else(|| panic!("not about this profile: {line}")).to_owned()
        };
        if let Some(command) = line.strip_prefix("run: ") {
            let path = format!("{}:/usr/sbin:/usr/bin:/bin", self.dir.path().join("bin").display());
            // The lab, which it may meet, lives on this thread.
            let mut shell = tokio::process::Command::new("sh");
            let ran =
                shell.args(["-c", command]).env("PATH", path).env("HOME", self.dir.path()).output().await;
            let ran = ran.unwrap();
            assert!(ran.status.success(), "{command}: {}", String::from_utf8_lossy(&ran.stderr));
        } else if let Some(rest) = line.strip_prefix("set the variable ") {
            let (name, value) = rest.split_once(" to ").unwrap();
            self.env.insert(name.into(), value.into());
        } else if let Some(name) = line.strip_prefix("unset ") {
            self.env.remove(name).unwrap();
        } else if let Some(flag) = line.strip_prefix("drop ") {
            let at = self.args.iter().position(|arg| arg.starts_with(flag)).unwrap();
            self.args.remove(at);
        } else if let Some(rest) = line.strip_prefix("set --") {
            let (flag, value) = rest.split_once(" to ").unwrap();
            self.args.push(format!("--{flag}={value}"));
        } else if let Some(rest) = line.strip_prefix("set ") {
            let rest = inside(rest, "in");
            let (key, value) = rest.split_once(" to ").unwrap();
            *at(&mut self.profile, key) = value_of(value);
        } else if let Some(rest) = line.strip_prefix("add ") {
            let rest = inside(rest, "in");
            let (value, key) = rest.rsplit_once(" to ").unwrap();
            let list = at(&mut self.profile, key);
            if list.is_null() {
                *list = json!([]);
            }
            list.as_array_mut().unwrap().push(value_of(value));
        } else if let Some(rest) = line.strip_prefix("rename ") {
            let rest = inside(rest, "in");
            let (key, name) = rest.split_once(" to ").unwrap();
            let value = take(&mut self.profile, key);
            let parent = key.rsplit_once('.').map(|(parent, _)| format!("{parent}.")).unwrap_or_default();
            *at(&mut self.profile, &format!("{parent}{name}")) = value;
        } else if let Some(rest) = line.strip_prefix("remove ") {
            take(&mut self.profile, &inside(rest, "from"));
        }
        true
    }
}

/// Sets permissions.
pub fn mode(path: impl AsRef<Path>, mode: u32) {
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
}

/// A value of YAML in the few forms that advice has.
fn value_of(text: &str) -> Value {
    if let Some(members) = text.strip_prefix('{').and_then(|rest| rest.strip_suffix('}')) {
        let member = |pair: &str| {
            let (key, value) = pair.split_once(": ").unwrap();
            (key.to_owned(), value_of(value))
        };
        return members.split(", ").map(member).collect::<serde_json::Map<_, _>>().into();
    }
    serde_json::from_str(text).unwrap_or_else(|_| text.into())
}

/// The place of a dotted key, made if it is not there.
pub fn at<'v>(root: &'v mut Value, key: &str) -> &'v mut Value {
    key.split('.').fold(root, |value, part| {
        let (name, index) = match part.split_once('[') {
            Some((name, index)) => (name, Some(index.trim_end_matches(']').parse::<usize>().unwrap())),
            None => (part, None),
        };
        let value = &mut value[name];
        match index {
            Some(index) => &mut value[index],
            None => value,
        }
    })
}

fn take(root: &mut Value, key: &str) -> Value {
    let (parent, name) = match key.rsplit_once('.') {
        Some((parent, name)) => (at(root, parent), name),
        None => (root, key),
    };
    match name.split_once('[') {
        Some((name, index)) => {
            let list = parent[name].as_array_mut().unwrap();
            list.remove(index.trim_end_matches(']').parse().unwrap())
        }
        None => parent.as_object_mut().unwrap().remove(name).unwrap(),
    }
}
