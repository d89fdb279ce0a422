use rcgen::{CertificateParams, DistinguishedName, DnType, DnValue, KeyPair, date_time_ymd};

use super::{Malformed, days, facts, name, time};

fn certificate(fill: impl FnOnce(&mut CertificateParams)) -> Vec<u8> {
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    fill(&mut params);
    params.self_signed(&KeyPair::generate().unwrap()).unwrap().der().to_vec()
}

#[test]
fn a_certificate_tells_names_and_times() {
    let der = certificate(|p| {
        p.distinguished_name.push(DnType::CountryName, "DE");
        p.distinguished_name.push(DnType::OrganizationName, "Müller, Söhne = Co");
        p.distinguished_name.push(DnType::CommonName, DnValue::BmpString("Ünï".try_into().unwrap()));
        p.not_before = date_time_ymd(2024, 2, 29);
        p.not_after = date_time_ymd(2051, 1, 1);
    });
    let facts = facts(&der).unwrap();
    assert_eq!(facts.subject, "C=DE, O=Müller\\, Söhne \\= Co, CN=Ünï");
    assert_eq!(facts.issuer, facts.subject);
    // `date -u -d 2024-02-29 +%s`, and a year that needs GeneralizedTime.
    assert_eq!((facts.not_before, facts.not_after), (1_709_164_800, 2_556_144_000));
}

#[test]
fn what_a_name_holds_cannot_forge_a_line() {
    let der = certificate(|p| {
        p.distinguished_name.push(DnType::CommonName, "a\nb\u{1b}[2J\u{202e}c");
        p.distinguished_name.push(DnType::from_oid(&[1, 2, 3, 4]), "x");
    });
    assert_eq!(facts(&der).unwrap().subject, "CN=a\\u{a}b\\u{1b}[2J\\u{202e}c, #2a0304=x");
    let long = certificate(|p| p.distinguished_name.push(DnType::CommonName, "n".repeat(1000)));
    assert_eq!(facts(&long).unwrap().subject.chars().count(), 257);
    assert_eq!(name(b"nonsense"), "");
}

#[test]
fn every_cut_and_every_flipped_byte_is_read_without_harm() {
    let der = certificate(|p| p.distinguished_name.push(DnType::CommonName, "localhost"));
    let whole = facts(&der).unwrap();
    for n in 0..der.len() {
        assert_eq!(facts(&der[..n]), Err(Malformed), "cut at {n}");
        for bit in 0..8 {
            let mut other = der.clone();
            other[n] ^= 1 << bit;
            // Nothing to expect but that it returns.
            let _ = facts(&other);
        }
    }
    let mut longer = der.clone();
    longer.extend([0; 4]);
    assert_eq!(facts(&longer), Ok(whole));
    assert_eq!(facts(&[0x30, 0x84, 0xff, 0xff, 0xff, 0xff]), Err(Malformed));
    assert_eq!(facts(&[0x30, 0x80, 0, 0]), Err(Malformed));
    assert_eq!(facts(&[0x1f, 0x01]), Err(Malformed));
}

#[test]
fn times_are_read_in_both_forms_and_no_other() {
    for (tag, text, seconds) in [
        (0x17, "700101000000Z", 0),
        (0x17, "491231235959Z", 2_524_607_999),
        (0x17, "500101000000Z", 0),
        (0x17, "000229120000Z", 951_825_600),
        (0x18, "20500101000000Z", 2_524_608_000),
        (0x18, "99991231235959Z", 253_402_300_799),
        (0x18, "00000101000000Z", 0),
    ] {
        assert_eq!(time((tag, text.as_bytes())), Ok(seconds), "{text}");
    }
    for (tag, text) in [
        (0x17, "7001010000Z"),
        (0x17, "700101000000"),
        (0x17, "700101000000+0000"),
        (0x17, "701301000000Z"),
        (0x17, "700132000000Z"),
        (0x17, "700101240000Z"),
        (0x17, "-00101000000Z"),
        (0x18, "700101000000Z"),
        (0x18, "2050010100000Z"),
        (0x18, "20500101000000.5Z"),
        (0x18, "é0500101000000Z"),
        (0x18, ""),
        (0x0c, "700101000000Z"),
    ] {
        assert_eq!(time((tag, text.as_bytes())), Err(Malformed), "{text}");
    }
    assert_eq!(days(1970, 1, 1), 0);
    assert_eq!(days(2000, 3, 1) - days(2000, 2, 28), 2);
    assert_eq!(days(1900, 3, 1) - days(1900, 2, 28), 1);
}
