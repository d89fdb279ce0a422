use super::*;
use crate::audit::chain::{Chain, Head};
use crate::audit::state::State;
use crate::audit::testing::{checked, decided, finished, first_file, key, open, settings, write};

/// The directory of a log of some calls, and its lines with their ends.
fn log(calls: u64) -> (tempfile::TempDir, Vec<Vec<u8>>) {
    let dir = tempfile::tempdir().unwrap();
    write(dir.path(), 0..calls);
    let text = std::fs::read(first_file(dir.path())).unwrap();
    let lines = text.split_inclusive(|b| *b == b'\n').map(<[u8]>::to_vec).collect();
    (dir, lines)
}

#[track_caller]
fn found(dir: &Path, lines: &[Vec<u8>], with_key: bool, expected: &[&str]) {
    std::fs::write(first_file(dir), lines.concat()).unwrap();
    let report = verify(dir, with_key.then(key), &[]).unwrap();
    assert_eq!(report.problems.len(), expected.len(), "{:?}", report.problems);
    for (problem, text) in report.problems.iter().zip(expected) {
        assert!(problem.contains(text), "{problem:?} does not say {text:?}");
    }
}

#[test]
fn any_flipped_byte_is_found_and_located() {
    let (dir, lines) = log(3);
    for n in 0..lines.len() {
        // It shows in the record itself or in the next, which names the hash of it.
        let places = [
            format!("audit-00000001.jsonl:{}", n + 1),
            format!("audit-00000001.jsonl:{}", n + 2),
            format!("record {n}"),
            format!("records {n}"),
        ];
        for at in 0..lines[n].len() {
            let mut changed = lines.clone();
            changed[n][at] ^= 1;
            std::fs::write(first_file(dir.path()), changed.concat()).unwrap();
            for key in [Some(key()), None] {
                let report = verify(dir.path(), key, &[]).unwrap();
                let located = |problem: &String| places.iter().any(|place| problem.contains(place));
                assert!(report.problems.iter().any(located), "{n}, byte {at}: {:?}", report.problems);
            }
        }
    }
}

#[test]
fn wherever_a_record_is_removed_inserted_swapped_or_repeated_the_place_is_named() {
    let (dir, lines) = log(4);
    let last = lines.len() - 1;
    let at = |n: usize| format!("audit-00000001.jsonl:{}: ", n + 1);
    let says = |lines: &[Vec<u8>], expected: String| {
        std::fs::write(first_file(dir.path()), lines.concat()).unwrap();
        for key in [Some(key()), None] {
            let problems = verify(dir.path(), key, &[]).unwrap().problems;
            // What is missing before the first record is in no line.
            let first = |p: &str| expected.starts_with(&at(0)) && p.starts_with("records 0 to ");
            let located = problems.iter().any(|p| p.starts_with(&expected) || first(p));
            assert!(located, "{expected}: {problems:?}");
        }
    };
    for n in 0..=last {
        let mut removed = lines.clone();
        removed.remove(n);
        let missing = format!("records {n} to {n} are missing");
        says(
            &removed,
            if n == last { format!("records {n} to {n} at the end are missing") } else { at(n) + &missing },
        );
        // Right before itself, it is the other one that comes again.
        for to in (0..=last).filter(|to| to + 1 != n) {
            let mut repeated = lines.clone();
            repeated.insert(to + 1, lines[n].clone());
            // Where it stands: ahead of its place, or again.
            says(&repeated, at(to + 1));
        }
        let mut inserted = lines.clone();
        inserted.insert(n, b"{\"event\":\"poll_authorised\"}\n".to_vec());
        says(&inserted, at(n) + "the line is not a record");
        for other in n + 1..=last {
            let mut swapped = lines.clone();
            swapped.swap(n, other);
            says(&swapped, at(n));
        }
    }
}

#[test]
fn removed_inserted_swapped_and_repeated_records_are_found_with_and_without_the_key() {
    let (dir, lines) = log(3);
    for with_key in [true, false] {
        let change = |change: &dyn Fn(&mut Vec<Vec<u8>>)| {
            let mut lines = lines.clone();
            change(&mut lines);
            lines
        };
        let (dir, file) = (dir.path(), "audit-00000001.jsonl");
        found(dir, &lines, with_key, &[]);
        let missing = format!("{file}:3: records 2 to 2 are missing");
        found(dir, &change(&|l| drop(l.remove(2))), with_key, &[&missing]);
        let again = format!("{file}:4: record 2 appears again");
        found(dir, &change(&|l| l.insert(3, l[2].clone())), with_key, &[&again]);
        let order = format!("{file}:4: record 2 appears again or out of its order");
        found(dir, &change(&|l| l.swap(2, 3)), with_key, &[&missing, &order]);
        found(
            dir,
            &change(&|l| l.insert(2, b"{}\n".to_vec())),
            with_key,
            &["jsonl:3: the line is not a record"],
        );
        found(dir, &change(&|l| drop(l.remove(0))), with_key, &["records 0 to 0 are missing"]);
        found(dir, &change(&|l| l.truncate(4)), with_key, &["records 4 to 5 at the end are missing"]);
        found(dir, &[], with_key, &["records 0 to 5 at the end are missing"]);
    }
}

#[test]
fn a_cut_end_with_a_state_made_to_fit_is_found_with_the_key_or_a_checkpoint() {
    let (dir, lines) = log(3);
    std::fs::write(first_file(dir.path()), lines[..4].concat()).unwrap();
    let mut state = state_of(dir.path()).unwrap();
    let hash = |n: usize| Record::read(lines[n].trim_ascii_end()).unwrap().hash();
    state.chain.sequence = 4;
    state.chain.previous = hash(3);
    std::fs::write(directory::state(dir.path()), &*state.render()).unwrap();
    let report = checked(dir.path());
    assert!(report.problems[0].contains("the state was replaced"), "{:?}", report.problems);
    assert_eq!(verify(dir.path(), None, &[]).unwrap().problems, [""; 0]);
    let report = verify(dir.path(), None, &[(2, hash(2)), (5, hash(5))]).unwrap();
    assert_eq!(report.problems, ["record 5 is not the one of the checkpoint, or is missing"]);
}

