//! For the tests of this room: a configuration, and a control plane on loopback that answers from a script.

use std::time::Duration;

use crate::config::types::{Binding, Channel, Control, HttpUrl, Limits, Mcp, Secret, Transport, Worker};

pub(super) fn http(channel: &str) -> Binding {
    let url = HttpUrl::try_from("http://127.0.0.1:9/mcp".to_owned()).unwrap();
    binding(channel, Transport::Http { url })
}

pub(super) fn stdio(channel: &str) -> Binding {
    binding(channel, Transport::Stdio { index: 0, serialize: false })
}

fn binding(channel: &str, transport: Transport) -> Binding {
    Binding { channel: Channel::normalise(channel).unwrap(), stateless: false, transport }
}

pub(super) fn worker(origin: &str) -> Worker {
    Worker {
        control: Control {
            origin: HttpUrl::try_from(origin.to_owned()).unwrap(),
            path_prefix: String::new(),
            tunnel_id: format!("tunnel_{}", "a".repeat(32)),
            organization: None,
            api_key: Secret::new("sk-secret".into()),
            extra_headers: Vec::new(),
            poll_timeout: Duration::from_secs(30),
            poll_guardrail: Duration::from_secs(5),
            max_inflight: 20,
            poll_channels: None,
        },
        bindings: vec![http("main")],
        mcp: Mcp {
            extra_headers: Vec::new(),
            connection_max_ttl: Duration::from_secs(600),
            max_concurrent_requests: 10,
            stdio_send_initialized: false,
        },
        limits: Limits::default(),
        ca_pem: None,
    }
}
