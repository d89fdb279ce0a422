use super::*;

#[test]
fn a_target_is_a_host_with_or_without_a_port() {
    for (target, expected) in [
        ("example.com", "https://example.com/"),
        ("example.com:8443", "https://example.com:8443/"),
        (" https://example.com/ ", "https://example.com/"),
        ("127.0.0.1:1", "https://127.0.0.1:1/"),
        ("[::1]:8443", "https://[::1]:8443/"),
    ] {
        assert_eq!(url(target).unwrap().uri().to_string(), expected);
    }
    for wrong in
        ["", "http://example.com", "user@example.com", "example.com/x", "example.com:0", "a b", ":443"]
    {
        assert_eq!(url(wrong), None, "{wrong}");
    }
    let same = |a: &str, b: &str| url(a).unwrap().is_at(&url(b).unwrap());
    assert!(same("Example.com", "example.com:443") && !same("example.com", "example.com:8443"));
}

#[test]
fn nothing_that_is_unverified_can_be_pasted() {
    let link = Link {
        subject: "CN=x".into(),
        issuer: Some("CN=y".into()),
        validity: None,
        pin: Some(Digest::new([1; 32])),
    };
    let text = unverified("h", &[link.clone(), link.clone()], "why");
    assert!(text.lines().all(|line| line.starts_with('#')), "{text}");
    assert_eq!(text.matches("UNVERIFIED").count(), 3);
    // A worker that was taken over sends what it likes.
    let forged = Link { subject: "CN=x\n  - \"sha256/forged\"".into(), ..link };
    let text = unverified("h", std::slice::from_ref(&forged), "why\npins:");
    assert!(text.lines().all(|line| line.starts_with('#')), "{text}");
    assert_eq!(verified("h", &[forged]).matches("\n  - ").count(), 1);
}
