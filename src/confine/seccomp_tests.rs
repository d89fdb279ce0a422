use super::*;

const CHILDREN: [Role; 4] = [
    Role::Child { inet: false, unix: false },
    Role::Child { inet: false, unix: true },
    Role::Child { inet: true, unix: false },
    Role::Child { inet: true, unix: true },
];

fn names(role: Role) -> Vec<&'static str> {
    programs(role).map(|(name, _)| name).collect()
}

#[test]
fn the_allowlist_of_the_worker_comes_last() {
    assert_eq!(names(Role::Worker), ["worker_errno", "worker_allow"]);
}

#[test]
fn the_broker_refuses_the_other_abi_of_its_architecture() {
    let expected: &[&str] = if cfg!(target_arch = "x86_64") {
        &["broker_enosys", "broker_deny", "no_x32"]
    } else {
        &["broker_enosys", "broker_deny"]
    };
    assert_eq!(names(Role::Broker), expected);
}

#[test]
fn a_child_gets_what_it_was_granted() {
    assert_eq!(
        CHILDREN.map(names),
        [
            vec!["child_deny", "child_no_inet", "child_no_unix"],
            vec!["child_deny", "child_no_inet"],
            vec!["child_deny", "child_inet", "child_no_unix"],
            vec!["child_deny", "child_inet"],
        ]
    );
}

#[test]
fn every_program_is_known_by_its_name() {
    for role in [Role::Broker, Role::Worker].into_iter().chain(CHILDREN) {
        for (name, instructions) in programs(role) {
            assert_eq!(program(name), Some((name, instructions)));
        }
    }
    assert_eq!(program("worker"), None);
}

/// A classic BPF program as the kernel reads it: loads are aligned and inside the data, jumps go forward and stay
/// inside, every path ends with a verdict.
#[test]
fn every_program_is_one_that_the_kernel_takes() {
    for role in [Role::Broker, Role::Worker].into_iter().chain(CHILDREN) {
        for (name, program) in programs(role) {
            assert!(matches!(program.len(), 4..=4096), "{name}");
            for (n, i) in program.iter().enumerate() {
                let rest = program.len() - n - 1;
                match i.code {
                    0x20 => assert!(i.k % 4 == 0 && i.k < 64, "{name} {n}: a load from {}", i.k),
                    0x05 => assert!(usize::try_from(i.k).unwrap() < rest, "{name} {n}: a jump by {}", i.k),
                    0x15 | 0x25 | 0x35 => {
                        assert!(usize::from(i.jt.max(i.jf)) < rest, "{name} {n}: a jump beyond the end");
                    }
                    0x54 => {}
                    0x06 => assert!(
                        [0x8000_0000, 0x7fff_0000].contains(&i.k) || i.k >> 16 == 5,
                        "{name} {n}: {:#x}",
                        i.k
                    ),
                    other => panic!("{name} {n}: the instruction {other:#x}"),
                }
            }
            assert_eq!(program.last().map(|i| i.code), Some(0x06), "{name}");
        }
    }
}

#[test]
fn a_kernel_without_filters_is_told_apart() {
    for (errno, expected) in [(38, true), (22, true), (1, false), (12, false), (13, false)] {
        assert_eq!(absent(&io::Error::from_raw_os_error(errno)), expected, "{errno}");
    }
}
