use super::*;
use crate::audit::settings::Rotation;
use crate::audit::state::State;
use crate::audit::testing::{checked, decided, finished, first_file, key, open, settings, try_open, write};

fn now() -> Instant {
    Instant::now()
}

#[test]
fn what_was_written_verifies_also_after_many_starts() {
    let dir = tempfile::tempdir().unwrap();
    for n in 0..4 {
        write(dir.path(), n * 10..n * 10 + 10);
    }
    let report = checked(dir.path());
    assert_eq!(report.problems, [""; 0]);
    assert_eq!((report.records, report.authentic, report.finished, report.open.len()), (80, 80, 40, 0));
    assert_eq!(report.notes, [""; 0]);
}

#[test]
fn an_end_waits_for_a_decision_for_a_moment_at_most_and_with_each_not_at_all() {
    for (durability, waits) in [(Durability::Os, true), (Durability::Batch, true), (Durability::Each, false)]
    {
        let dir = tempfile::tempdir().unwrap();
        let (mut writer, _) = open(|| Settings { durability, ..settings(dir.path()) });
        let mut written = |event: Option<Event>, at: Instant| {
            event.into_iter().for_each(|event| writer.push(event));
            writer.commit(at).unwrap();
            checked(dir.path()).records
        };
        let start = now();
        assert_eq!(written(Some(decided(1)), start), 1, "a decision waits for nothing");
        assert_eq!(written(Some(finished(1)), start), if waits { 1 } else { 2 });
        assert_eq!(written(Some(decided(2)), start), 3, "and takes along what waits");
        assert_eq!(written(Some(finished(2)), start), if waits { 3 } else { 4 });
        assert_eq!(written(None, start + ENDS / 2), if waits { 3 } else { 4 });
        assert_eq!(written(None, start + ENDS), 4);
        assert_eq!(checked(dir.path()).problems, [""; 0]);
        if waits {
            writer.push(finished(3));
            writer.commit(start).unwrap();
            assert_eq!(writer.deadline(start), Some(start + ENDS), "the broker wakes up for it");
        }
    }
}

#[test]
fn a_log_is_begun_with_a_key_only_and_never_beside_records() {
    let dir = tempfile::tempdir().unwrap();
    let without = || Settings { key: None, ..settings(dir.path()) };
    assert!(matches!(Writer::open(without()), Err(OpenError::NotBegun)));
    write(dir.path(), 0..1);
    drop(open(without));
    std::fs::remove_file(directory::state(dir.path())).unwrap();
    assert!(matches!(Writer::open(settings(dir.path())), Err(OpenError::NoState)));
    assert!(directory::begin(dir.path(), key(), 0, None).is_err());
}

#[test]
fn only_one_writes_at_a_time() {
    let dir = tempfile::tempdir().unwrap();
    let first = open(|| settings(dir.path()));
    assert!(matches!(Writer::open(settings(dir.path())), Err(OpenError::InUse)));
    drop(first);
    open(|| settings(dir.path()));
}

