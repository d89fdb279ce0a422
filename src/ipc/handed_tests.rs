use super::*;
use crate::sys::pair;

#[test]
fn a_value_of_any_size_comes_back_once() {
    let (ours, theirs) = pair::new().unwrap();
    let value = vec!["x".repeat(300_000)];
    hand(&ours, &value).unwrap();
    assert_eq!(receive::<Vec<String>>(&theirs).unwrap(), value);
    drop(ours);
    assert!(receive::<Vec<String>>(&theirs).is_err());
}

#[test]
fn what_is_not_handed_over_so_is_refused() {
    let (ours, theirs) = pair::new().unwrap();
    let content = memfd::sealed(b"[1]").unwrap();
    for (text, fds) in [(&b"3"[..], vec![]), (b"x", vec![content.as_fd()]), (b"4", vec![content.as_fd()])] {
        message::send(&ours, text, &fds).unwrap();
        assert_eq!(receive::<Vec<u8>>(&theirs).unwrap_err().kind(), io::ErrorKind::InvalidData);
    }
    message::send(&ours, (MAX + 1).to_string().as_bytes(), &[content.as_fd()]).unwrap();
    assert_eq!(receive::<Vec<u8>>(&theirs).unwrap_err().kind(), io::ErrorKind::InvalidData);
    message::send(&ours, b"3", &[content.as_fd()]).unwrap();
    assert_eq!(receive::<Vec<String>>(&theirs).unwrap_err().kind(), io::ErrorKind::InvalidData);
}
