use super::*;

fn names(role: Role) -> Vec<&'static str> {
    programs(role).map(|(name, _)| name).collect()
}

#[test]
fn an_allowlist_comes_last_and_only_what_is_granted_opens_a_family_of_sockets() {
    assert_eq!(names(Role::Broker), ["no_x32", "broker_enosys", "broker_deny"]);
    assert_eq!(names(Role::Worker), ["worker_errno", "worker_allow"]);
    let child = |inet, unix| names(Role::Child { inet, unix });
    assert_eq!(child(false, false), ["child_deny", "child_no_inet", "child_no_unix"]);
    assert_eq!(child(false, true), ["child_deny", "child_no_inet"]);
    assert_eq!(child(true, false), ["child_deny", "child_inet", "child_no_unix"]);
    assert_eq!(child(true, true), ["child_deny", "child_inet"]);
}

#[test]
fn every_program_checks_the_architecture_or_the_x32_bit_and_fits_the_kernel() {
    for role in [
        Role::Broker,
        Role::Worker,
        Role::Child { inet: true, unix: false },
        Role::Child { inet: false, unix: true },
    ] {
        for (name, program) in programs(role) {
            // BPF_MAXINSNS
            assert!((4..4096).contains(&program.len()), "{name}: {}", program.len());
            let loads_first = program.first().map(|i| (i.code, i.k));
            let word = if name == "no_x32" { 0 } else { 4 };
            assert_eq!(loads_first, Some((0x20, word)), "{name}");
        }
    }
}
