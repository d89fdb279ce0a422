//! placeholder
use super::kernel::Failed;
/// Role.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role { /// b
 Broker, /// w
 Worker, /// c
 Child { /// i
 inet: bool, /// u
 unix: bool } }
/// Programs.
pub fn programs(_: Role) -> impl Iterator<Item = (&'static str, &'static [seccompiler::sock_filter])> { std::iter::empty() }
/// Install.
pub fn install(_: Role) -> Result<(), Failed> { Ok(()) }
