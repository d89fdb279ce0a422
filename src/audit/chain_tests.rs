use aws_lc_rs::hmac::{self, HMAC_SHA256};

use super::*;

const HEAD: Head<'_> = Head { time: "2026-11-26T00:00:00.000Z", mono_us: 7, boot: "b007" };

fn key() -> Key {
    Key::new([7; 32])
}

/// The lines of a few records, without their ends.
fn lines(count: u64) -> Vec<Vec<u8>> {
    let (mut chain, mut out) = (Chain::begin(key()), Vec::new());
    for n in 0..count {
        chain.seal(HEAD, &format!("\"event\":\"test\",\"n\":{n}"), &mut out);
    }
    out.split(|b| *b == b'\n').filter(|l| !l.is_empty()).map(<[u8]>::to_vec).collect()
}

#[test]
fn what_is_sealed_is_accepted_in_its_order_and_in_no_other() {
    let lines = lines(3);
    let mut chain = Chain::begin(key());
    assert_eq!(chain.accept(&lines[1]), Err(Flaw::Sequence { found: 1 }));
    for line in &lines {
        assert_eq!(chain.accept(line), Ok(()));
    }
    assert_eq!(chain.accept(&lines[2]), Err(Flaw::Sequence { found: 2 }));
    assert_eq!(chain.sequence, 3);
}

#[test]
fn a_record_with_any_byte_changed_is_refused() {
    let lines = lines(2);
    for at in 0..lines[1].len() {
        for flip in [1, 0x20, 0x80] {
            let mut chain = Chain::begin(key());
            chain.accept(&lines[0]).unwrap();
            let mut line = lines[1].clone();
            line[at] ^= flip;
            assert!(chain.accept(&line).is_err(), "byte {at} ^ {flip}: {}", String::from_utf8_lossy(&line));
        }
    }
}

#[test]
fn a_key_says_nothing_about_the_one_before_and_makes_no_record_of_it() {
    let lines = lines(2);
    let mut later = key();
    later.evolve();
    assert!(!Record::read(&lines[0]).unwrap().is_authentic(&later));
    assert!(Record::read(&lines[1]).unwrap().is_authentic(&later));
}

/// The format is for other programs too: this is what they have to compute.
#[test]
fn the_codes_are_hmac_sha256_of_the_line_before_them() {
    let line = &lines(1)[0];
    let text = std::str::from_utf8(line).unwrap();
    let expected = "{\"v\":1,\"seq\":0,\"time\":\"2026-11-26T00:00:00.000Z\",\"mono_us\":7,\"boot\":\"b007\",\"prev\":\"0000000000000000000000000000000000000000000000000000000000000000\",\"event\":\"test\",\"n\":0";
    let (before, code) = text.split_once(",\"mac\":\"").unwrap();
    assert_eq!(before, expected);
    let tag = hmac::sign(&hmac::Key::new(HMAC_SHA256, &[7; 32]), before.as_bytes());
    assert_eq!(code, format!("{}\"}}", hex(tag.as_ref())));
    let mut next = key();
    next.evolve();
    let tag = hmac::sign(&hmac::Key::new(HMAC_SHA256, &[7; 32]), b"tunnelward audit: the next key");
    assert_eq!(*next.to_hex(), hex(tag.as_ref()));
}

#[test]
fn a_record_of_a_newer_version_is_refused_by_its_number() {
    assert_eq!(Record::read(b"{\"v\":2,\"other\":1}").unwrap_err(), Flaw::Newer(2));
    assert!(Flaw::Newer(2).to_string().contains("version 2"));
}

#[test]
fn keys_are_64_small_hex_digits() {
    assert_eq!(Key::from_hex(&"0a".repeat(32)), Some(Key::new([10; 32])));
    for wrong in ["", "0a", &"0A".repeat(32), &"0g".repeat(32), &"0a".repeat(33), &"é".repeat(32)] {
        assert_eq!(Key::from_hex(wrong), None, "{wrong}");
    }
    assert!(!format!("{:?}", key()).contains('7'));
}

#[test]
fn digests_are_keyed_and_tell_apart_what_they_are_of() {
    let (one, mut two) = (key().of_digests(), key().of_digests());
    two.evolve();
    let digests = [one.digest("arguments", b"x"), one.digest("session", b"x"), two.digest("arguments", b"x")];
    assert_eq!(one.digest("arguments", b"x"), digests[0]);
    assert!(digests[0] != digests[1] && digests[0] != digests[2] && digests[1] != digests[2]);
}

proptest::proptest! {
    #[test]
    fn a_code_is_the_hmac_of_the_library(secret: [u8; 32], a: Vec<u8>, b: Vec<u8>) {
        let tag = hmac::sign(&hmac::Key::new(HMAC_SHA256, &secret), &[&a[..], &b].concat());
        let key = Key::new(secret);
        assert_eq!(key.code(&[&a, &b]), tag.as_ref());
        assert!(key.is_code_of(&[&a[..], &b].concat(), &key.code(&[&a, &b])));
    }

    #[test]
    fn reading_any_bytes_ends_without_a_panic(bytes in proptest::collection::vec(0_u8.., 0..300)) {
        let _ = Record::read(&bytes);
        let _ = Chain::begin(key()).accept(&bytes);
    }
}
