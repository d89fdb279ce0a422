//! The head of an answer to a request for health, and one figure of the metrics, as a client reads them. Pure.
//!
//! Whoever listens at the address may be anybody: nothing is believed but what is understood.

/// The longest head of an answer, in bytes.
pub const MAX_HEAD: usize = 8 * 1024;
/// The most header fields.
const MAX_FIELDS: usize = 64;

/// What a head says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Head {
    /// The status.
    pub status: u16,
    /// Where the body begins.
    pub body: usize,
    /// How long it is, if that is said.
    pub length: Option<usize>,
}

/// The request for a page on a connection that ends with its answer. Its version keeps an answer in one piece.
#[must_use]
pub fn request(path: &str, host: &str) -> String {
    format!("GET {path} HTTP/1.0\r\nHost: {host}\r\nUser-Agent: tunnelward\r\nConnection: close\r\n\r\n")
}

/// Reads the head of an answer. `None`: it is not complete.
///
/// # Errors
/// Why it is none.
pub fn head(bytes: &[u8]) -> Result<Option<Head>, &'static str> {
    let mut fields = [httparse::EMPTY_HEADER; MAX_FIELDS];
    let mut response = httparse::Response::new(&mut fields);
    let body = match response.parse(bytes) {
        Ok(httparse::Status::Complete(body)) => body,
        Ok(httparse::Status::Partial) if bytes.len() < MAX_HEAD => return Ok(None),
        Ok(httparse::Status::Partial) | Err(httparse::Error::TooManyHeaders) => {
            return Err("the head of its answer is too large");
        }
        Err(_) => return Err("it does not speak HTTP"),
    };
    let field = |name: &str| response.headers.iter().find(|field| field.name.eq_ignore_ascii_case(name));
    if field("transfer-encoding").is_some() {
        return Err("its answer is encoded in a way that was not asked for");
    }
    let length = match field("content-length").map(|field| str::from_utf8(field.value)) {
        None => None,
        Some(Ok(text)) if text.bytes().all(|b| b.is_ascii_digit()) => text.parse().ok(),
        Some(_) => return Err("its answer has a length that is no number"),
    };
    Ok(Some(Head { status: response.code.unwrap_or_default(), body, length }))
}

/// When the last poll succeeded, of the metrics of this agent or of `tunnel-client`: the text of a number.
pub const POLLED: &str = "commands_poll_last_successful_timestamp_seconds";

/// The value of [`POLLED`] in whole lines of metrics.
#[must_use]
pub fn polled(lines: &str) -> Option<f64> {
    let whole = lines.rfind('\n').and_then(|end| lines.get(..end))?;
    whole.lines().find_map(|line| {
        let rest = line.strip_prefix(POLLED)?;
        // Labels hold no space in their names, and their values are ours or of a peer that may lie anyway.
        let rest = match rest.strip_prefix('{') {
            Some(labelled) => labelled.rsplit_once('}')?.1,
            None => rest,
        };
        let value = rest.strip_prefix(' ')?.split(' ').next()?;
        value.parse().ok().filter(|value: &f64| value.is_finite())
    })
}

#[cfg(test)]
#[path = "response_tests.rs"]
mod tests;