/// A power cut or a kill between any two bytes, with the state as it was before the last group or after it.
#[test]
fn cut_at_any_byte_of_the_last_records_the_log_goes_on_and_says_what_is_lost() {
    let dir = tempfile::tempdir().unwrap();
    write(dir.path(), 0..2);
    let (mut writer, _) = open(|| settings(dir.path()));
    let old_state = std::fs::read(directory::state(dir.path())).unwrap();
    let committed = std::fs::metadata(first_file(dir.path())).unwrap().len();
    for n in 2..4 {
        writer.push(decided(n));
        writer.push(finished(n));
    }
    writer.commit(now()).unwrap();
    drop(writer);
    let new_state = std::fs::read(directory::state(dir.path())).unwrap();
    let whole = std::fs::read(first_file(dir.path())).unwrap();
    let begin = usize::try_from(committed).unwrap();
    for cut in begin..=whole.len() {
        let kept = &whole[..cut];
        let complete = kept.iter().filter(|b| **b == b'\n').count();
        for (state, counts_all) in [(&old_state, false), (&new_state, true)] {
            std::fs::write(first_file(dir.path()), kept).unwrap();
            std::fs::write(directory::state(dir.path()), state).unwrap();
            let lost = if counts_all { 8 - complete } else { 0 };
            let seen = checked(dir.path());
            assert_eq!(seen.records, u64::try_from(complete).unwrap());
            assert_eq!(seen.problems.len(), usize::from(lost > 0), "cut at {cut}: {:?}", seen.problems);
            if lost > 0 {
                assert_eq!(seen.problems[0], format!("records {complete} to 7 at the end are missing"));
            }

            let (mut writer, found) = open(|| settings(dir.path()));
            let torn = kept.len() - kept.iter().rposition(|b| *b == b'\n').unwrap() - 1;
            assert_eq!(found.torn_bytes, u64::try_from(torn).unwrap());
            assert_eq!(found.missing, u64::try_from(lost).unwrap());
            assert_eq!(found.continued, if counts_all { 0 } else { u64::try_from(complete - 4).unwrap() });
            writer.push(decided(9));
            writer.commit(now()).unwrap();
            drop(writer);
            let after = checked(dir.path());
            assert_eq!(after.authentic, u64::try_from(complete + 1).unwrap());
            assert_eq!(after.problems.len(), usize::from(lost > 0), "{:?}", after.problems);
        }
    }
}

#[test]
fn a_line_behind_the_last_commit_that_is_not_authentic_is_not_passed_over() {
    let dir = tempfile::tempdir().unwrap();
    write(dir.path(), 0..1);
    let mut text = std::fs::read(first_file(dir.path())).unwrap();
    text.extend_from_slice(b"{\"v\":1,\"seq\":2}\n");
    std::fs::write(first_file(dir.path()), &text).unwrap();
    let error = try_open(|| settings(dir.path())).unwrap_err();
    assert!(error.to_string().contains("is not a record"), "{error}");
    assert_eq!(std::fs::read(first_file(dir.path())).unwrap(), text);
    std::fs::remove_file(first_file(dir.path())).unwrap();
    assert!(matches!(try_open(|| settings(dir.path())), Err(OpenError::Files(_))));
}

#[test]
fn files_follow_each_other_and_deletions_are_recorded() {
    let dir = tempfile::tempdir().unwrap();
    let rotation = Rotation { size: 2000, files: 3, ..settings(dir.path()).rotation };
    let (mut writer, _) = open(|| Settings { rotation, ..settings(dir.path()) });
    let mut digests = std::collections::BTreeSet::new();
    for n in 0..40 {
        for event in [decided(n), finished(n)] {
            writer.push(event);
            writer.commit(now()).unwrap();
        }
        digests.insert(writer.digest("arguments", b"same"));
        assert!(writer.trouble().is_none());
        assert_eq!(checked(dir.path()).problems, [""; 0], "after call {n}");
    }
    let files = directory::files(dir.path()).unwrap();
    assert_eq!(files.len(), 3);
    assert!(files[0] > 3 && digests.len() > 3, "{files:?}");
    let report = checked(dir.path());
    assert_eq!(report.records, report.authentic);
    assert!(report.notes.iter().any(|n| n.contains("deleted by retention")), "{:?}", report.notes);
    drop(writer);
    write(dir.path(), 40..41);
    // The oldest that is left, without a record of it.
    std::fs::remove_file(directory::path(dir.path(), files[0])).unwrap();
    let report = checked(dir.path());
    assert!(report.problems[0].contains("no record says that they were deleted"), "{:?}", report.problems);
}

#[test]
fn a_crash_after_the_next_file_was_begun_is_no_damage() {
    let dir = tempfile::tempdir().unwrap();
    write(dir.path(), 0..3);
    let state = std::fs::read(directory::state(dir.path())).unwrap();
    std::fs::write(directory::path(dir.path(), 2), "").unwrap();
    write(dir.path(), 3..4);
    assert_eq!(checked(dir.path()).problems, [""; 0]);
    let text = std::fs::read_to_string(directory::path(dir.path(), 2)).unwrap();
    assert!(text.lines().next().unwrap().contains("\"event\":\"rotation\""), "{text}");
    // The same with the state that was before both.
    std::fs::write(directory::state(dir.path()), state).unwrap();
    write(dir.path(), 4..5);
    assert_eq!(checked(dir.path()).problems, [""; 0]);
}