/// Whoever takes the machine has the state, and may write all records anew so that they fit together.
#[test]
fn a_forgery_with_full_knowledge_of_the_state_is_found_with_the_first_key() {
    let (dir, _) = log(3);
    let state = state_of(dir.path()).unwrap();
    let (mut chain, mut text) = (Chain::begin(state.chain.key.clone()), Vec::new());
    for n in 0..6 {
        let head = Head { time: "2026-11-26T00:00:00.000Z", mono_us: n, boot: "b007" };
        chain.seal(head, "\"event\":\"poll_authorised\"", &mut text);
    }
    std::fs::write(first_file(dir.path()), &text).unwrap();
    let forged = State { chain, offset: u64::try_from(text.len()).unwrap(), ..state.clone() };
    std::fs::write(directory::state(dir.path()), &*forged.render()).unwrap();
    let report = checked(dir.path());
    assert_eq!((report.records, report.authentic), (6, 0));
    for n in 0..6 {
        assert!(
            report.problems[n].contains(&format!("record {n} is not authentic")),
            "{:?}",
            report.problems
        );
    }
    assert!(report.problems[6].contains("the state was replaced"));

    // The same with the keys that follow from the state, numbered as they should be: the past cannot be made again.
    let mut text = Vec::new();
    let mut chain = Chain { sequence: 0, ..state.chain };
    for _ in 0..6 {
        let head = Head { time: "2026-11-26T00:00:00.000Z", mono_us: 0, boot: "b007" };
        chain.seal(head, "\"event\":\"poll_authorised\"", &mut text);
    }
    std::fs::write(first_file(dir.path()), &text).unwrap();
    assert_eq!(checked(dir.path()).authentic, 0);
}

#[test]
fn a_forged_number_costs_no_time_and_is_found() {
    let (dir, mut lines) = log(2);
    let text =
        String::from_utf8(lines[3].clone()).unwrap().replace("\"seq\":3", "\"seq\":18446744073709551615");
    lines[3] = text.into_bytes();
    found(dir.path(), &lines, true, &["records 3 to", "too far"]);
}

#[test]
fn a_missing_damaged_or_newer_state_is_said() {
    let (dir, _) = log(1);
    let at = directory::state(dir.path());
    for (content, says) in [("x", "damaged"), ("version: 9\n", "version 9")] {
        std::fs::write(&at, content).unwrap();
        let problems = checked(dir.path()).problems;
        assert!(problems.len() == 1 && problems[0].contains(says), "{problems:?}");
    }
    std::fs::remove_file(at).unwrap();
    assert!(checked(dir.path()).problems[0].contains("the state is missing"));
}

/// A power cut that leaves a part of the block of the state, and of the records any part.
#[test]
fn with_a_state_cut_at_any_byte_the_records_that_are_complete_are_named() {
    let (dir, lines) = log(2);
    let (at, block) = (directory::state(dir.path()), std::fs::read(directory::state(dir.path())).unwrap());
    let content = block.trim_ascii_end().len();
    for cut in 0..block.len() {
        std::fs::write(&at, &block[..cut]).unwrap();
        let report = checked(dir.path());
        assert_eq!((report.records, report.authentic, report.span), (4, 4, Some((0, 3))), "byte {cut}");
        assert_eq!((report.permitted, report.finished, report.open.len()), (2, 2, 0));
        // What is behind the sum says nothing.
        if cut >= content {
            assert_eq!(report.problems, [""; 0], "byte {cut}");
            continue;
        }
        let says = ["damaged", "the last one that is complete is record 3"];
        let problem = &report.problems[0];
        assert!(report.problems.len() == 1 && says.iter().all(|s| problem.contains(s)), "{problem}");
    }
    let whole = lines.concat();
    let begin = whole.len() - lines[3].len();
    for cut in begin + 1..whole.len() {
        std::fs::write(first_file(dir.path()), &whole[..cut]).unwrap();
        for (state, problem, note) in [
            (&block[..100], "the last one that is complete is record 2", "a record that is not complete"),
            (&block[..], "records 3 to 3 at the end are missing", "record 3, which is not complete"),
        ] {
            std::fs::write(&at, state).unwrap();
            let report = checked(dir.path());
            assert_eq!((report.records, report.authentic), (3, 3));
            assert!(report.problems.len() == 1 && report.problems[0].contains(problem), "{report:?}");
            let bytes = format!("audit-00000001.jsonl:4: {} bytes of {note}", cut - begin);
            assert_eq!(report.notes, [bytes], "byte {cut}");
            assert_eq!(report.open, [("c-1".to_string(), "request-1".to_string(), 2)]);
        }
    }
}

#[test]
fn calls_without_an_end_are_named_with_their_decision() {
    let dir = tempfile::tempdir().unwrap();
    let (mut writer, _) = open(|| settings(dir.path()));
    for event in [decided(1), decided(2), finished(1), decided(3)] {
        writer.push(event);
    }
    writer.commit(std::time::Instant::now()).unwrap();
    let open = checked(dir.path()).open;
    let expected = [("c-2", "request-2", 1), ("c-3", "request-3", 3)];
    assert_eq!(open, expected.map(|(call, id, at)| (call.to_string(), id.to_string(), at)));
}
