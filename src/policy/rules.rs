//! What a policy is once it has been read, and which of its rules is about a call. Pure.

use super::index::Index;
use super::reach;
use super::schema::Schema;

/// What becomes of a call that the policy refuses.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Mode {
    /// It is refused.
    #[default]
    Enforce,
    /// It is forwarded, and the log says that it would have been refused. Nothing is filtered or limited.
    Monitor,
}

/// What becomes of a tool whose definition is not the approved one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Pins {
    /// Nothing; definitions are not looked at.
    #[default]
    Off,
    /// The log says so.
    Warn,
    /// It is hidden, and calls of it are refused.
    Enforce,
}

/// What a rule is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// JSON-RPC methods that name no tool, prompt or resource.
    Method,
    /// Tools.
    Tool,
    /// Prompts.
    Prompt,
    /// Resources, by URI.
    Resource,
}

/// A name of a rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Name {
    /// The name, or what it begins with.
    pub text: String,
    /// Whether everything that begins with it is meant; resources only.
    pub prefix: bool,
    /// Whether it came from a preset, which may repeat what another has.
    pub preset: bool,
}

impl Name {
    /// Whether it covers what a caller names. `loosely`: in whatever spelling, as a rule that denies does.
    pub(super) fn covers(&self, name: &str, loosely: bool) -> bool {
        if !self.prefix {
            return self.text == name;
        }
        name.strip_prefix(&*self.text).is_some_and(|rest| loosely || reach::is_plain(rest))
    }

    /// Whether it covers all that another name of a policy covers.
    pub(super) fn includes(&self, other: &Self) -> bool {
        if self.prefix {
            other.text.starts_with(&self.text)
        } else {
            *self.text == other.text && !other.prefix
        }
    }
}

/// Bounds; `None` is no bound but those of the agent itself.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of one call.
    pub request_bytes: Option<usize>,
    /// Bytes of one answer or notification.
    pub result_bytes: Option<usize>,
    /// Calls in any minute.
    pub calls_per_minute: Option<usize>,
    /// Calls that are not answered yet.
    pub in_flight: Option<usize>,
}

/// A rule.
#[derive(Clone, Debug)]
pub struct Rule {
    /// Its name in answers and logs.
    pub id: String,
    /// Whether it denies.
    pub deny: bool,
    /// The channels that it is about; `None`: all.
    pub channels: Option<Vec<String>>,
    /// What it is about.
    pub kind: Kind,
    /// Which of those.
    pub names: Vec<Name>,
    /// What a tool's or prompt's arguments must be.
    pub arguments: Option<Schema>,
    /// For each name by itself.
    pub limits: Limits,
}

impl Rule {
    fn is_about(&self, channel: &str, kind: Kind) -> bool {
        self.kind == kind && self.channels.as_ref().is_none_or(|list| list.iter().any(|c| c == channel))
    }

    /// Whether the name at this place covers what a caller names.
    fn covers(&self, place: usize, name: &str) -> bool {
        self.names.get(place).is_some_and(|n| n.covers(name, self.deny))
    }
}

/// The headers that may pass; `None`: all that the agent lets pass anyway.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Headers {
    /// Of a command, in lower case.
    pub request: Option<Vec<String>>,
    /// Of an MCP server's answer, in lower case.
    pub answer: Option<Vec<String>>,
}

/// The approved definition of a tool.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Definition {
    /// Whose tool.
    pub channel: String,
    /// Its name.
    pub tool: String,
    /// Of its definition, lower-case hex.
    pub sha256: String,
}

/// A policy that has been checked.
#[derive(Clone, Debug, Default)]
pub struct Policy {
    /// `mode`.
    pub mode: Mode,
    /// `pins`.
    pub pins: Pins,
    /// `channels`; `None`: all.
    pub channels: Option<Vec<String>>,
    /// `rules`, in their order.
    pub rules: Vec<Rule>,
    /// Where their names are.
    pub(super) index: Index,
    /// `limits`, for each channel by itself.
    pub limits: Limits,
    /// `headers`.
    pub headers: Headers,
    /// `definitions`.
    pub definitions: Vec<Definition>,
    /// SHA-256 over the RFC 8785 form of the policy, lower-case hex.
    pub digest: String,
}

/// A rule that allows, by its place and that of the name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Allowed {
    /// Among [`Policy::rules`].
    pub rule: usize,
    /// Among [`Rule::names`].
    pub name: usize,
}

/// What the rules say about a name.
#[derive(Clone, Copy, Debug)]
pub enum Found<'p> {
    /// A rule allows it, when its conditions hold.
    Allowed(&'p Rule, Allowed),
    /// A rule denies it.
    Denied(&'p Rule),
    /// No rule is about it.
    Nothing,
}

impl Policy {
    /// Whether anything may be called on the channel.
    #[must_use]
    pub fn opens(&self, channel: &str) -> bool {
        self.channels.as_ref().is_none_or(|list| list.iter().any(|c| c == channel))
    }

    /// The rule that decides about a name: one that denies before all that allow.
    #[must_use]
    pub fn find(&self, channel: &str, kind: Kind, name: &str) -> Found<'_> {
        let (mut allows, mut denies) = (None::<(Allowed, &Rule)>, None::<(Allowed, &Rule)>);
        for at in self.index.candidates(kind, name) {
            let Some(rule) = self.rules.get(at.rule) else { continue };
            if !rule.is_about(channel, kind) || !rule.covers(at.name, name) {
                continue;
            }
            let first = if rule.deny { &mut denies } else { &mut allows };
            if first.is_none_or(|(earlier, _)| at < earlier) {
                *first = Some((at, rule));
            }
        }
        match (denies, allows) {
            (Some((_, rule)), _) => Found::Denied(rule),
            (None, Some((at, rule))) => Found::Allowed(rule, at),
            (None, None) => Found::Nothing,
        }
    }

    /// Whether some call of it could be allowed.
    #[must_use]
    pub fn may(&self, channel: &str, kind: Kind, name: &str) -> bool {
        self.opens(channel) && matches!(self.find(channel, kind, name), Found::Allowed(..))
    }

    /// Whether any tool, prompt or resource at all could be allowed on the channel.
    #[must_use]
    pub fn offers(&self, channel: &str, kind: Kind) -> bool {
        self.opens(channel) && self.rules.iter().any(|rule| !rule.deny && rule.is_about(channel, kind))
    }

    /// Whether a resource template may be shown: what is fixed of it lies below a prefix that is allowed.
    #[must_use]
    pub fn may_template(&self, channel: &str, template: &str) -> bool {
        let fixed = template.split('{').next().unwrap_or_default();
        self.may(channel, Kind::Resource, fixed)
    }

    /// The place of a tool's approved definition.
    pub(super) fn place_of(&self, channel: &str, tool: &str) -> Option<usize> {
        self.definitions.iter().position(|d| d.channel == channel && d.tool == tool)
    }

    /// The approved digest of a tool's definition.
    #[must_use]
    pub fn approved(&self, channel: &str, tool: &str) -> Option<&str> {
        self.definitions.get(self.place_of(channel, tool)?).map(|d| &*d.sha256)
    }
}
