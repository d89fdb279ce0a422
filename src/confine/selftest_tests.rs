use super::*;
use crate::sys::errno;

fn facts(landlock: u8) -> Facts {
    Facts { landlock, filters: 2, dumpable: false, mdwe: true }
}

/// Answers as the kernel would.
fn refuse(attempt: &Attempt, _: &Context) -> std::io::Result<()> {
    let number = if attempt.name == "set-fast-open" { errno::ENOPROTOOPT } else { errno::EACCES };
    Err(std::io::Error::from_raw_os_error(number))
}

#[test]
fn what_is_refused_as_it_must_be_passes() {
    assert_eq!(run(facts(4), &Grants::default(), refuse), Ok(NAMES.len()));
    assert!(NAMES.iter().all(|name| attempts::named(name).is_some()));
}

#[test]
fn an_older_kernel_is_asked_for_what_it_can_do() {
    // Three of them are about TCP.
    let no_tcp = |attempt: &Attempt, context: &Context| {
        if attempt.name.ends_with("tcp") || attempt.name == "connect-metadata" {
            Ok(())
        } else {
            refuse(attempt, context)
        }
    };
    assert_eq!(run(facts(2), &Grants::default(), no_tcp), Ok(NAMES.len() - 3));
    assert!(run(facts(4), &Grants::default(), no_tcp).is_err());
}

#[test]
fn one_success_or_another_answer_is_told_by_its_name() {
    for name in NAMES {
        let all_but_one = |attempt: &Attempt, context: &Context| {
            if attempt.name == name { Ok(()) } else { refuse(attempt, context) }
        };
        let failed = NotDenied { attempt: name, outcome: Outcome::Done };
        assert_eq!(run(facts(7), &Grants::default(), all_but_one), Err(failed));
        let wrong = |attempt: &Attempt, context: &Context| {
            if attempt.name == name {
                Err(std::io::Error::from_raw_os_error(2))
            } else {
                refuse(attempt, context)
            }
        };
        assert_eq!(run(facts(7), &Grants::default(), wrong).unwrap_err().outcome, Outcome::Errno(2));
    }
}

#[test]
fn a_granted_port_is_not_tried() {
    let grants = Grants { tcp: [1, 2, 80].into(), ..Grants::default() };
    assert_eq!(Context::anywhere(&grants).port, 3);
    assert_eq!(run(facts(7), &grants, refuse), Ok(NAMES.len() - 1));
}

#[test]
fn an_unconfined_process_fails_it() {
    let failed = run(facts(7), &Grants::default(), Attempt::make).unwrap_err();
    assert_eq!(failed, NotDenied { attempt: "read-own-status", outcome: Outcome::Done });
}
