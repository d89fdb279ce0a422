use super::*;

#[test]
fn bytes_come_back_from_locked_pages_of_their_own() {
    for text in [&b""[..], b"sk-proj-abc", &[7; 5000]] {
        let locked = Locked::new(text).unwrap();
        assert_eq!(locked.bytes(), text);
        assert_eq!(locked.start.as_ptr().addr() % rustix::param::page_size(), 0);
        let smaps = std::fs::read_to_string("/proc/self/smaps").unwrap();
        let mut lines =
            smaps.lines().skip_while(|l| !l.starts_with(&format!("{:x}-", locked.start.as_ptr().addr())));
        let flags = lines.find(|l| l.starts_with("VmFlags:")).unwrap();
        assert!(locked.is_locked() && flags.contains(" lo") && flags.contains(" dd"), "{flags}");
    }
}

#[test]
fn the_pages_are_given_back() {
    let locked = Locked::new(b"x").unwrap();
    let start = format!("{:x}-", locked.start.as_ptr().addr());
    // Another thread may map something else there at once, but nothing that is locked and left out of dumps.
    let held = || {
        let smaps = std::fs::read_to_string("/proc/self/smaps").unwrap();
        let mut lines = smaps.lines().skip_while(|l| !l.starts_with(&start));
        let flags = lines.find(|l| l.starts_with("VmFlags:")).unwrap_or_default();
        flags.contains(" lo") && flags.contains(" dd")
    };
    assert!(held());
    drop(locked);
    assert!(!held());
}
