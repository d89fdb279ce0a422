//! A process that cannot go on ends by a signal of its own and says so: never by its filter.

use std::os::unix::process::ExitStatusExt as _;
use std::process::Command;

#[test]
fn a_process_of_every_role_that_cannot_go_on_aborts_below_its_filter() {
    // Of the main thread's stack std does not know the end with musl, so it is the kernel that ends it, without a word.
    let ends =
        [("panic", 6, "panic at "), ("memory", 6, "memory allocation of 8 bytes failed"), ("stack", 11, "")];
    for role in ["broker", "worker", "child"] {
        for (how, signal, words) in ends {
            // Without an environment, as every role is by then: a backtrace would open files.
            let output =
                Command::new(crate::lab::attacker()).args(["end", role, how]).env_clear().output().unwrap();
            let said = String::from_utf8(output.stderr).unwrap();
            assert_eq!(output.status.signal(), Some(signal), "{role} {how}: {said}");
            assert!(said.contains(words), "{role} {how}: {said}");
            // What the program computed is not repeated: it may be secret.
            assert!(!said.contains("sk-secret"), "{said}");
        }
    }
}
