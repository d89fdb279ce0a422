//! `confinement`: the floor that the kernel must reach, whom the broker becomes, what follows a violation.

use crate::config::accounts::{Accounts, number};
use crate::config::confinement::{Confinement, DEFAULT_ABI, HIGHEST_ABI, Identity, LOWEST_ABI, OnViolation};
use crate::config::keys;
use crate::config::problem::{Place, Problem, show};
use crate::config::sources::{Given, Sources};

/// The account that is meant when none is named.
const ACCOUNT: &str = "tunnelward";
/// How to make it.
const MAKE_ACCOUNT: &str = "useradd --system --no-create-home --shell /usr/sbin/nologin tunnelward";
/// What is lost on a kernel whose Landlock is older than this ABI. The seventh adds records of denials and nothing
/// that is enforced.
const LOST_BELOW: [(u8, &str); 5] = [
    (
        2,
        "files cannot be moved or linked from one directory to another (which is refused, so nothing is open)",
    ),
    (3, "a file that may be opened may also be truncated"),
    (4, "TCP ports are not limited"),
    (5, "ioctl on devices is not limited"),
    (6, "signals to processes of the same user and abstract Unix sockets are not limited"),
];

/// The section.
pub fn confinement(s: &mut Sources<'_>) -> Confinement {
    let require = require(s);
    if require < DEFAULT_ABI {
        s.warnings.push(lower(require));
    }
    Confinement { require, identity: identity(s), on_violation: on_violation(s) }
}

/// The floor.
pub fn require(s: &mut Sources<'_>) -> u8 {
    let range = i64::from(LOWEST_ABI)..=i64::from(HIGHEST_ABI);
    let require = s.within(&keys::CONFINEMENT_REQUIRE, range, DEFAULT_ABI.into());
    u8::try_from(require).unwrap_or(DEFAULT_ABI)
}

/// What a floor below the default gives up.
fn lower(require: u8) -> String {
    let lost: Vec<String> = LOST_BELOW
        .iter()
        .filter(|(abi, _)| require < *abi)
        .map(|(abi, what)| format!("below {abi} {what}"))
        .collect();
    format!(
        "confinement.require is {require}, so kernels are accepted that enforce less than Landlock ABI {DEFAULT_ABI}: {}",
        lost.join("; ")
    )
}

fn on_violation(s: &mut Sources<'_>) -> OnViolation {
    let Some(given) = s.one_filled(&keys::CONFINEMENT_ON_VIOLATION) else { return OnViolation::default() };
    match given.trimmed() {
        "stop" => OnViolation::Stop,
        "restart" => OnViolation::Restart,
        other => {
            s.refuse(Problem::new(&given.place, "must be stop or restart").found(show(other)));
            OnViolation::default()
        }
    }
}

fn identity(s: &mut Sources<'_>) -> Option<Identity> {
    let user = s.one_filled(&keys::CONFINEMENT_USER);
    let group = s.one_filled(&keys::CONFINEMENT_GROUP);
    if !s.host.is_root() {
        without_effect(s, user.as_ref(), group.as_ref());
        return None;
    }
    let accounts = s.host.accounts;
    let found = user_id(accounts, user.as_ref()).and_then(|(uid, primary)| {
        Ok(Identity { uid, gid: group_id(accounts, group.as_ref(), uid, primary)? })
    });
    found.map_err(|problem| s.refuse(problem)).ok()
}

/// As an ordinary user nobody can be become; that is worth a word when somebody else was named.
fn without_effect(s: &mut Sources<'_>, user: Option<&Given>, group: Option<&Given>) {
    let accounts = s.host.accounts;
    let uid = user.map(|u| number(u.trimmed()).or_else(|| accounts.user(u.trimmed()).map(|found| found.0)));
    let gid = group.map(|g| number(g.trimmed()).or_else(|| accounts.group(g.trimmed())));
    let (is_uid, is_gid) = (s.host.uid, s.host.gid);
    if uid.is_some_and(|uid| uid != Some(is_uid)) {
        s.warnings.push(format!(
            "confinement.user has no effect: only root can become another user, and the agent runs as user {is_uid}"
        ));
    }
    if gid.is_some_and(|gid| gid != Some(is_gid)) {
        s.warnings.push(format!(
            "confinement.group has no effect: only root can become another group, and the agent runs as group {is_gid}"
        ));
    }
}

/// The user, and its primary group as far as `passwd` knows it.
fn user_id(accounts: &Accounts, given: Option<&Given>) -> Result<(u32, Option<u32>), Problem> {
    let place = given.map_or_else(|| Place::named(keys::CONFINEMENT_USER.yaml), |g| g.place.clone());
    let name = given.map_or(ACCOUNT, Given::trimmed);
    let found = match number(name) {
        Some(uid) => Some((uid, accounts.primary_group(uid))),
        None => accounts.user(name).map(|(uid, gid)| (uid, Some(gid))),
    };
    match found {
        Some((0, _)) => Err(root(&place, name)),
        // Without a name of the operator's own, the group is the account's namesake.
        Some((uid, primary)) if given.is_none() => Ok((uid, accounts.group(ACCOUNT).or(primary))),
        Some(found) => Ok(found),
        None if given.is_none() => Err(Problem::new(
            &place,
            format!("the agent was started as root and there is no user {ACCOUNT} that it could become"),
        )
        .hint(format!(
            "make one with: {MAKE_ACCOUNT} -- or name another in confinement.user, by name or number"
        ))),
        None => Err(Problem::new(&place, format!("there is no user {} in /etc/passwd", show(name))).hint(
            format!("make one, as with: {MAKE_ACCOUNT} -- or give its number; other sources are not asked"),
        )),
    }
}

fn group_id(
    accounts: &Accounts,
    given: Option<&Given>,
    uid: u32,
    primary: Option<u32>,
) -> Result<u32, Problem> {
    let Some(given) = given else {
        let place = Place::named(keys::CONFINEMENT_GROUP.yaml);
        return match primary.unwrap_or(uid) {
            0 => Err(root(&place, "the primary group of confinement.user")),
            gid => Ok(gid),
        };
    };
    let name = given.trimmed();
    match number(name).or_else(|| accounts.group(name)) {
        Some(0) => Err(root(&given.place, name)),
        Some(gid) => Ok(gid),
        None => Err(Problem::new(&given.place, format!("there is no group {} in /etc/group", show(name)))
            .hint("make one with groupadd --system, or give its number; other sources are not asked")),
    }
}

fn root(place: &Place, found: &str) -> Problem {
    Problem::new(place, "root cannot be the identity of the agent").found(show(found))
}
