use super::*;
use crate::confine::attempts;

fn row(expected: &Expected, observed: Outcome) -> Row {
    Row::new("worker", None, attempts::named("mount").unwrap(), expected, observed)
}

fn findings(rows: Vec<Row>) -> Findings {
    let kernel = Kernel { release: "6.12".into(), landlock: 6, seccomp: true };
    Findings { rows, ..Findings::new(kernel, false) }
}

#[test]
fn an_answer_other_than_the_expected_one_is_no_denial() {
    let denied = Expected::Denied(Outcome::Errno(1));
    assert_eq!(row(&denied, Outcome::Errno(1)).verdict, Verdict::Denied);
    for other in [Outcome::Done, Outcome::Errno(13), Outcome::Killed(31), Outcome::Killed(11), Outcome::Lost]
    {
        assert_eq!(row(&denied, other).verdict, Verdict::NotDenied, "{other}");
    }
    let killed = Expected::Denied(Outcome::Killed(31));
    assert_eq!(row(&killed, Outcome::Killed(31)).verdict, Verdict::Denied);
    assert_eq!(row(&killed, Outcome::Killed(9)).verdict, Verdict::NotDenied);
    assert_eq!(row(&killed, Outcome::Errno(1)).verdict, Verdict::NotDenied);
}

#[test]
fn what_is_open_must_not_be_killed() {
    for open in [Expected::Open, Expected::Granted, Expected::NotEnforced("Landlock ABI 9".into())] {
        assert_ne!(row(&open, Outcome::Done).verdict, Verdict::NotDenied);
        assert_ne!(row(&open, Outcome::Errno(22)).verdict, Verdict::NotDenied);
        assert_eq!(row(&open, Outcome::Killed(31)).verdict, Verdict::NotDenied);
    }
}

#[test]
fn one_attempt_that_is_not_denied_makes_the_whole_unsound() {
    let denied = Expected::Denied(Outcome::Errno(1));
    let good = || row(&denied, Outcome::Errno(1));
    assert!(findings(vec![good(), good()]).is_sound());
    assert!(!findings(vec![good(), row(&denied, Outcome::Done)]).is_sound());
}
