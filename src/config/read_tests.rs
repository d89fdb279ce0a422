use super::*;

#[test]
fn a_text_is_read_up_to_the_bound_and_not_beyond() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("f");
    std::fs::write(&path, "12345").unwrap();
    assert_eq!(text(&path, 5).unwrap().as_str(), "12345");
    assert!(matches!(text(&path, 4), Err(ReadError::TooLarge(4))));
}

#[test]
fn what_is_not_a_regular_text_file_is_refused_without_waiting() {
    let dir = tempfile::tempdir().unwrap();
    assert!(matches!(text(dir.path(), 10), Err(ReadError::NotRegular)));
    assert!(matches!(text(&dir.path().join("none"), 10), Err(ReadError::Missing)));
    assert!(matches!(text(Path::new("/dev/zero"), 10), Err(ReadError::NotRegular)));
    let fifo = dir.path().join("fifo");
    rustix::fs::mknodat(rustix::fs::CWD, &fifo, rustix::fs::FileType::Fifo, Mode::from_raw_mode(0o600), 0)
        .unwrap();
    assert!(matches!(text(&fifo, 10), Err(ReadError::NotRegular)));
    let binary = dir.path().join("binary");
    std::fs::write(&binary, [0xff, 0xfe]).unwrap();
    assert!(matches!(text(&binary, 10), Err(ReadError::NotText)));
}
