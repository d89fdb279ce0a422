//! Takes out of an answer what may not be called. Pure.
//!
//! A page stays a page: cursors, times to live and everything else are left as they came, byte for byte. An answer that
//! cannot be read in one way only is not passed on.

use super::decide::builtin;
use super::json::{self, Node, Value};
use super::rules::{Kind, Pins, Policy};
use super::state::State;

/// Most values of an answer that is filtered.
const MAX_VALUES: usize = 1_000_000;

/// An answer that is filtered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum List {
    /// `tools/list`.
    Tools,
    /// `prompts/list`.
    Prompts,
    /// `resources/list`.
    Resources,
    /// `resources/templates/list`.
    Templates,
    /// `server/discover` and `initialize`: what the server is able to do.
    Capabilities,
}

impl List {
    pub(super) fn of(method: &str) -> Option<Self> {
        Some(match method {
            "tools/list" => Self::Tools,
            "prompts/list" => Self::Prompts,
            "resources/list" => Self::Resources,
            "resources/templates/list" => Self::Templates,
            "server/discover" | "initialize" => Self::Capabilities,
            _ => return None,
        })
    }

    /// The member of the result, and that of an entry which names it.
    fn members(self) -> (&'static str, &'static str) {
        match self {
            Self::Tools => ("tools", "name"),
            Self::Prompts => ("prompts", "name"),
            Self::Resources => ("resources", "uri"),
            Self::Templates => ("resourceTemplates", "uriTemplate"),
            Self::Capabilities => ("capabilities", ""),
        }
    }
}

/// What is left of an answer.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filtered {
    /// The new body; `None` when nothing was taken out.
    pub body: Option<Vec<u8>>,
    /// How many entries were taken out.
    pub hidden: usize,
    /// Tools whose definitions are not the approved ones, by name. Chosen by the server.
    pub drifted: Vec<String>,
    /// The cursor of the next page. Chosen by the server.
    pub next: Option<String>,
}

impl Policy {
    /// Filters the answer to an allowed call.
    ///
    /// # Errors
    /// The rule to answer with, when it is no answer that could be filtered.
    pub fn filter(
        &self,
        state: &mut State,
        channel: &str,
        list: List,
        body: &[u8],
    ) -> Result<Filtered, &'static str> {
        let text = std::str::from_utf8(body).map_err(|_| builtin::ANSWER)?;
        let root = json::read(body, MAX_VALUES).map_err(|_| builtin::ANSWER)?;
        if root.has_look_alike(&["result", "error"]) {
            return Err(builtin::ANSWER);
        }
        let result = match root.get("result") {
            None => return Ok(Filtered::default()),
            Some(Node { value: Value::Null, .. }) => return Ok(Filtered::default()),
            Some(result) => result,
        };
        let (member, key) = list.members();
        if !matches!(result.value, Value::Map(_)) || result.has_look_alike(&[member]) {
            return Err(builtin::ANSWER);
        }
        let Some(entries) = result.get(member) else { return Ok(Filtered::default()) };
        let next = result.get("nextCursor").and_then(Node::text).map(str::to_owned);
        let mut filtered = Filtered { next, ..Filtered::default() };
        let kept = match (&entries.value, list) {
            (Value::List(items), List::Tools | List::Prompts | List::Resources | List::Templates) => {
                let kept = items.iter().filter(|item| {
                    let name = item.get(key).and_then(Node::text).filter(|_| !item.has_look_alike(&[key]));
                    name.is_some_and(|name| {
                        self.shows(state, channel, list, name, item, &mut filtered.drifted)
                    })
                });
                let kept: Vec<&str> = kept.map(|item| item.raw).collect();
                filtered.hidden = items.len().saturating_sub(kept.len());
                format!("[{}]", kept.join(","))
            }
            (Value::Map(members), List::Capabilities) => {
                let kept = members.iter().filter(|(name, _)| self.is_able(channel, name));
                let kept: Vec<String> = kept.map(|(name, value)| member_text(name, value)).collect();
                filtered.hidden = members.len().saturating_sub(kept.len());
                format!("{{{}}}", kept.join(","))
            }
            _ => return Err(builtin::ANSWER),
        };
        if filtered.hidden > 0 {
            let span = json::span(text, entries.raw).ok_or(builtin::ANSWER)?;
            let (before, after) = (text.get(..span.start), text.get(span.end..));
            let parts = [before.unwrap_or_default(), &kept, after.unwrap_or_default()];
            filtered.body = Some(parts.concat().into_bytes());
        }
        Ok(filtered)
    }

    fn shows(
        &self,
        state: &mut State,
        channel: &str,
        list: List,
        name: &str,
        item: &Node<'_>,
        drifted: &mut Vec<String>,
    ) -> bool {
        match list {
            List::Prompts => self.may(channel, Kind::Prompt, name),
            List::Resources => self.may(channel, Kind::Resource, name),
            List::Templates => self.may_template(channel, name),
            List::Tools if !self.may(channel, Kind::Tool, name) => false,
            List::Tools if self.pins == Pins::Off => true,
            List::Tools => {
                let approved = state.look(self, channel, name, item);
                if !approved {
                    drifted.push(name.into());
                }
                approved || self.pins == Pins::Warn
            }
            List::Capabilities => true,
        }
    }

    /// Whether a capability leads anywhere.
    fn is_able(&self, channel: &str, capability: &str) -> bool {
        match capability {
            "tools" => self.offers(channel, Kind::Tool),
            "prompts" => self.offers(channel, Kind::Prompt),
            "resources" => self.offers(channel, Kind::Resource),
            "completions" => self.may(channel, Kind::Method, "completion/complete"),
            "logging" => self.may(channel, Kind::Method, "logging/setLevel"),
            _ => true,
        }
    }
}

fn member_text(name: &str, value: &Node<'_>) -> String {
    let mut text = String::new();
    super::canonical::string(name, &mut text);
    text.push(':');
    text.push_str(value.raw);
    text
}
