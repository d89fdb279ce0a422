use super::*;

/// The flags of the mapping that has this address, if one has. It may be larger: the kernel joins neighbours that are alike,
/// and other tests of this process have such pages too.
fn flags(address: usize) -> Option<String> {
    let smaps = std::fs::read_to_string("/proc/self/smaps").unwrap();
    let has = |line: &str| {
        let (first, end) = line.split_once(' ').and_then(|(range, _)| range.split_once('-'))?;
        let number = |hex| usize::from_str_radix(hex, 16).ok();
        Some((number(first)?..number(end)?).contains(&address))
    };
    let mut lines = smaps.lines().skip_while(|line| has(line) != Some(true));
    lines.find(|line| line.starts_with("VmFlags:")).map(str::to_owned)
}

fn is_held(address: usize) -> bool {
    flags(address).is_some_and(|flags| flags.contains(" lo") && flags.contains(" dd"))
}

#[test]
fn bytes_come_back_from_locked_pages_of_their_own() {
    for text in [&b""[..], b"sk-proj-abc", &[7; 5000]] {
        let locked = Locked::new(text).unwrap();
        assert_eq!(locked.bytes(), text);
        let start = locked.start.as_ptr().addr();
        assert_eq!(start % rustix::param::page_size(), 0);
        assert!(locked.is_locked() && is_held(start), "{:?}", flags(start));
    }
}

#[test]
fn the_pages_are_given_back() {
    // Another thread may have such a page there at once, but not each time.
    let given_back = (0..20).any(|_| {
        let locked = Locked::new(b"x").unwrap();
        let start = locked.start.as_ptr().addr();
        assert!(is_held(start), "{:?}", flags(start));
        drop(locked);
        !is_held(start)
    });
    assert!(given_back);
}
