//! The lab as a command, for people who want to try the agent without an account, and for scripts.
//!
//! - `lab serve [--tls] [--h2] [--client-ca]`: a control plane with its hosted MCP endpoint, and an MCP stub.
//! - `lab stub [--tls] [--h2]`: the stub alone. `lab stub-stdio …`: the stub over standard input and output.
//! - `lab load --url <hosted endpoint> --calls N --concurrency C [--pid name=pid]…`: calls, latency, CPU seconds.
//!
//! Each prints one JSON line that says where things are. Faults: `POST {lab}/lab/faults` with a JSON object whose members
//! are those of `faults::Fault`, for example `{"on":"poll","status":503,"retry_after":"2","times":3}`; `DELETE` forgets
//! them. `GET {lab}/lab/state`, `/lab/responses` and `/lab/violations` tell what happened, and the body of
//! `POST {lab}/lab/commands` is queued as it is.

#![allow(
    clippy::unwrap_used,
    clippy::as_conversions,
    clippy::indexing_slicing,
    reason = "test code: what cannot be set up must fail loudly"
)]

use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use argh::FromArgs;
use serde_json::json;

#[path = "mod.rs"]
mod lab;
mod load;
mod stdio;
mod stdio_options;

/// A control plane, an MCP stub and a load generator to try the agent with. Everything listens on 127.0.0.1.
#[derive(FromArgs)]
struct Lab {
    #[argh(subcommand)]
    command: Command,
}

#[derive(FromArgs)]
#[argh(subcommand)]
enum Command {
    Serve(Serve),
    Stub(StubCommand),
    StubStdio(stdio_options::Options),
    Load(load::Options),
}

/// Starts a control plane and a stub, prints their URLs as one JSON line, and runs until standard input ends or SIGTERM.
#[derive(FromArgs)]
#[argh(subcommand, name = "serve")]
struct Serve {
    /// serve the control plane over TLS
    #[argh(switch)]
    tls: bool,
    /// offer HTTP/2 too
    #[argh(switch)]
    h2: bool,
    /// require a client certificate; it is written as client.pem and client.key
    #[argh(switch)]
    client_ca: bool,
    /// where ca.pem, api-key and the client certificate are written (default: a new directory below the temporary one)
    #[argh(option)]
    dir: Option<PathBuf>,
    /// do not end with standard input, only by SIGTERM
    #[argh(switch)]
    stay: bool,
    /// the control plane's port (default: any)
    #[argh(option, default = "0")]
    port: u16,
    /// a path in front of the control plane's endpoints
    #[argh(option, default = "String::new()")]
    prefix: String,
    /// seconds a call through the hosted endpoint may take
    #[argh(option, default = "60")]
    timeout: u64,
}

/// Starts an MCP stub over Streamable HTTP, prints its URL as one JSON line, and runs until standard input ends or SIGTERM.
#[derive(FromArgs)]
#[argh(subcommand, name = "stub")]
struct StubCommand {
    /// serve over TLS; the authority is written as stub-ca.pem
    #[argh(switch)]
    tls: bool,
    /// offer HTTP/2 too
    #[argh(switch)]
    h2: bool,
    /// do not end with standard input, only by SIGTERM
    #[argh(switch)]
    stay: bool,
    /// where stub-ca.pem is written
    #[argh(option)]
    dir: Option<PathBuf>,
    /// the port (default: any)
    #[argh(option, default = "0")]
    port: u16,
}

fn main() -> ExitCode {
    let lab: Lab = argh::from_env();
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return fail(&error),
    };
    let result = match lab.command {
        Command::Serve(options) => runtime.block_on(serve(options)).map(|()| 0),
        Command::Stub(options) => runtime.block_on(stub(options)).map(|()| 0),
        Command::StubStdio(options) => runtime.block_on(stdio::run(options)),
        Command::Load(options) => runtime.block_on(load::run(options)).map(|()| 0),
    };
    // A read of standard input may still be waiting on a thread of its own.
    runtime.shutdown_background();
    match result {
        Ok(code) => ExitCode::from(code),
        Err(error) => fail(&error),
    }
}

fn fail(error: &std::io::Error) -> ExitCode {
    let _ = writeln!(std::io::stderr(), "lab: {error}");
    ExitCode::FAILURE
}

fn directory(given: Option<PathBuf>) -> std::io::Result<PathBuf> {
    let dir = given.unwrap_or_else(|| std::env::temp_dir().join(format!("lab-{}", std::process::id())));
    std::fs::create_dir_all(&dir)?;
    Ok(dir)
}

fn say(line: &serde_json::Value) -> std::io::Result<()> {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{line}")?;
    out.flush()
}

/// Returns at SIGTERM, SIGINT, or (unless told to stay) at the end of standard input.
async fn until_told(stay: bool) -> std::io::Result<()> {
    use tokio::signal::unix::{SignalKind, signal};
    let mut term = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut sink = tokio::io::sink();
    let mut input = tokio::io::stdin();
    tokio::select! {
        _ = term.recv() => {}
        _ = interrupt.recv() => {}
        _ = tokio::io::copy(&mut input, &mut sink), if !stay => {}
    }
    Ok(())
}

async fn serve(options: Serve) -> std::io::Result<()> {
    let dir = directory(options.dir)?;
    let plane = lab::ControlPlane::start(lab::Options {
        tls: options.tls,
        http2: options.h2,
        require_client_cert: options.client_ca,
        prefix: options.prefix,
        port: options.port,
        hosted_timeout: Duration::from_secs(options.timeout),
        keep: 1_000,
        ..lab::Options::default()
    })
    .await;
    let stub = lab::Stub::start(lab::StubOptions { keep: 1_000, ..lab::StubOptions::default() }).await;
    let ca = plane.ca.write(&dir);
    let key = dir.join("api-key");
    let secret = std::fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&key);
    writeln!(secret?, "{}", plane.api_key)?;
    let mut line = json!({
        "control_plane": plane.url(),
        "hosted": plane.hosted_url(),
        "lab": plane.lab_url(),
        "stub": stub.url(),
        "ca": ca,
        "api_key_file": key,
        "tunnel_id": plane.tunnel_id,
    });
    if options.client_ca {
        let (cert, key) = plane.ca.client("lab agent").write(&dir, "client");
        line["client_cert"] = json!(cert);
        line["client_key"] = json!(key);
    }
    say(&line)?;
    until_told(options.stay).await
}

async fn stub(options: StubCommand) -> std::io::Result<()> {
    let (tls, http2, port) = (options.tls, options.h2, options.port);
    let stub =
        lab::Stub::start(lab::StubOptions { tls, http2, port, keep: 1_000, ..lab::StubOptions::default() })
            .await;
    let mut line = json!({"stub": stub.url()});
    if options.tls {
        let path = directory(options.dir)?.join("stub-ca.pem");
        std::fs::write(&path, stub.ca.pem())?;
        line["ca"] = json!(path);
    }
    say(&line)?;
    until_told(options.stay).await
}
