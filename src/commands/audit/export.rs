//! `audit export`: calls in the forms of other systems. One line is one call: its decision and its end together.
//!
//! ECS 8.17 (categories `api`), OCSF 1.4.0 API Activity (class 6003), CEF 0. What these have no field for stays in the log.

use std::collections::HashMap;
use std::io::{self, BufWriter, Write as _};
use std::path::Path;

use super::{Export, ended_well, unreadable};
use crate::audit::chain::Members;
use crate::audit::object::Object;
use crate::audit::view;
use crate::commands::complain;
use crate::exit::Exit;
use crate::log::epoch_ms;

const VERSION: &str = env!("CARGO_PKG_VERSION");

/// A call, as far as the log knows it.
#[derive(Debug)]
pub(super) struct Call {
    pub(super) decided: Members,
    /// `None` when it was not permitted, or has no end.
    pub(super) finished: Option<Members>,
}

/// How it ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Outcome {
    Success,
    Failure,
    Unknown,
}

pub(super) fn run(wanted: &Export) -> Exit {
    let render = match wanted.format.as_str() {
        "ecs" => ecs,
        "ocsf" => ocsf,
        "cef" => cef,
        _ => {
            complain("--format must be ecs, ocsf or cef");
            return Exit::Usage;
        }
    };
    let mut out = BufWriter::new(io::stdout().lock());
    let (mut open, mut gone) = (HashMap::new(), false);
    let mut put = |call: &Call| gone = gone || writeln!(out, "{}", render(call)).is_err();
    let result = view::each(Path::new(&wanted.directory), &mut |record, _| match (
        record.text("event").unwrap_or_default(),
        record.text("call"),
    ) {
        ("call_decided", None) => put(&Call { decided: record.clone(), finished: None }),
        ("call_decided", Some(call)) => drop(open.insert(call.to_string(), record.clone())),
        ("call_finished", Some(call)) => {
            if let Some(decided) = open.remove(call) {
                put(&Call { decided, finished: Some(record.clone()) });
            }
        }
        _ => {}
    });
    for decided in view::in_order(open) {
        put(&Call { decided, finished: None });
    }
    drop(out.flush());
    result.map_or_else(|e| unreadable(&wanted.directory, &e), |()| Exit::Ok)
}

impl Call {
    fn last(&self) -> &Members {
        self.finished.as_ref().unwrap_or(&self.decided)
    }

    fn time(&self) -> &str {
        self.last().text("time").unwrap_or_default()
    }

    fn was_permitted(&self) -> bool {
        self.decided.text("call").is_some()
    }

    fn outcome(&self) -> Outcome {
        match &self.finished {
            None if self.was_permitted() => Outcome::Unknown,
            None => Outcome::Failure,
            Some(end) if ended_well(end) => Outcome::Success,
            Some(_) => Outcome::Failure,
        }
    }

    fn operation(&self) -> &str {
        self.decided.text("method").unwrap_or("session termination")
    }

    /// What a name is the name of: `tool` for `tools/call`.
    fn kind_of_resource(&self) -> &str {
        let family = self.operation().split('/').next().unwrap_or_default();
        family.strip_suffix('s').unwrap_or(family)
    }

    /// The rule of the call policy for which its caller got an error: before it was forwarded, or for its answer.
    fn rule(&self) -> Option<&str> {
        self.decided.text("rule").or_else(|| self.finished.as_ref()?.text("rule"))
    }

    /// A number of the end.
    fn at_end(&self, name: &str) -> Option<u64> {
        self.finished.as_ref()?.number(name)
    }
}

/// A new object with what `fill` puts there.
fn object(fill: impl FnOnce(&mut Object)) -> Object {
    let mut object = Object::default();
    fill(&mut object);
    object
}

