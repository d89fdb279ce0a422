//! Writes JSON objects member by member. Pure.
//!
//! Records and exports are made of a few dozen members each; this is a tenth of the code that a derived writer of all of
//! them comes to.

/// The members of an object, without its braces.
#[derive(Clone, Debug, Default)]
pub struct Object(String);

impl Object {
    /// A member whose value is JSON already.
    pub fn raw(&mut self, name: &str, json: &str) -> &mut Self {
        if !self.0.is_empty() {
            self.0.push(',');
        }
        self.0.push('"');
        self.0.push_str(name);
        self.0.push_str("\":");
        self.0.push_str(json);
        self
    }

    /// A text.
    pub fn text(&mut self, name: &str, text: &str) -> &mut Self {
        let json = serde_json::to_string(text).unwrap_or_default();
        self.raw(name, &json)
    }

    /// A number.
    pub fn number(&mut self, name: &str, number: u64) -> &mut Self {
        self.raw(name, &number.to_string())
    }

    /// A text, if there is one.
    pub fn maybe(&mut self, name: &str, text: Option<&str>) -> &mut Self {
        match text {
            Some(text) => self.text(name, text),
            None => self,
        }
    }

    /// A number, if there is one.
    pub fn count(&mut self, name: &str, number: Option<u64>) -> &mut Self {
        match number {
            Some(number) => self.number(name, number),
            None => self,
        }
    }

    /// An object, unless it is empty.
    pub fn object(&mut self, name: &str, object: &Self) -> &mut Self {
        if object.0.is_empty() { self } else { self.raw(name, &object.json()) }
    }

    /// The members.
    #[must_use]
    pub fn members(&self) -> &str {
        &self.0
    }

    /// The whole object.
    #[must_use]
    pub fn json(&self) -> String {
        format!("{{{}}}", self.0)
    }
}
