//! `version`: what this binary is and how it was built. Says nothing that another build of the same commit would not.

use crate::audit::chain;
use crate::confine::seccomp;
use crate::policy;

/// The one line of `--version`.
pub fn line() -> String {
    format!("tunnelward {}", env!("CARGO_PKG_VERSION"))
}

/// What is known when it is compiled: most of the JSON, as one text. None of it holds a quote.
const FACTS: &str = concat!(
    r#"{"format":1,"version":""#,
    env!("CARGO_PKG_VERSION"),
    r#"","commit":""#,
    env!("TUNNELWARD_COMMIT"),
    r#"","target":""#,
    env!("TUNNELWARD_TARGET"),
    r#"","rustc":""#,
    env!("TUNNELWARD_RUSTC"),
    r#"","opt_level":""#,
    env!("TUNNELWARD_OPT_LEVEL"),
    r#"","tls":"rustls "#,
    env!("TUNNELWARD_RUSTLS"),
    r#"","tls_provider":"aws-lc-rs "#,
    env!("TUNNELWARD_AWS_LC_RS"),
    r#"","panic":""#,
);

/// The facts of the build, version 1 of their shape.
pub fn json() -> String {
    format!(
        r#"{FACTS}{}","seccomp_sha256":"{}","static":{},"debug_assertions":{},"config_version":1,"policy_version":{},"audit_version":{}}}"#,
        if cfg!(panic = "abort") { "abort" } else { "unwind" },
        seccomp::digest(),
        cfg!(target_feature = "crt-static"),
        cfg!(debug_assertions),
        policy::VERSION,
        chain::VERSION
    )
}