#[test]
fn an_old_file_is_followed_by_a_new_one_without_any_event() {
    let dir = tempfile::tempdir().unwrap();
    let rotation = Rotation { age: Duration::from_secs(1), ..settings(dir.path()).rotation };
    let (mut writer, _) = open(|| Settings { rotation, ..settings(dir.path()) });
    writer.push(decided(1));
    writer.commit(now()).unwrap();
    std::thread::sleep(Duration::from_millis(2100));
    assert!(writer.deadline(now()).is_some());
    writer.tick(now()).unwrap();
    assert!(directory::files(dir.path()).unwrap().len() >= 2);
    assert_eq!(checked(dir.path()).problems, [""; 0]);
}

#[test]
fn the_key_of_a_record_that_was_written_is_nowhere_in_the_directory() {
    let dir = tempfile::tempdir().unwrap();
    let (mut writer, _) = open(|| settings(dir.path()));
    for n in 0..5 {
        let used = writer.state.chain.key.to_hex();
        writer.push(decided(n));
        writer.commit(now()).unwrap();
        for entry in dir.path().read_dir().unwrap() {
            let text = std::fs::read_to_string(entry.unwrap().path()).unwrap();
            assert!(!text.contains(used.as_str()));
        }
        let kept = State::read(&std::fs::read(directory::state(dir.path())).unwrap()).unwrap();
        assert_eq!(kept, writer.state);
    }
}

/// `/dev/full` in place of the file of records.
#[test]
fn a_commit_that_fails_leaves_no_trace_and_its_events_are_written_later() {
    let dir = tempfile::tempdir().unwrap();
    let (mut writer, _) = open(|| settings(dir.path()));
    writer.push(decided(1));
    writer.commit(now()).unwrap();
    let full = OpenOptions::new().read(true).write(true).open("/dev/full").unwrap();
    let file = std::mem::replace(&mut writer.file, full);
    writer.push(finished(1));
    writer.push(decided(2));
    assert!(writer.commit(now()).is_err());
    assert!(writer.is_failing() && writer.deadline(now()).is_some());
    writer.push(Event::PollAuthorised {});
    assert!(writer.commit(now()).is_err());
    assert_eq!(checked(dir.path()).records, 1);
    assert_eq!(checked(dir.path()).problems, [""; 0]);
    writer.file = file;
    writer.tick(now() + RETRY).unwrap();
    assert!(!writer.is_failing());
    let report = checked(dir.path());
    // The decision, the outage, the end of the call and the poll; not the decision about the call that was refused.
    assert_eq!((report.problems.len(), report.records, report.permitted, report.finished), (0, 4, 1, 1));
    let text = std::fs::read_to_string(first_file(dir.path())).unwrap();
    assert!(text.lines().nth(1).unwrap().contains("\"refused\":1,\"lost\":0"), "{text}");
}

#[test]
fn a_long_outage_keeps_a_bounded_number_of_events_and_counts_the_others() {
    let dir = tempfile::tempdir().unwrap();
    let (mut writer, _) = open(|| Settings { keeps_decisions: true, ..settings(dir.path()) });
    let full = OpenOptions::new().read(true).write(true).open("/dev/full").unwrap();
    let file = std::mem::replace(&mut writer.file, full);
    for n in 0..u64::try_from(MAX_BACKLOG).unwrap() + 5 {
        writer.push(decided(n));
    }
    assert!(writer.commit(now()).is_err());
    writer.file = file;
    writer.commit(now()).unwrap();
    assert_eq!(checked(dir.path()).permitted, u64::try_from(MAX_BACKLOG).unwrap());
    let text = std::fs::read_to_string(first_file(dir.path())).unwrap();
    assert!(text.lines().next().unwrap().contains("\"refused\":0,\"lost\":5"));
}