pub(super) fn ecs(call: &Call) -> String {
    let decided = &call.decided;
    let outcome = match call.outcome() {
        Outcome::Success => "success",
        Outcome::Failure => "failure",
        Outcome::Unknown => "unknown",
    };
    let kind = if call.was_permitted() { r#"["access","allowed"]"# } else { r#"["access","denied"]"# };
    let event = object(|o| {
        o.text("kind", "event")
            .raw("category", r#"["api"]"#)
            .raw("type", kind)
            .text("action", call.operation());
        o.text("outcome", outcome)
            .maybe("id", decided.text("call"))
            .maybe("reason", decided.text("decision"));
        o.count("sequence", call.last().number("seq"));
        o.count("duration", call.at_end("ms").map(|ms| ms.saturating_mul(1_000_000)));
        o.text("dataset", "tunnelward.audit").text("module", "tunnelward");
    });
    let bytes = |n| {
        object(|o| {
            o.count("bytes", n);
        })
    };
    let request = object(|o| {
        o.maybe("id", decided.text("request_id")).object("body", &bytes(decided.number("request_bytes")));
    });
    let response = object(|o| {
        o.count("status_code", call.at_end("status")).object("body", &bytes(call.at_end("result_bytes")));
    });
    let one = |name: &str, text: Option<&str>| {
        object(|o| {
            o.maybe(name, text);
        })
    };
    let mut all = Object::default();
    all.text("@timestamp", call.time())
        .object("ecs", &one("version", Some("8.17.0")))
        .object("event", &event);
    all.object(
        "http",
        &object(|o| {
            o.object("request", &request).object("response", &response);
        }),
    );
    all.object(
        "observer",
        &object(|o| {
            o.text("product", "tunnelward")
                .text("vendor", "tunnelward")
                .text("type", "proxy")
                .text("version", VERSION);
        }),
    );
    all.object("service", &one("name", decided.text("channel")))
        .object("trace", &one("id", decided.text("trace")));
    all.object("rule", &one("id", call.rule()));
    all.object("labels", &one("mcp_name", decided.text("name"))).json()
}

pub(super) fn ocsf(call: &Call) -> String {
    let decided = &call.decided;
    let (status_id, status, severity_id) = match call.outcome() {
        Outcome::Success => (1, "Success", 1),
        Outcome::Failure => (2, "Failure", 2),
        Outcome::Unknown => (0, "Unknown", 2),
    };
    let one = |name: &str, text: Option<&str>| {
        object(|o| {
            o.maybe(name, text);
        })
    };
    let actor = object(|o| {
        o.text("app_name", "Secure MCP Tunnel").object("session", &one("uid", decided.text("session")));
    });
    let api = object(|o| {
        o.text("operation", call.operation()).object("service", &one("name", decided.text("channel")));
        o.object("request", &one("uid", decided.text("request_id")));
        o.object(
            "response",
            &object(|o| {
                o.count("code", call.at_end("status"));
            }),
        );
    });
    let product = object(|o| {
        o.text("name", "tunnelward").text("vendor_name", "tunnelward").text("version", VERSION);
    });
    let metadata = object(|o| {
        o.text("version", "1.4.0")
            .maybe("uid", decided.text("call"))
            .count("sequence", call.last().number("seq"));
        o.maybe("correlation_uid", decided.text("trace")).object("product", &product);
    });
    let mut all = Object::default();
    all.number("category_uid", 6)
        .number("class_uid", 6003)
        .number("activity_id", 99)
        .number("type_uid", 600_399);
    all.text("activity_name", call.operation())
        .number("severity_id", severity_id)
        .number("status_id", status_id);
    all.text("status", status).maybe("status_detail", decided.text("decision"));
    all.maybe("status_code", call.rule());
    all.count("time", epoch_ms(call.time())).count("duration", call.at_end("ms"));
    all.object("actor", &actor)
        .object("api", &api)
        .object("src_endpoint", &one("svc_name", Some("Secure MCP Tunnel")));
    if let Some(name) = decided.text("name") {
        let resource = object(|o| {
            o.text("name", name).text("type", call.kind_of_resource());
        });
        all.raw("resources", &format!("[{}]", resource.json()));
    }
    all.object("metadata", &metadata).json()
}

pub(super) fn cef(call: &Call) -> String {
    let decided = &call.decided;
    let (outcome, severity) = match call.outcome() {
        Outcome::Success => ("success", 1),
        Outcome::Failure => ("failure", 5),
        Outcome::Unknown => ("unknown", 5),
    };
    let mut extension = String::new();
    let mut put = |key: &str, value: Option<&str>| {
        let Some(value) = value else { return };
        let value = value.replace('\\', "\\\\").replace('=', "\\=").replace('\r', "\\r").replace('\n', "\\n");
        // What a terminal or a parser might obey.
        let value = value.replace(char::is_control, "?");
        extension.push_str(&format!(" {key}={value}"));
    };
    let number = |n: Option<u64>| n.map(|n| n.to_string());
    put("rt", number(epoch_ms(call.time())).as_deref());
    put("act", decided.text("decision"));
    put("outcome", Some(outcome));
    put("externalId", decided.text("call"));
    put("in", number(decided.number("request_bytes")).as_deref());
    put("out", number(call.at_end("result_bytes")).as_deref());
    if let Some(ms) = call.at_end("ms") {
        put("cn1Label", Some("milliseconds"));
        put("cn1", Some(&ms.to_string()));
    }
    let custom = [("channel", "channel"), ("name", "name"), ("request", "request_id"), ("rule", "rule")];
    for (n, (label, member)) in (1..).zip(custom) {
        let value = if member == "rule" { call.rule() } else { decided.text(member) };
        if let Some(value) = value {
            put(&format!("cs{n}Label"), Some(label));
            put(&format!("cs{n}"), Some(value));
        }
    }
    let name = call.operation().replace('\\', "\\\\").replace('|', "\\|").replace(char::is_control, "?");
    let event = call.last().text("event").unwrap_or_default();
    format!("CEF:0|tunnelward|tunnelward|{VERSION}|{event}|{name}|{severity}|{}", extension.trim_start())
}
