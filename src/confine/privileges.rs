//! From root to a user without any privilege. Broker, at its start; worker and launch only check.

use super::kernel::{Failed, Step as _};
use crate::config::confinement::Identity;
use crate::sys::ids;

/// Becomes `identity` in the one order in which every step still has the right to be made, then tries to get root
/// back: that must fail.
pub(super) fn drop_to(identity: Identity) -> Result<(), Failed> {
    ids::empty_bounding_set().step("emptying the bounding set (CAP_SETPCAP is needed to give up root)")?;
    ids::clear_ambient_set().step("clearing the ambient capabilities")?;
    ids::clear_groups().step("giving up supplementary groups (CAP_SETGID is needed to give up root)")?;
    ids::become_group(identity.gid).step("taking on the group of confinement.group")?;
    ids::become_user(identity.uid).step("taking on the user of confinement.user")?;
    ids::give_up_capabilities().step("locking the securebits and emptying the capability sets")?;
    let who = ids::who().step("reading who this process is")?;
    if !(who.settled && who.uid == identity.uid && who.gid == identity.gid) {
        return Err(failed("becoming the configured user", "the kernel says that this process is another"));
    }
    without_privileges()
}

/// Fails unless this process has no capability, is not root, and cannot become it.
pub(super) fn without_privileges() -> Result<(), Failed> {
    let who = ids::who().step("reading who this process is")?;
    if who.uid == 0 || who.gid == 0 || !who.settled {
        return Err(failed("giving up root", "this process still has a user or group of root, or several"));
    }
    let held = ids::capabilities_held().step("reading the capability sets")?;
    if held > 0 {
        return Err(failed(
            "giving up privileges",
            "this process has capabilities; start it without (no AmbientCapabilities=, no file capabilities)",
        ));
    }
    ids::try_to_regain().map_err(|way| failed("giving up root for good", way))
}

fn failed(step: &'static str, why: &'static str) -> Failed {
    Failed { step, error: std::io::Error::other(why) }
}
