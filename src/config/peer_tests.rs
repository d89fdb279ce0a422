use super::Digest;

const EMPTY: &str = "sha256/47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=";
const EMPTY_HEX: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

#[test]
fn a_digest_is_read_and_written_in_one_spelling() {
    let digest = Digest::parse(EMPTY).unwrap();
    assert_eq!(digest.bytes()[..4], [0xe3, 0xb0, 0xc4, 0x42]);
    assert_eq!(digest.to_string(), EMPTY);
    for bytes in [[0; 32], [0xff; 32], [0x5a; 32]] {
        let digest = Digest::new(bytes);
        assert_eq!(Digest::parse(&digest.to_string()), Some(digest));
    }
    let last = "sha256/47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFV=";
    for wrong in [
        "",
        "sha256/",
        "sha256/=",
        &EMPTY[..EMPTY.len() - 1],
        &EMPTY[7..],
        &format!("{EMPTY}="),
        &format!(" {EMPTY}"),
        &EMPTY.replace("sha256/", "SHA256/"),
        &EMPTY.replace("sha256/", "sha256//"),
        &EMPTY.replace('+', "-"),
        &EMPTY.replace("47DE", "47DEAAAA"),
        &EMPTY.replace("47DE", "é7DE"),
        // Two bits too many: another spelling of the same bytes.
        last,
    ] {
        assert_eq!(Digest::parse(wrong), None, "{wrong}");
    }
}

#[test]
fn a_fingerprint_may_be_hex() {
    let digest = Digest::parse(EMPTY);
    let pairs: Vec<&str> = (0..32).map(|n| &EMPTY_HEX[2 * n..2 * n + 2]).collect();
    for right in [EMPTY, EMPTY_HEX, &EMPTY_HEX.to_uppercase(), &pairs.join(":")] {
        assert_eq!(Digest::parse_fingerprint(right), digest, "{right}");
    }
    for wrong in [
        "",
        &EMPTY_HEX[2..],
        &format!("{EMPTY_HEX}00"),
        &pairs.join("::"),
        &EMPTY_HEX.replace('e', "é"),
        &EMPTY_HEX.replace("e3", "+3"),
        &pairs[1..].join(":"),
    ] {
        assert_eq!(Digest::parse_fingerprint(wrong), None, "{wrong}");
    }
}
