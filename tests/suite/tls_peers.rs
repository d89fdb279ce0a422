//! What the tests of TLS share: peers that keep every byte they get, pins, and configurations.

use std::net::SocketAddr;
use std::path::Path;
use std::pin::Pin;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU16, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tunnelward::config::peer::Digest;

use crate::agent::{SOON, Setup, eventually};

/// The key that no wrong peer may ever see.
pub const KEY: &str = "sk-sesame-0123456789";
/// A tunnel.
pub const ID: &str = "tunnel_0123456789abcdef0123456789abcdef";

/// `sha256/…` of a public key.
pub fn pin(spki: &[u8]) -> String {
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, spki);
    Digest::new(digest.as_ref().try_into().unwrap()).to_string()
}

/// A pin that nobody has.
pub fn nobody() -> String {
    Digest::new([7; 32]).to_string()
}

/// What one recorder got, over all connections.
#[derive(Default)]
struct Kept {
    connections: usize,
    handshakes: usize,
    /// As it came from the network.
    raw: Vec<u8>,
    /// After decryption.
    plain: Vec<u8>,
}

/// A TLS server that keeps what it receives, and answers every connection that comes so far with 204.
pub struct Recorder {
    /// Where it listens.
    pub addr: SocketAddr,
    kept: Arc<Mutex<Kept>>,
    task: tokio::task::JoinHandle<()>,
}

impl Drop for Recorder {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Recorder {
    /// Listens on 127.0.0.1.
    pub async fn start(config: Arc<rustls::ServerConfig>) -> Self {
        Self::start_at(config, 0).await
    }

    /// Listens on a port of 127.0.0.1, once its last listener has gone away.
    pub async fn start_at(config: Arc<rustls::ServerConfig>, port: u16) -> Self {
        let until = Instant::now() + SOON;
        let listener = loop {
            match TcpListener::bind(("127.0.0.1", port)).await {
                Ok(listener) => break listener,
                Err(e) => assert!(Instant::now() < until, "port {port}: {e}"),
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        };
        let addr = listener.local_addr().unwrap();
        let kept = Arc::new(Mutex::new(Kept::default()));
        let keep = Arc::clone(&kept);
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                keep.lock().unwrap().connections += 1;
                tokio::spawn(record(stream, Arc::clone(&config), Arc::clone(&keep)));
            }
        });
        Self { addr, kept, task }
    }

    /// Its URL.
    pub fn url(&self) -> String {
        format!("https://{}", self.addr)
    }

    /// Connections so far.
    pub fn connections(&self) -> usize {
        self.kept.lock().unwrap().connections
    }

    /// What was received as plain text.
    pub fn plain(&self) -> String {
        String::from_utf8_lossy(&self.kept.lock().unwrap().plain).into_owned()
    }

    /// Somebody came, no handshake was completed, and nothing was said.
    #[track_caller]
    pub fn assert_heard_nothing(&self) {
        let kept = self.kept.lock().unwrap();
        assert!(kept.connections > 0, "nobody connected");
        assert!(!kept.raw.is_empty(), "the recorder records");
        assert_eq!(kept.handshakes, 0, "a handshake was completed");
        assert_eq!(kept.plain, b"");
        let secret = [KEY.as_bytes(), b"sesame"].iter().any(|s| kept.raw.windows(s.len()).any(|w| w == *s));
        assert!(!secret, "a secret came in plain text");
    }
}

