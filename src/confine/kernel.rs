//! What the running kernel can enforce, compared with what must be enforced. Pure, but for [`Kernel::probe`].

use std::io;

use crate::config::confinement::{DEFAULT_ABI, LOWEST_ABI};
use crate::sys;

/// What was found out about a kernel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kernel {
    /// Its release, as `uname -r` prints it.
    pub release: String,
    /// The version of Landlock's interface; 0 when there is none.
    pub landlock: u8,
    /// Whether seccomp filters can kill a process.
    pub seccomp: bool,
}

/// What is missing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Missing {
    /// Landlock, altogether.
    Landlock {
        /// The running kernel.
        release: String,
    },
    /// A newer Landlock.
    Floor {
        /// The running kernel.
        release: String,
        /// What it has.
        has: u8,
        /// What is asked for.
        floor: u8,
    },
    /// Seccomp filters.
    Seccomp {
        /// The running kernel.
        release: String,
    },
}

impl std::fmt::Display for Missing {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Landlock { release } => write!(
                f,
                "the kernel {release} does not offer Landlock, without which nothing is confined to its files; use \
                 Linux 6.7 or later and enable it at boot (landlock in CONFIG_LSM or on the kernel's command line: \
                 lsm=landlock,...), and let no outer filter refuse landlock_create_ruleset"
            ),
            Self::Floor { release, has, floor } => {
                write!(
                    f,
                    "the kernel {release} offers Landlock ABI {has}, but ABI {floor} is required; what it cannot \
                     enforce: {}; use Linux {} or later, or accept this kernel with the line confinement: {{require: \
                     {has}}}",
                    lost(*has),
                    linux_of(*floor)
                )
            }
            Self::Seccomp { release } => write!(
                f,
                "the kernel {release} does not offer seccomp filters that kill (CONFIG_SECCOMP_FILTER, Linux 4.14), or \
                 an outer filter refuses seccomp(2); use a kernel that has them, or name seccomp in the \
                 SystemCallFilter= of the unit"
            ),
        }
    }
}

impl std::error::Error for Missing {}

/// A Landlock ABI that meets the floor: the proof that the kernel was asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Abi(u8);

impl Abi {
    /// The number.
    #[must_use]
    pub const fn number(self) -> u8 {
        self.0
    }
}

impl Kernel {
    /// Asks the running kernel.
    #[must_use]
    pub fn probe() -> Self {
        Self {
            release: sys::kernel::release(),
            landlock: sys::kernel::landlock_abi().unwrap_or(0),
            seccomp: sys::kernel::seccomp_kills().is_ok(),
        }
    }

    /// Whether it can enforce what must be enforced.
    ///
    /// # Errors
    /// What is missing; then nothing may start.
    pub fn check(&self, floor: u8) -> Result<Abi, Missing> {
        let release = self.release.clone();
        if !self.seccomp {
            return Err(Missing::Seccomp { release });
        }
        if self.landlock < LOWEST_ABI {
            return Err(Missing::Landlock { release });
        }
        if self.landlock < floor {
            return Err(Missing::Floor { release, has: self.landlock, floor });
        }
        Ok(Abi(self.landlock))
    }

    /// What an operator must be told of a kernel that meets a floor below the default one.
    #[must_use]
    pub fn caveat(&self) -> Option<String> {
        (self.landlock < DEFAULT_ABI).then(|| {
            format!(
                "the kernel {} offers Landlock ABI {} only, as the configuration accepts; not enforced: {}",
                self.release,
                self.landlock,
                lost(self.landlock)
            )
        })
    }
}

/// What each version brought (landlock(7)): the first one with it, and what is open before.
const BROUGHT: &[(u8, &str)] = &[
    (3, "truncating files (ABI 3)"),
    (4, "TCP ports (ABI 4)"),
    (5, "commands to devices (ABI 5)"),
    (6, "signals to processes of the same user and abstract Unix sockets (ABI 6)"),
];

/// What a kernel with this version does not enforce.
#[must_use]
pub fn lost(abi: u8) -> String {
    let missing: Vec<&str> =
        BROUGHT.iter().filter(|(since, _)| *since > abi).map(|(_, what)| *what).collect();
    if missing.is_empty() { "nothing of the usual".into() } else { missing.join(", ") }
}

/// The release that brought an ABI.
fn linux_of(abi: u8) -> &'static str {
    match abi {
        0 | 1 => "5.13",
        2 => "5.19",
        3 => "6.2",
        4 => "6.7",
        5 => "6.10",
        6 => "6.12",
        7 => "6.15",
        8 => "7.0",
        9 => "7.1",
        _ => "7.2",
    }
}

/// Why a step of the confinement failed: the step, and what the system said.
#[derive(Debug)]
pub struct Failed {
    /// The step.
    pub step: &'static str,
    /// The reason.
    pub error: io::Error,
}

impl std::fmt::Display for Failed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: {}", self.step, self.error)
    }
}

impl std::error::Error for Failed {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&self.error)
    }
}

/// Names the step of a result of the system.
pub(super) trait Step<T> {
    /// The same with the name.
    fn step(self, step: &'static str) -> Result<T, Failed>;
}

impl<T> Step<T> for io::Result<T> {
    fn step(self, step: &'static str) -> Result<T, Failed> {
        self.map_err(|error| Failed { step, error })
    }
}

#[cfg(test)]
#[path = "kernel_tests.rs"]
mod tests;
