use super::*;

const EVERY: Duration = Duration::from_secs(60);

fn files(paths: &[&Path], now: Instant) -> Files {
    Files::new(&paths.iter().map(|path| path.to_path_buf()).collect(), Some(EVERY), now)
}

#[test]
fn a_file_has_changed_when_its_content_has() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("file");
    std::fs::write(&path, "one").unwrap();
    let mut now = Instant::now();
    let mut files = files(&[&path], now);
    let mut look = |files: &mut Files| {
        now += EVERY;
        files.changed(now)
    };
    assert_eq!(look(&mut files), None);
    // Replaced by the same, as a touch or a deployment does.
    std::fs::write(dir.path().join("new"), "one").unwrap();
    std::fs::rename(dir.path().join("new"), &path).unwrap();
    assert_eq!(look(&mut files), None);
    std::fs::write(&path, "two").unwrap();
    assert_eq!(look(&mut files), Some(path.clone()));
    assert_eq!(look(&mut files), None, "it is told once");
    std::fs::remove_file(&path).unwrap();
    assert_eq!(look(&mut files), Some(path.clone()));
    std::fs::write(&path, "two").unwrap();
    assert_eq!(look(&mut files), Some(path.clone()));
}

#[test]
fn it_looks_when_that_is_due_and_never_when_it_is_off() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("file");
    let now = Instant::now();
    let mut on = files(&[&path], now);
    let mut off = Files::new(&BTreeSet::from([path.clone()]), None, now);
    std::fs::write(&path, "new").unwrap();
    assert_eq!(on.deadline(), Some(now + EVERY));
    assert_eq!(on.changed(now + EVERY / 2), None);
    assert_eq!(on.changed(now + EVERY), Some(path));
    assert_eq!((off.deadline(), off.changed(now + EVERY)), (None, None));
}

#[test]
fn what_changed_while_it_was_read_counts_as_changed() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("file");
    std::fs::write(&path, "before").unwrap();
    let now = Instant::now();
    let before = files(&[&path], now);
    std::fs::write(&path, "after").unwrap();
    let mut after = files(&[&path], now).unless_changed_since(&before);
    assert_eq!(after.changed(now + EVERY), Some(path));
}
