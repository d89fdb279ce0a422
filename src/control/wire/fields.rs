//! The members of one element of `commands` as raw JSON text, and the id of the message in it. Pure.
//!
//! Member names of the envelope are compared without regard to ASCII case; unknown ones are ignored; a known one that
//! occurs twice is noted, because two readers could disagree on what it says.

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, Visitor};
use serde_json::value::RawValue;

use crate::ipc::msg::MAX_RPC_ID;

/// The members of an element as raw JSON text.
#[derive(Default)]
pub(super) struct Fields<'a> {
    raw: [Option<&'a RawValue>; Member::COUNT],
    twice: [bool; Member::COUNT],
}

/// A known member.
#[derive(Clone, Copy)]
pub(super) enum Member {
    RequestId,
    ShardToken,
    CommandType,
    Channel,
    CreatedAt,
    Headers,
    ResponseTimeout,
    Jsonrpc,
}

impl Member {
    const COUNT: usize = 8;
    const NAMES: [(&'static str, Self); Self::COUNT] = [
        ("request_id", Self::RequestId),
        ("shard_token", Self::ShardToken),
        ("command_type", Self::CommandType),
        ("channel", Self::Channel),
        ("created_at", Self::CreatedAt),
        ("headers", Self::Headers),
        ("response_timeout", Self::ResponseTimeout),
        ("jsonrpc", Self::Jsonrpc),
    ];

    #[expect(clippy::as_conversions, reason = "reading the discriminant of a field-less enum")]
    const fn index(self) -> usize {
        self as usize
    }
}

impl<'a> Fields<'a> {
    /// Reads an element. What was read before a syntax error is kept, for it may be enough to answer; `false` says
    /// that there was one.
    pub(super) fn read(&mut self, element: &'a [u8]) -> bool {
        let mut reader = serde_json::Deserializer::from_slice(element);
        self.deserialize(&mut reader).and_then(|()| reader.end()).is_ok()
    }

    fn raw(&self, member: Member) -> Option<&'a RawValue> {
        self.raw.get(member.index()).copied().flatten()
    }

    /// Whether it occurs twice.
    pub(super) fn is_twice(&self, member: Member) -> bool {
        self.twice.get(member.index()).copied().unwrap_or_default()
    }

    /// A member that is present and not null.
    pub(super) fn given(&self, member: Member) -> Option<&'a str> {
        self.raw(member).map(RawValue::get).filter(|text| *text != "null")
    }

    /// Whether any member occurs twice.
    pub(super) fn any_twice(&self) -> bool {
        self.twice.contains(&true)
    }
}

/// The `id` of a JSON-RPC message as raw JSON text, when it is a string or a number of bounded length.
pub(super) fn rpc_id(message: &str) -> Option<String> {
    let mut id = RpcId::default();
    (&mut id).deserialize(&mut serde_json::Deserializer::from_str(message)).ok()?;
    let text = id.raw.filter(|_| !id.twice)?.get();
    let usable = text.starts_with(|c: char| c == '"' || c == '-' || c.is_ascii_digit());
    (usable && text.len() <= MAX_RPC_ID).then(|| text.to_owned())
}

impl<'de> DeserializeSeed<'de> for &mut Fields<'de> {
    type Value = ();
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for &mut Fields<'de> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a command")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        while let Some(member) = map.next_key_seed(Key)? {
            let Some(member) = member else {
                map.next_value::<IgnoredAny>()?;
                continue;
            };
            let value = map.next_value::<&RawValue>()?;
            if let (Some(raw), Some(twice)) =
                (self.raw.get_mut(member.index()), self.twice.get_mut(member.index()))
            {
                *twice |= raw.is_some();
                *raw = Some(value);
            }
        }
        Ok(())
    }
}

/// A member name of the envelope, without allocating.
struct Key;

impl<'de> DeserializeSeed<'de> for Key {
    type Value = Option<Member>;
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl Visitor<'_> for Key {
    type Value = Option<Member>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a member name")
    }

    fn visit_str<E>(self, key: &str) -> Result<Self::Value, E> {
        Ok(Member::NAMES.iter().find(|(name, _)| key.eq_ignore_ascii_case(name)).map(|(_, member)| *member))
    }
}

/// The member `id` of a JSON-RPC message; case matters here.
#[derive(Default)]
struct RpcId<'a> {
    raw: Option<&'a RawValue>,
    twice: bool,
}

impl<'de> DeserializeSeed<'de> for &mut RpcId<'de> {
    type Value = ();
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for &mut RpcId<'de> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON-RPC message")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        while let Some(is_id) = map.next_key_seed(IsId)? {
            if is_id {
                self.twice |= self.raw.replace(map.next_value()?).is_some();
            } else {
                map.next_value::<IgnoredAny>()?;
            }
        }
        Ok(())
    }
}

struct IsId;

impl<'de> DeserializeSeed<'de> for IsId {
    type Value = bool;
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<bool, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl Visitor<'_> for IsId {
    type Value = bool;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a member name")
    }

    fn visit_str<E>(self, key: &str) -> Result<bool, E> {
        Ok(key == "id")
    }
}
