use super::*;

#[test]
fn content_comes_back_and_cannot_be_changed() {
    let text = vec![7_u8; 300_000];
    let fd = sealed(&text).unwrap();
    assert_eq!(read_sealed(&fd, 300_000).unwrap(), text);
    assert_eq!(read_sealed(&fd, 300_000).unwrap(), text, "reading does not move an offset");
    assert!(super::super::fds::write(&fd, b"x").is_err());
    assert!(rustix::fs::ftruncate(&fd, 1).is_err());
}

#[test]
fn an_unsealed_file_is_refused() {
    let fd = rustix::fs::memfd_create("x", MemfdFlags::ALLOW_SEALING).unwrap();
    super::super::fds::write(&fd, b"abc").unwrap();
    assert_eq!(read_sealed(&fd, 3).unwrap_err().kind(), io::ErrorKind::InvalidData);
    rustix::fs::fcntl_add_seals(&fd, SealFlags::SHRINK | SealFlags::GROW).unwrap();
    assert_eq!(read_sealed(&fd, 3).unwrap_err().kind(), io::ErrorKind::InvalidData);
}

#[test]
fn a_wrong_size_or_another_kind_of_file_is_refused() {
    let fd = sealed(b"abc").unwrap();
    assert!(read_sealed(&fd, 2).is_err());
    assert!(read_sealed(&fd, 4).is_err());
    assert!(read_sealed(std::fs::File::open("/dev/null").unwrap(), 0).is_err());
}