async fn record(stream: TcpStream, config: Arc<rustls::ServerConfig>, kept: Arc<Mutex<Kept>>) {
    // Kept open for a moment: a reset could overtake the alert that says why.
    let tap = Tap { stream, kept: Arc::clone(&kept) };
    let mut stream = match tokio_rustls::TlsAcceptor::from(config).accept(tap).into_fallible().await {
        Ok(stream) => stream,
        Err((_, mut tap)) => {
            let mut rest = Vec::new();
            let _ = tokio::time::timeout(Duration::from_secs(5), tap.read_to_end(&mut rest)).await;
            return;
        }
    };
    kept.lock().unwrap().handshakes += 1;
    let mut buffer = [0; 4096];
    while let Ok(n @ 1..) = stream.read(&mut buffer).await {
        kept.lock().unwrap().plain.extend(&buffer[..n]);
        if buffer[..n].windows(4).any(|w| w == b"\r\n\r\n") {
            let _ = stream.write_all(b"HTTP/1.1 204 No Content\r\n\r\n").await;
            // Not so fast: it stands for a long poll.
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }
}

/// A connection that keeps what is read from it.
struct Tap {
    stream: TcpStream,
    kept: Arc<Mutex<Kept>>,
}

impl AsyncRead for Tap {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<std::io::Result<()>> {
        let before = buf.filled().len();
        let done = Pin::new(&mut self.stream).poll_read(cx, buf);
        self.kept.lock().unwrap().raw.extend(&buf.filled()[before..]);
        done
    }
}

impl AsyncWrite for Tap {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<std::io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, buf)
    }
    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }
    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

/// An agent for the control plane at `url`, whose authority is `ca`; `control` are more lines of that section, `top`
/// more of the file.
pub fn agent_at(url: &str, ca: &str, control: &str, top: &str) -> Setup {
    let setup = Setup::new("");
    let (ca, key) = (setup.file("ca.pem", ca), setup.file("key", KEY));
    let yaml = format!(
        "ca_bundle: {ca:?}\n{top}control_plane:\n  base_url: {url:?}\n  tunnel_id: {ID}\n  api_key: \
         \"file:{key}\"\n{control}log: {{level: debug, format: struct-text}}\nmcp: {{server_urls: [{{url: \
         \"http://127.0.0.1:9/\"}}]}}\npoll_grace: 100ms\n",
        key = key.display(),
    );
    setup.yaml(yaml)
}

/// What a command printed, and its exit code.
pub struct Ran {
    pub code: Option<i32>,
    pub out: String,
    pub err: String,
}

/// Runs `pin` on a thread of its own: the peer lives on this one.
pub async fn look(target: &str, more: &[&str]) -> Ran {
    let mut command = Command::new(crate::place::agent());
    command.arg("pin").arg(target).args(more).env_clear();
    let output = tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    Ran { code: output.status.code(), out: text(output.stdout), err: text(output.stderr) }
}

/// HAProxy with this configuration, which goes into `dir`.
pub fn haproxy(configuration: &str, dir: &Path) -> Program {
    let config = dir.join("haproxy.cfg");
    std::fs::write(&config, configuration).unwrap();
    let program =
        ["/usr/sbin/haproxy", "/usr/local/sbin/haproxy"].into_iter().find(|p| Path::new(p).exists());
    Program::start(program.unwrap_or("haproxy"), &["-db", "-f", &config.display().to_string()], dir)
}

/// A program of the machine that serves until it is dropped, and everything that it prints.
pub struct Program {
    child: Child,
    output: std::path::PathBuf,
}

impl Program {
    /// Starts it; its output goes to a file in `dir`.
    pub fn start(program: &str, arguments: &[&str], dir: &Path) -> Self {
        let output = dir.join(format!("{}.out", program.rsplit('/').next().unwrap()));
        let file = std::fs::File::create(&output).unwrap();
        let child = Command::new(program)
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(file.try_clone().unwrap())
            .stderr(file)
            .spawn()
            .unwrap_or_else(|e| panic!("{program}: {e}; scripts/test installs it"));
        Self { child, output }
    }

    /// What it printed so far.
    pub fn output(&self) -> String {
        String::from_utf8_lossy(&std::fs::read(&self.output).unwrap()).into_owned()
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A port that is free now, below those that the system hands out: no other test gets it in the meantime.
pub fn free_port() -> u16 {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let first = u16::try_from(std::process::id() % 200).unwrap() * 100;
    loop {
        let port = 10_000 + first + NEXT.fetch_add(1, Ordering::Relaxed) % 100;
        if std::net::TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
}

/// Waits until somebody listens.
pub async fn listening(port: u16) {
    let up = || std::net::TcpStream::connect(("127.0.0.1", port)).ok();
    eventually(up).await.unwrap_or_else(|| panic!("nobody listens on {port} after {SOON:?}"));
}
