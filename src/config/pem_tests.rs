use super::*;

#[test]
fn only_complete_certificates_are_kept() {
    let bundle = "# comment\r\n-----BEGIN PRIVATE KEY-----\nsecret\n-----END PRIVATE KEY-----\n\
        -----BEGIN CERTIFICATE-----\r\nAA==\r\n-----END CERTIFICATE-----\r\ntrailing\n\
        -----BEGIN CERTIFICATE-----\nBB==\n-----END CERTIFICATE-----\n-----BEGIN CERTIFICATE-----\nCC==\n";
    assert_eq!(
        certificates(bundle).unwrap(),
        "-----BEGIN CERTIFICATE-----\nAA==\n-----END CERTIFICATE-----\n\
         -----BEGIN CERTIFICATE-----\nBB==\n-----END CERTIFICATE-----\n"
    );
    assert_eq!(certificates("-----BEGIN PRIVATE KEY-----\nx\n-----END PRIVATE KEY-----\n"), None);
    assert_eq!(certificates(""), None);
}
