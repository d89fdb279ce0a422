//! What single settings say, whether or not the configuration as a whole can be used. Broker only; for commands that
//! explain a configuration.

use std::path::PathBuf;

use super::keys::Key;
use super::profile;
use super::reference::{Reference, Spelling};
use super::sources::{Layer, Sources};
use super::{Flags, Host, raw};

/// The layers of a configuration that nobody has checked.
pub struct Peek<'a> {
    sources: Sources<'a>,
    /// The file, if one is named and found.
    pub path: Option<PathBuf>,
}

/// One value, not resolved.
pub struct Said {
    /// The flag, the variable, or the path in the file.
    pub place: String,
    /// As it is written; may be a secret.
    pub text: super::types::Secret,
    /// Whether it stands in the file.
    pub in_file: bool,
}

impl Said {
    /// The value, if it is a reference: that is no secret.
    #[must_use]
    pub fn reference(&self) -> Option<&str> {
        Reference::parse(self.text.expose(), Spelling::AnyCase).map(|_| self.text.expose().trim())
    }
}

impl<'a> Peek<'a> {
    /// Reads the file if that is possible.
    #[must_use]
    pub fn new(flags: &'a Flags, host: Host<'a>) -> Self {
        let path = profile::select(flags, host).ok().flatten();
        let file = path.as_ref().and_then(|path| raw::open(path).ok()).map(|(file, _)| file);
        Self { sources: Sources::new(flags, host, file, Vec::new()), path }
    }

    /// The value of a setting that has one, empty ones left out.
    pub fn one(&mut self, key: &Key) -> Option<Said> {
        let given = self.sources.one_filled(key)?;
        Some(Said { place: given.place.path, in_file: given.layer == Layer::File, text: given.text })
    }

    /// Whether a list comes from the file, so that its entries can be named by their number.
    #[must_use]
    pub fn is_in_file(&self, key: &Key) -> bool {
        self.sources.flag(key).or_else(|| self.sources.env(key)).is_none() && self.sources.node(key).is_some()
    }
}
