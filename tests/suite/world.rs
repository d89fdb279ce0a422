//! Everything an end-to-end test needs: a control plane, an MCP server, and the agent between them.

use std::path::Path;
use std::time::Duration;

use crate::agent::{Agent, SOON, Setup};
use crate::lab::command::Expected;
use crate::lab::{Command, ControlPlane, Options, ResponseRecord, Stub, StubOptions};

/// A control plane, a stub and an agent that polls the one and forwards to the other.
pub struct World {
    /// The control plane.
    pub plane: ControlPlane,
    /// The MCP server of channel `main`, unless the binding says otherwise.
    pub stub: Stub,
    /// The agent.
    pub agent: Agent,
}

/// What differs from the ordinary world.
#[derive(Default)]
pub struct Plan {
    options: Options,
    bindings: Option<String>,
    control: String,
    mcp: String,
    top: String,
}

impl Plan {
    /// Over TLS with HTTP/2, one stub as `main`.
    pub fn new() -> Self {
        Self { options: Options { tls: true, ..Options::default() }, ..Self::default() }
    }

    /// Another control plane.
    pub fn plane(mut self, change: impl FnOnce(&mut Options)) -> Self {
        change(&mut self.options);
        self
    }

    /// The `server_urls:` and `commands:` lists in place of the stub, as flow-style YAML members of `mcp`.
    pub fn bindings(mut self, yaml: impl Into<String>) -> Self {
        self.bindings = Some(yaml.into());
        self
    }

    /// `lab stub-stdio` with these arguments as the only binding; `more` are further members of the command.
    ///
    /// A record that the arguments name is granted.
    pub fn stdio(self, args: &str, more: &str) -> Self {
        let command = stdio_stub(args);
        let record = args.split("--record ").nth(1).and_then(|rest| rest.split(' ').next());
        let grant = record.and_then(|path| Path::new(path).parent()).map(may_write).unwrap_or_default();
        self.bindings(format!("  commands: [{{channel: main, command: {command:?}{more}{grant}}}]\n"))
    }

    /// A line in `control_plane:`.
    pub fn control(mut self, line: &str) -> Self {
        self.control += &format!("  {line}\n");
        self
    }

    /// A line in `mcp:`.
    pub fn mcp(mut self, line: &str) -> Self {
        self.mcp += &format!("  {line}\n");
        self
    }

    /// A line at the top level.
    pub fn top(mut self, line: &str) -> Self {
        self.top += &format!("{line}\n");
        self
    }

    /// Starts all three and waits until the agent has polled.
    pub async fn start(self) -> World {
        let world = self.start_without_waiting().await;
        world.plane.wait_for_poll(1, SOON).await;
        world
    }

    /// Starts all three after a change of how the agent is started, and waits until the agent has polled.
    pub async fn start_as(self, change: impl FnOnce(Setup) -> Setup) -> World {
        let world = self.start_as_without_poll(change).await;
        world.plane.wait_for_poll(1, SOON).await;
        world
    }

    /// The same without waiting.
    pub async fn start_as_without_poll(self, change: impl FnOnce(Setup) -> Setup) -> World {
        let plane = ControlPlane::start(self.options.clone()).await;
        let stub = Stub::start(StubOptions::default()).await;
        let setup = change(self.setup(&plane, &stub));
        World { plane, stub, agent: setup.start() }
    }

    /// Starts all three.
    pub async fn start_without_waiting(self) -> World {
        let plane = ControlPlane::start(self.options.clone()).await;
        let stub = Stub::start(StubOptions::default()).await;
        let setup = self.setup(&plane, &stub);
        World { plane, stub, agent: setup.start() }
    }

    /// How to start the agent between the two.
    pub fn setup(&self, plane: &ControlPlane, stub: &Stub) -> Setup {
        let setup = Setup::new("");
        if plane.url().starts_with("https") {
            setup.file("ca.pem", &plane.ca_pem());
        }
        if self.options.require_client_cert {
            let identity = plane.ca.client("the agent");
            setup.file("client.pem", &identity.cert_pem);
            setup.file("client.key", &identity.key_pem);
        }
        setup.file("key", &plane.api_key);
        let yaml = self.text(plane, stub, setup.dir.path());
        setup.yaml(yaml)
    }

    /// The configuration, when authority and key are in `dir`.
    pub fn text(&self, plane: &ControlPlane, stub: &Stub, dir: &Path) -> String {
        let bindings = self
            .bindings
            .clone()
            .unwrap_or_else(|| format!("  server_urls: [{{channel: main, url: {:?}}}]\n", stub.url()));
        let ca = if plane.url().starts_with("https") {
            format!("ca_bundle: {:?}\n", dir.join("ca.pem"))
        } else {
            String::new()
        };
        let identity = if self.options.require_client_cert {
            let (certificate, key) = (dir.join("client.pem"), dir.join("client.key"));
            format!("  client_cert: {certificate:?}\n  client_key: {key:?}\n")
        } else {
            String::new()
        };
        format!(
            "config_version: 1\n{ca}{top}control_plane:\n  base_url: {url:?}\n  tunnel_id: {id}\n  api_key: \
             \"file:{key}\"\n{identity}{control}log: {{level: debug, format: struct-text}}\nmcp:\n{bindings}{mcp}",
            top = self.top,
            url = plane.url(),
            id = plane.tunnel_id,
            key = dir.join("key").display(),
            control = self.control,
            mcp = self.mcp,
        )
    }
}

/// The member of a command that lets its server write to a directory, and run the lab from a script.
pub fn may_write(dir: &Path) -> String {
    let (dir, lab) = (dir.display().to_string(), crate::lab::program().display().to_string());
    format!(", confinement: {{write: [{dir:?}], execute: [{lab:?}]}}")
}

/// The member of a command that lets its server run the lab from a script.
pub fn may_run_lab() -> String {
    format!(", confinement: {{execute: [{:?}]}}", crate::lab::program().display().to_string())
}

/// The command line of the lab's stdio server.
pub fn stdio_stub(args: &str) -> String {
    format!("{} stub-stdio {args}", crate::lab::program().display())
}

impl World {
    /// The ordinary one.
    pub async fn new() -> Self {
        Plan::new().start().await
    }

    /// Hands a command to the agent and waits for its terminal answer.
    pub async fn call(&self, command: Command) -> ResponseRecord {
        let request_id = Expected::read(&command.text()).expect("a readable command").request_id;
        self.plane.enqueue(command);
        self.plane.wait_for_response(&request_id, SOON).await
    }

    /// Asserts that nothing is posted for a command for some time.
    pub async fn nothing_posted(&self, request_id: &str, during: Duration) {
        tokio::time::sleep(during).await;
        assert!(self.plane.responses_for(request_id).is_empty(), "something was posted for {request_id}");
    }

    /// Stops the agent politely and asserts that nothing broke the contract.
    pub async fn end(self) -> Vec<String> {
        let log = self.agent.stop().await;
        self.plane.assert_clean();
        log
    }
}
