use super::*;

fn accounts(passwd: &[u8], group: &[u8]) -> Accounts {
    let etc = tempfile::tempdir().unwrap();
    std::fs::write(etc.path().join("passwd"), passwd).unwrap();
    std::fs::write(etc.path().join("group"), group).unwrap();
    let accounts = Accounts::of(etc.path());
    // They are read when they are first asked for.
    accounts.user("");
    accounts
}

#[test]
fn names_are_found_and_lines_that_are_none_are_skipped() {
    let passwd =
        b"# comment\n\nshort:x:7\n:x:8:8:::\na:x:notanumber:1:::\na:x:+5:1:::\nmore:x:1:1:::/:sh:x\n\
        last:x:4294967295:1:::\na:x:101:102:\xe4 name:/:/bin/sh\na:x:201:202:::\nb:x:0:0::/:";
    let found = accounts(passwd, b"a:x\na:x::\n\na:x:102:m,n\nb:x:0:\n");
    assert_eq!(found.user("a"), Some((101, 102)));
    assert_eq!(found.user("b"), Some((0, 0)));
    for name in ["", "short", "# comment", "more", "last", "A", "a:x"] {
        assert_eq!(found.user(name), None, "{name}");
    }
    assert_eq!((found.primary_group(101), found.primary_group(1)), (Some(102), None));
    assert_eq!((found.group("a"), found.group("b"), found.group("c")), (Some(102), Some(0), None));
}

#[test]
fn files_that_are_missing_too_large_or_of_another_kind_have_no_accounts() {
    let etc = tempfile::tempdir().unwrap();
    assert_eq!(Accounts::of(etc.path()).user("root"), None);
    std::fs::create_dir(etc.path().join("passwd")).unwrap();
    assert_eq!(Accounts::of(etc.path()).user("root"), None);
    std::fs::remove_dir(etc.path().join("passwd")).unwrap();
    let file = std::fs::File::create(etc.path().join("passwd")).unwrap();
    std::io::Write::write_all(&mut &file, b"a:x:1:1:::\n").unwrap();
    assert_eq!(Accounts::of(etc.path()).user("a"), Some((1, 1)));
    file.set_len(MAX_ACCOUNTS + 1).unwrap();
    assert_eq!(Accounts::of(etc.path()).user("a"), None);
}
