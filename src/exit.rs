//! The exit codes of every command. `doctor`, `health`, `ready` and `status` have 0, 2 and 1, which their users script
//! against.
//!
//! Owns the numbers and nothing else. Pure; used by every role.

use std::process::ExitCode;

/// Why a process ends. The numbers are those of `sysexits.h`, so that a unit file or a script can act on them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Exit {
    /// It did what was asked.
    Ok = 0,
    /// What was asked about is refused, or has changed: an answer of `policy explain` and `policy diff`, which scripts
    /// ask as they ask `grep`.
    Refused = 1,
    /// A check of `doctor` failed; `health`, `ready` and `status` find the service not well, or do not find it. With a
    /// command line that they do not understand they end with 1, as `tunnel-client` does.
    Unwell = 2,
    /// The command line is wrong (EX_USAGE).
    Usage = 64,
    /// State on disk is damaged (EX_DATAERR).
    Data = 65,
    /// A required kernel feature, program or package is missing (EX_UNAVAILABLE).
    Unavailable = 69,
    /// A bug or a panic (EX_SOFTWARE).
    Software = 70,
    /// The operating system refused something that should work (EX_OSERR).
    Os = 71,
    /// A file that must be written cannot be (EX_CANTCREAT).
    CantCreate = 73,
    /// Gave up for now; trying again later may work (EX_TEMPFAIL).
    TempFail = 75,
    /// The peer broke the protocol or is not the pinned one (EX_PROTOCOL).
    Protocol = 76,
    /// Credentials are refused or cannot be read (EX_NOPERM).
    NoPerm = 77,
    /// The configuration is wrong (EX_CONFIG).
    Config = 78,
    /// The worker was killed by its own filter, or found that its confinement does not hold; a human should look before
    /// it runs again.
    Violation = 100,
}

impl Exit {
    /// The number the process ends with.
    #[must_use]
    #[expect(clippy::as_conversions, reason = "reading the discriminant of a repr(u8) enum")]
    pub const fn code(self) -> u8 {
        self as u8
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit.code())
    }
}
