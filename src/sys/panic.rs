//! A panic ends the process by SIGABRT, in every role and in every build, and says where it was.

use std::io::Write as _;
use std::panic::PanicHookInfo;

/// To be called first in `main`. From then on a panic writes one line to stderr and aborts: no thread goes on with what
/// another left half done, and nothing is unwound below a filter that does not know how.
pub fn abort_the_process() {
    std::panic::set_hook(Box::new(|info| {
        // Stderr may be closed; the end is the same.
        drop(writeln!(std::io::stderr(), "{}", line(info)));
        std::process::abort();
    }));
}

/// Without what the program computed: a text that was cut in the wrong place is quoted in the message, and may have come
/// from a peer or be secret. Only a message that stands in the source is repeated.
fn line(info: &PanicHookInfo<'_>) -> String {
    let place = info.location().map(ToString::to_string).unwrap_or_default();
    match info.payload().downcast_ref::<&'static str>() {
        Some(literal) => format!("panic at {place}: {literal}"),
        None => format!("panic at {place}"),
    }
}
