//! Takes the lines of a child's stdout apart and gives each to whom it belongs.
//!
//! Never waits for anybody, and never logs what a line says.

use tokio::io::AsyncReadExt as _;
use tokio::net::unix::pipe;

use super::child::Child;
use super::inbox::Event;
use super::settings::Counter;
use super::table::Found;
use super::wire;
use crate::log::Value;
use crate::mcp::failure::{Failure, Kind};
use crate::mcp::ids;
use crate::mcp::jsonrpc::{self, Incoming, Invalid, Message, Response};
use crate::mcp::lines::{Line, Lines};

impl Child {
    /// Reads until the child closes its stdout. Loses nothing when it is dropped before.
    pub(super) async fn read(&self, stdout: &mut pipe::Receiver, lines: &mut Lines) {
        // An error reading a pipe is as final as its end.
        while let Ok(1..) = stdout.read_buf(lines.room()).await {
            while let Some(line) = lines.next() {
                self.line(line);
            }
        }
        if let Some(line) = lines.finish() {
            self.line(line);
        }
    }

    fn line(&self, line: Line) {
        match line {
            Line::Text(raw) => match jsonrpc::incoming(&raw) {
                Ok(Incoming::Response(response)) => self.response(&response),
                Ok(Incoming::Request(request)) => self.server_request(&request),
                Ok(Incoming::Notification(note)) => self.server_notification(&note),
                Err(Invalid::NotAnObject(why)) => self.skip(why, raw.len()),
                Err(invalid) => self.malformed(&invalid, raw.len()),
            },
            Line::NotUtf8(length) => self.skip("not UTF-8", length),
            Line::TooLong { length, head, tail } => {
                self.skip("too long", length);
                if let Some(number) = wire::number_in_long_line(&head, &tail) {
                    self.fail(number, Failure::protocol(Kind::ResponseBodyTooLarge));
                }
            }
        }
    }

    fn response(&self, response: &Response) {
        let Some(number) = response.id().and_then(ids::whole) else {
            return self
                .count("response of a stdio server to no request of ours", &self.settings.counts.unknown);
        };
        let mut state = self.lock();
        match state.table.answered(number) {
            Found::Waiting(entry) => {
                if entry.initialize && !response.failed() {
                    state.guard.answered();
                    if self.settings.send_initialized {
                        let line =
                            wire::plain(b"{\"jsonrpc\":\"2.0\",\"method\":\"notifications/initialized\"}");
                        self.reply(&mut state, line);
                        state.guard.announced();
                    }
                }
                entry.inbox.finish(Event::Answer(response.with_id(&entry.id)));
            }
            Found::Retired => self.count("late answer of a stdio server dropped", &self.settings.counts.late),
            Found::Unknown => {
                self.count("response of a stdio server to no request of ours", &self.settings.counts.unknown);
            }
        }
    }

    /// A client has to answer pings. Everything else would need a caller on the line who cannot be asked.
    fn server_request(&self, request: &Message) {
        self.count("request of a stdio server answered by the agent", &self.settings.counts.requests);
        let id = request.id().unwrap_or("null");
        let body = match request.method() {
            "ping" => jsonrpc::result_body(id, "{}"),
            _ => jsonrpc::error_body(Some(id), -32601, "Method not found", None),
        };
        let mut state = self.lock();
        if !self.reply(&mut state, wire::plain(&body)) {
            self.count("answer to a request of a stdio server dropped", &self.settings.counts.dropped);
        }
    }

    fn server_notification(&self, note: &Message) {
        let state = self.lock();
        let delivered =
            wire::addressee(note, &state.table).is_some_and(|(entry, body)| entry.inbox.note(body));
        if !delivered {
            self.count("notification of a stdio server dropped", &self.settings.counts.dropped);
        }
    }

    /// An object that is no message. When it bears the number of a request, that one will get no better answer.
    fn malformed(&self, invalid: &Invalid, length: usize) {
        self.skip("not a JSON-RPC message", length);
        if let Some(number) = invalid.id().and_then(ids::whole) {
            self.fail(number, Failure::protocol(Kind::InvalidProtocolResponse));
        }
    }

    fn fail(&self, number: u64, failure: Failure) {
        if let Found::Waiting(entry) = self.lock().table.answered(number) {
            entry.inbox.finish(Event::Failed(failure));
        }
    }

    fn skip(&self, why: &'static str, length: usize) {
        let fields = [("reason", Value::from(why)), ("bytes", length.into())];
        self.report("line on the stdout of a stdio server skipped", &self.settings.counts.skipped, &fields);
    }

    fn count(&self, what: &'static str, counter: &Counter) {
        self.report(what, counter, &[]);
    }

    fn report(&self, what: &'static str, counter: &Counter, more: &[(&'static str, Value<'_>)]) {
        let total = counter.add();
        let channel = self.settings.channel.as_str();
        let mut fields = vec![("channel", channel.into()), ("generation", self.generation.into())];
        fields.push(("total", total.into()));
        fields.extend_from_slice(more);
        self.settings.log.warn("mcpclient", what, &fields);
    }
}
