use super::*;
use crate::sys::{fds, pair};
use std::fs::File;
use std::io::Read as _;

fn pipe_with(text: &[u8]) -> OwnedFd {
    let (read, write) = fds::pipe().unwrap();
    fds::write(&write, text).unwrap();
    read
}

#[test]
fn a_frame_keeps_its_bounds_and_its_descriptors() {
    let (a, b) = pair::new().unwrap();
    let (one, two) = (pipe_with(b"one"), pipe_with(b"two"));
    send(&a, b"first", &[one.as_fd(), two.as_fd()]).unwrap();
    send(&a, b"second", &[]).unwrap();
    let mut buffer = [0; 64];
    let got = recv(&b, &mut buffer).unwrap();
    assert_eq!((&buffer[..got.len], got.fds.len()), (&b"first"[..], 2));
    drop((one, two));
    for (fd, text) in got.fds.into_iter().zip(["one", "two"]) {
        let flags = rustix::io::fcntl_getfd(&fd).unwrap();
        assert!(flags.contains(rustix::io::FdFlags::CLOEXEC));
        let mut content = String::new();
        let mut file = File::from(fd);
        file.by_ref().take(3).read_to_string(&mut content).unwrap();
        assert_eq!(content, text);
    }
    let got = recv(&b, &mut buffer).unwrap();
    assert_eq!((&buffer[..got.len], got.fds.len()), (&b"second"[..], 0));
}

#[test]
fn nothing_there_is_would_block_and_a_closed_peer_is_the_end() {
    let (a, b) = pair::new().unwrap();
    let mut buffer = [0; 8];
    assert_eq!(recv(&b, &mut buffer).unwrap_err().kind(), io::ErrorKind::WouldBlock);
    drop(a);
    assert_eq!(recv(&b, &mut buffer).unwrap().len, 0);
    assert_eq!(send(&b, b"x", &[]).unwrap_err().kind(), io::ErrorKind::BrokenPipe);
}

#[test]
fn a_cut_frame_is_an_error() {
    let (a, b) = pair::new().unwrap();
    send(&a, &[1; 9], &[]).unwrap();
    assert_eq!(recv(&b, &mut [0; 8]).unwrap_err().kind(), io::ErrorKind::InvalidData);
}

#[test]
fn too_many_descriptors_are_an_error_and_do_not_leak() {
    let (a, b) = pair::new().unwrap();
    for count in MAX_FDS + 1..MAX_FDS + 4 {
        let (read, write) = fds::pipe().unwrap();
        let many: Vec<_> = (0..count).map(|_| write.as_fd()).collect();
        let mut space = vec![MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(count))];
        let mut control = SendAncillaryBuffer::new(&mut space);
        assert!(control.push(SendAncillaryMessage::ScmRights(&many)));
        rustix::net::sendmsg(&a, &[IoSlice::new(b"x")], &mut control, SendFlags::empty()).unwrap();
        assert_eq!(recv(&b, &mut [0; 8]).unwrap_err().kind(), io::ErrorKind::InvalidData, "{count}");
        drop(write);
        assert_eq!(fds::read(&read, &mut [0; 1]).unwrap(), 0, "a copy of the write end is still open");
    }
}

#[test]
fn a_full_queue_is_back_pressure_and_nothing_is_lost() {
    let (a, b) = pair::new().unwrap();
    let mut sent = 0_u32;
    loop {
        match send(&a, &sent.to_le_bytes(), &[]) {
            Ok(()) => sent += 1,
            Err(e) => {
                assert_eq!(e.kind(), io::ErrorKind::WouldBlock);
                break;
            }
        }
    }
    assert!(sent > 0);
    let mut buffer = [0; 8];
    for n in 0..sent {
        assert_eq!(recv(&b, &mut buffer).unwrap().len, 4);
        assert_eq!(buffer[..4], n.to_le_bytes());
    }
}
