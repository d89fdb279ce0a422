//! Users, groups and capabilities of this process. Broker, worker and launch, at their start.
//!
//! Every call acts on the calling thread alone, so the callers see to it that there is one.

use std::io;

use rustix::process::{Gid, Uid};
use rustix::thread::{
    CapabilitiesSecureBits, CapabilitySet, CapabilitySets, capabilities, capability_is_in_bounding_set,
    clear_ambient_capability_set, remove_capability_from_bounding_set, set_capabilities,
    set_capabilities_secure_bits, set_thread_groups, set_thread_res_gid, set_thread_res_uid,
};

/// Numbers of capabilities that a kernel can have: the sets are 64 bits wide.
const CAPABILITIES: u32 = 64;

/// Root's privileges cannot come back by a program that is started, by a change of user, or by the ambient set.
const SECURE_BITS: CapabilitiesSecureBits = CapabilitiesSecureBits::NO_ROOT
    .union(CapabilitiesSecureBits::NO_ROOT_LOCKED)
    .union(CapabilitiesSecureBits::NO_SETUID_FIXUP)
    .union(CapabilitiesSecureBits::NO_SETUID_FIXUP_LOCKED)
    .union(CapabilitiesSecureBits::KEEP_CAPS_LOCKED)
    .union(CapabilitiesSecureBits::NO_CAP_AMBIENT_RAISE)
    .union(CapabilitiesSecureBits::NO_CAP_AMBIENT_RAISE_LOCKED);

/// Takes every capability out of the bounding set.
///
/// # Errors
/// When `CAP_SETPCAP` is missing.
pub fn empty_bounding_set() -> io::Result<()> {
    for capability in each() {
        match capability_is_in_bounding_set(capability) {
            Ok(true) => remove_capability_from_bounding_set(capability)?,
            Ok(false) => {}
            // The kernel knows no capability of this number, nor of a higher one.
            Err(rustix::io::Errno::INVAL) => break,
            Err(e) => return Err(e.into()),
        }
    }
    Ok(())
}

/// Clears the ambient set.
///
/// # Errors
/// When the kernel refuses.
pub fn clear_ambient_set() -> io::Result<()> {
    Ok(clear_ambient_capability_set()?)
}

/// Gives up all supplementary groups.
///
/// # Errors
/// When `CAP_SETGID` is missing.
pub fn clear_groups() -> io::Result<()> {
    Ok(set_thread_groups(&[])?)
}

/// Takes on a group: real, effective and saved.
///
/// # Errors
/// When `CAP_SETGID` is missing.
pub fn become_group(gid: u32) -> io::Result<()> {
    let gid = Gid::from_raw(gid);
    Ok(set_thread_res_gid(gid, gid, gid)?)
}

/// Takes on a user: real, effective and saved. The permitted capabilities stay until [`give_up_capabilities`].
///
/// # Errors
/// When `CAP_SETUID` is missing.
pub fn become_user(uid: u32) -> io::Result<()> {
    let uid = Uid::from_raw(uid);
    rustix::thread::set_keep_capabilities(true)?;
    Ok(set_thread_res_uid(uid, uid, uid)?)
}

/// Locks the securebits, then empties the capability sets.
///
/// # Errors
/// When `CAP_SETPCAP` is not permitted.
pub fn give_up_capabilities() -> io::Result<()> {
    let only = |set| CapabilitySets { effective: set, permitted: set, inheritable: CapabilitySet::empty() };
    set_capabilities(None, only(CapabilitySet::SETPCAP))?;
    set_capabilities_secure_bits(SECURE_BITS)?;
    Ok(set_capabilities(None, only(CapabilitySet::empty()))?)
}

/// Tries to become root again in every way there is. `Ok` when each of them was refused.
///
/// # Errors
/// The name of the way that worked.
pub fn try_to_regain() -> Result<(), &'static str> {
    let (root, root_group) = (Uid::ROOT, Gid::ROOT);
    let all = CapabilitySets {
        effective: CapabilitySet::SETUID,
        permitted: CapabilitySet::SETUID,
        inheritable: CapabilitySet::empty(),
    };
    if set_capabilities(None, all).is_ok() {
        return Err("capset");
    }
    if set_thread_res_uid(root, root, root).is_ok() {
        return Err("setresuid");
    }
    if set_thread_res_gid(root_group, root_group, root_group).is_ok() {
        return Err("setresgid");
    }
    if set_thread_groups(&[root_group]).is_ok() {
        return Err("setgroups");
    }
    Ok(())
}

/// Who this process is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Who {
    /// The effective user.
    pub uid: u32,
    /// The effective group.
    pub gid: u32,
    /// Whether real, effective and saved ids are the same.
    pub settled: bool,
}

/// Who this process is, from the kernel.
///
/// # Errors
/// When `/proc/self/status` cannot be read.
pub fn who() -> io::Result<Who> {
    // No other interface tells the saved ids without a raw pointer.
    let status = std::fs::read_to_string("/proc/self/status")?;
    let ids = |field: &str| -> Option<[u32; 3]> {
        let line = status.lines().find_map(|l| l.strip_prefix(field))?;
        let mut numbers = line.split_whitespace().map(str::parse);
        Some([numbers.next()?.ok()?, numbers.next()?.ok()?, numbers.next()?.ok()?])
    };
    let (Some(uids), Some(gids)) = (ids("Uid:"), ids("Gid:")) else {
        return Err(io::ErrorKind::InvalidData.into());
    };
    let same = |[real, effective, saved]: [u32; 3]| real == effective && effective == saved;
    let ([_, uid, _], [_, gid, _]) = (uids, gids);
    Ok(Who { uid, gid, settled: same(uids) && same(gids) })
}

/// How many capabilities are in the effective, permitted, inheritable and ambient sets together.
///
/// # Errors
/// When the kernel refuses.
pub fn capabilities_held() -> io::Result<u32> {
    let sets = capabilities(None)?;
    let held = sets.effective | sets.permitted | sets.inheritable;
    let ambient =
        each().filter(|c| rustix::thread::capability_is_in_ambient_set(*c).unwrap_or(false)).count();
    Ok(held.bits().count_ones().saturating_add(u32::try_from(ambient).unwrap_or(u32::MAX)))
}

fn each() -> impl Iterator<Item = CapabilitySet> {
    (0..CAPABILITIES).map(|n| CapabilitySet::from_bits_retain(1 << n))
}
