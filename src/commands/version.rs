//! `version`: what this binary is and how it was built. Says nothing that another build of the same commit would not.

use crate::audit::chain;
use crate::confine::seccomp;
use crate::policy;

/// The one line of `--version`.
pub fn line() -> String {
    format!("tunnelward {}", env!("CARGO_PKG_VERSION"))
}

/// The facts of the build, version 1 of their shape.
pub fn json() -> String {
    let text = [
        ("version", env!("CARGO_PKG_VERSION")),
        ("commit", env!("TUNNELWARD_COMMIT")),
        ("target", env!("TUNNELWARD_TARGET")),
        ("rustc", env!("TUNNELWARD_RUSTC")),
        ("opt_level", env!("TUNNELWARD_OPT_LEVEL")),
        ("panic", if cfg!(panic = "abort") { "abort" } else { "unwind" }),
        ("tls", concat!("rustls ", env!("TUNNELWARD_RUSTLS"))),
        ("tls_provider", concat!("aws-lc-rs ", env!("TUNNELWARD_AWS_LC_RS"))),
        ("seccomp_sha256", &seccomp::digest()),
    ];
    let mut out = String::from("{\"format\":1");
    for (name, value) in text {
        out.push_str(&format!(",\"{name}\":"));
        policy::string(value, &mut out);
    }
    out.push_str(&format!(
        ",\"static\":{},\"debug_assertions\":{},\"config_version\":1,\"policy_version\":{},\"audit_version\":{}}}",
        cfg!(target_feature = "crt-static"),
        cfg!(debug_assertions),
        policy::VERSION,
        chain::VERSION
    ));
    out
}
