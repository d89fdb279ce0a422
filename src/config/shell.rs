//! Splitting a command text into arguments, as `tunnel-client` does it: quotes and backslashes, no shell.
//!
//! Pure. Nothing is expanded: `$`, `*`, `|`, `;` and their like are ordinary characters.

use std::fmt;

/// Why a text is not a command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ShellError {
    /// No argument in it.
    Empty,
    /// A backslash at the end.
    Escape,
    /// A quote that is not closed.
    Quote,
    /// An argument cannot hold a NUL.
    Nul,
}

impl fmt::Display for ShellError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Empty => "command is empty",
            Self::Escape => "unterminated escape sequence",
            Self::Quote => "unterminated quoted string",
            Self::Nul => "command contains a NUL",
        })
    }
}

impl std::error::Error for ShellError {}

/// Splits at white space. Outside quotes and inside double quotes a backslash takes the next character as it is;
/// inside single quotes everything stands for itself. `""` is an (empty) argument.
///
/// # Errors
/// See [`ShellError`].
pub fn split(text: &str) -> Result<Vec<String>, ShellError> {
    if text.contains('\0') {
        return Err(ShellError::Nul);
    }
    let mut arguments = Vec::new();
    let mut current: Option<String> = None;
    let mut quote: Option<char> = None;
    let mut characters = text.chars();
    while let Some(c) = characters.next() {
        match (quote, c) {
            (Some(open), _) if c == open => quote = None,
            (None | Some('"'), '\\') => {
                let taken = characters.next().ok_or(ShellError::Escape)?;
                current.get_or_insert_default().push(taken);
            }
            (None, '"' | '\'') => {
                quote = Some(c);
                current.get_or_insert_default();
            }
            (None, _) if c.is_whitespace() => arguments.extend(current.take()),
            _ => current.get_or_insert_default().push(c),
        }
    }
    if quote.is_some() {
        return Err(ShellError::Quote);
    }
    arguments.extend(current);
    if arguments.is_empty() { Err(ShellError::Empty) } else { Ok(arguments) }
}

#[cfg(test)]
#[path = "shell_tests.rs"]
mod tests;
