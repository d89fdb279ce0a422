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

#[test]
fn the_one_private_key_is_taken_out() {
    let block = |label: &str, body: &str| format!("-----BEGIN {label}-----\n{body}\n-----END {label}-----\n");
    for label in KEYS {
        let text = format!(
            "noise\r\n{}{}{}{}",
            block("EC PARAMETERS", "aa"),
            block("CERTIFICATE", "bb"),
            block(label, "key").replace('\n', "\r\n"),
            block("CERTIFICATE", "cc")
        );
        assert_eq!(private_key(&text).unwrap().expose(), block(label, "key"), "{label}");
    }
    let key = block("PRIVATE KEY", "k");
    for (text, why) in [
        (String::new(), NoKey::Missing),
        (block("CERTIFICATE", "c"), NoKey::Missing),
        (block("PUBLIC KEY", "c"), NoKey::Missing),
        ("-----BEGIN PRIVATE KEY-----\nk\n".into(), NoKey::Missing),
        ("-----BEGIN PRIVATE KEY-----\nk\n-----END RSA PRIVATE KEY-----\n".into(), NoKey::Missing),
        (format!("{key}{key}"), NoKey::Several),
        (block("ENCRYPTED PRIVATE KEY", "k"), NoKey::Encrypted),
        (block("RSA PRIVATE KEY", "Proc-Type: 4,ENCRYPTED\nDEK-Info: AES-128-CBC,00\n\nk"), NoKey::Encrypted),
    ] {
        assert_eq!(private_key(&text).unwrap_err(), why, "{text}");
    }
}
