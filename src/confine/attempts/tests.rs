use super::*;
use crate::confine::landlock::Grants;

fn context() -> Context {
    Context {
        stage: "/stage".into(),
        own_files: vec![],
        port: 4711,
        abstract_socket: "x".into(),
        neighbour: 1,
    }
}

const CHILD: Role = Role::Child { inet: false, unix: false };
const OPEN_CHILD: Role = Role::Child { inet: true, unix: true };

fn expected(name: &str, role: Role, abi: u8, grants: &Grants) -> Expected {
    named(name).unwrap().expected(role, Terms { abi, mdwe: abi > 4, grants }, &context())
}

#[test]
fn names_are_unique_and_every_area_has_some() {
    let names: BTreeSet<&str> = all().map(|a| a.name).collect();
    assert_eq!(names.len(), all().count());
    let of = |area| all().filter(|a| a.area == area).count();
    assert!(of(Area::Syscall) >= 40 && of(Area::Files) >= 10 && of(Area::Network) >= 8);
    assert!(of(Area::Processes) >= 5 && of(Area::Memory) >= 3);
}

#[test]
fn what_a_kernel_does_not_enforce_is_told_and_not_taken_for_denied() {
    let none = Grants::default();
    for abi in 0..=10 {
        for (name, since) in
            [("truncate-file", 3), ("connect-tcp", 4), ("signal-neighbour", 6), ("connect-udp", 10)]
        {
            let expected = expected(name, Role::Broker, abi, &none);
            if abi >= since {
                assert!(matches!(expected, Expected::Denied(Outcome::Errno(_))), "{name} {abi}: {expected}");
            } else {
                assert_eq!(
                    expected.to_string(),
                    format!("not enforced by this kernel (needs Landlock ABI {since})")
                );
            }
        }
        // The worker's filter needs no Landlock.
        assert_eq!(expected("signal-neighbour", Role::Worker, abi, &none), Expected::Denied(KILLED));
        assert_eq!(expected("connect-tcp", CHILD, abi, &none), Expected::Denied(EACCES));
    }
    assert!(matches!(expected("make-executable", Role::Broker, 4, &none), Expected::NotEnforced(_)));
}

#[test]
fn what_is_granted_is_not_expected_to_be_denied() {
    let grants = Grants {
        write: ["/stage".into()].into(),
        tcp: [4711].into(),
        unix_sockets: true,
        ..Grants::default()
    };
    for name in ["create-file", "read-file", "connect-tcp"] {
        assert_eq!(expected(name, OPEN_CHILD, 7, &grants), Expected::Granted, "{name}");
    }
    assert_eq!(expected("connect-unix-socket", OPEN_CHILD, 9, &grants), Expected::Granted);
    // To write is not to execute, and no grant opens the agent's own files or the worker's filter.
    assert_eq!(expected("run-program", OPEN_CHILD, 7, &grants), Expected::Denied(EACCES));
    assert_eq!(expected("read-key", OPEN_CHILD, 7, &grants), Expected::Denied(EACCES));
    assert_eq!(expected("create-file", Role::Worker, 7, &grants), Expected::Denied(KILLED));
}
