//! Real forward proxies on loopback: squid and tinyproxy from Debian.

use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::agent::SOON;

/// Which program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Squid,
    Tinyproxy,
}

/// How it behaves.
#[derive(Clone, Copy, Debug, Default)]
pub struct Manner {
    /// The only user name and password that are accepted.
    pub user: Option<(&'static str, &'static str)>,
    /// After so many seconds without a byte a tunnel is cut.
    pub idle: Option<u64>,
    /// What squid reads instead of /etc/hosts.
    pub hosts: Option<&'static str>,
    /// Speak TLS with this certificate and key (squid only).
    pub tls: Option<&'static str>,
    /// Listen on ::1 instead.
    pub v6: bool,
    /// Listen on every IPv4 address instead, for other networks too.
    pub everywhere: bool,
}

/// A running proxy.
pub struct ForwardProxy {
    kind: Kind,
    child: Option<Child>,
    dir: tempfile::TempDir,
    host: &'static str,
    scheme: &'static str,
    port: u16,
}

impl ForwardProxy {
    /// Starts one and waits until it takes connections.
    pub async fn start(kind: Kind, manner: Manner) -> Self {
        let dir = tempfile::tempdir().unwrap();
        // Squid changes its user when root starts it.
        std::fs::set_permissions(dir.path(), std::fs::Permissions::from_mode(0o777)).unwrap();
        let scheme = if manner.tls.is_some() { "https" } else { "http" };
        let host = if manner.v6 { "[::1]" } else { "127.0.0.1" };
        let port = std::net::TcpListener::bind(format!("{host}:0")).unwrap().local_addr().unwrap().port();
        let bound = if manner.everywhere { "0.0.0.0" } else { host };
        let mut proxy = Self { kind, child: None, dir, host, scheme, port };
        std::fs::write(proxy.path("conf"), proxy.configuration(manner, bound)).unwrap();
        proxy.come_back().await;
        proxy
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn configuration(&self, manner: Manner, host: &str) -> String {
        let (dir, port) = (self.dir.path().display(), self.port);
        match self.kind {
            Kind::Squid => {
                let access = match manner.user {
                    Some((user, password)) => {
                        let hash = Command::new("openssl").args(["passwd", "-1", password]).output().unwrap();
                        let line = format!("{user}:{}", String::from_utf8(hash.stdout).unwrap());
                        std::fs::write(self.path("passwd"), line).unwrap();
                        format!(
                            "auth_param basic program /usr/lib/squid/basic_ncsa_auth {dir}/passwd\n\
                             auth_param basic children 2\nacl known proxy_auth REQUIRED\n\
                             http_access allow known\nhttp_access deny all\n"
                        )
                    }
                    None => "http_access allow all\n".into(),
                };
                let idle = manner.idle.map(|s| format!("read_timeout {s} seconds\n")).unwrap_or_default();
                let port = match manner.tls {
                    Some(pem) => {
                        std::fs::write(self.path("pem"), pem).unwrap();
                        format!("https_port {host}:{port} tls-cert={dir}/pem")
                    }
                    None => format!("http_port {host}:{port}"),
                };
                let hosts = manner.hosts.map(|text| {
                    std::fs::write(self.path("hosts"), text).unwrap();
                    format!("hosts_file {dir}/hosts\n")
                });
                format!(
                    "{port}\npid_filename {dir}/pid\ncache_log {dir}/cache.log\n\
                     access_log stdio:{dir}/access.log\nlogfile_rotate 0\ncoredump_dir {dir}\ncache deny all\n\
                     cache_mem 0 MB\nmemory_cache_shared off\npinger_enable off\nnetdb_filename none\n\
                     shutdown_lifetime 0 seconds\nvisible_hostname lab\n{access}{idle}{}",
                    hosts.unwrap_or_default()
                )
            }
            Kind::Tinyproxy => {
                let access = manner
                    .user
                    .map(|(user, password)| format!("BasicAuth {user} {password}\n"))
                    .unwrap_or_default();
                format!(
                    "Port {port}\nListen {host}\nTimeout {}\nMaxClients 100\nLogFile \"{dir}/access.log\"\n\
                     LogLevel Connect\nAllow {}\n{access}",
                    manner.idle.unwrap_or(600),
                    if manner.everywhere { "0.0.0.0/0" } else { host }
                )
            }
        }
    }

    /// Ends it as SIGKILL does; it is gone when this returns.
    pub fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
            // Squid's helpers end with their standard input; its own pid file would stop the next one.
            let _ = std::fs::remove_file(self.path("pid"));
            // What one that is killed leaves behind stops the Squid of another user that comes upon the name.
            for part in ["metadata", "queues", "readers"] {
                let _ = std::fs::remove_file(format!("/dev/shm/{}-cf__{part}.shm", self.service()));
            }
        }
    }

    /// Starts it again on the same port.
    pub async fn come_back(&mut self) {
        let conf = self.path("conf");
        let mut command = match self.kind {
            Kind::Squid => {
                let mut command = Command::new("squid");
                command.args(["-N", "-n", &self.service(), "-f"]).arg(conf);
                command
            }
            Kind::Tinyproxy => {
                let mut command = Command::new("tinyproxy");
                command.args(["-d", "-c"]).arg(conf);
                command
            }
        };
        command.env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin");
        let child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn();
        self.child = Some(child.unwrap_or_else(|e| panic!("{:?} is missing: {e}", self.kind)));
        let until = Instant::now() + SOON;
        while std::net::TcpStream::connect(format!("{}:{}", self.host, self.port)).is_err() {
            let ended = self.child.as_mut().unwrap().try_wait().unwrap();
            assert!(
                ended.is_none() && Instant::now() < until,
                "{:?} does not start: {}",
                self.kind,
                self.complaint()
            );
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// What keeps Squid's shared memory apart from that of others: a port is one only within its network.
    fn service(&self) -> String {
        format!("lab{}x{}", std::process::id(), self.port)
    }

    fn complaint(&self) -> String {
        ["cache.log", "access.log"]
            .map(|log| std::fs::read_to_string(self.path(log)).unwrap_or_default())
            .concat()
    }

    /// Where it listens.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Its URL, without credentials.
    pub fn url(&self) -> String {
        format!("{}://{}:{}", self.scheme, self.host, self.port)
    }

    /// Its URL with credentials.
    pub fn url_with(&self, user: &str) -> String {
        format!("{}://{user}@{}:{}", self.scheme, self.host, self.port)
    }

    /// What it has been asked for. Squid writes a line when a request or tunnel has ended.
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.path("access.log")).unwrap_or_default()
    }
}

impl Drop for ForwardProxy {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("--- log of {:?} ---\n{}", self.kind, self.complaint());
        }
        self.kill();
    }
}
