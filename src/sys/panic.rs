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

/// Where a panic aborts, nothing walks over the stack. The standard library would for the message of its own hook, which
/// is replaced before anything can panic: seeing that the walk calls nobody, the compiler leaves the reader of debug
/// information out, 160 KB. The other names lie in one object with it, which would come along with them.
#[cfg(panic = "abort")]
mod walk {
    #![expect(unsafe_code, reason = "the names are those that the standard library calls")]

    use std::ffi::{c_int, c_void};

    /// The end of the stack.
    const END: c_int = 5;

    // SAFETY: of this and of those below: no other function of the program has the name, and the type is that of the ABI.
    #[unsafe(no_mangle)]
    extern "C" fn _Unwind_Backtrace(_: *const c_void, _: *mut c_void) -> c_int {
        END
    }

    macro_rules! uncalled {
        ($($name:ident($($argument:ty),*);)*) => {$(
            #[unsafe(no_mangle)]
            extern "C" fn $name($(_: $argument),*) -> usize {
                std::process::abort()
            }
        )*};
    }
    uncalled! {
        _Unwind_FindEnclosingFunction(*mut c_void);
        _Unwind_GetCFA(*mut c_void);
        _Unwind_GetDataRelBase(*mut c_void);
        _Unwind_GetIPInfo(*mut c_void, *mut c_int);
        _Unwind_GetTextRelBase(*mut c_void);
    }
}
