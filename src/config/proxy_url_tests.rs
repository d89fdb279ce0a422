use super::*;

fn good(text: &str) -> (String, Option<String>) {
    let proxy = read(text, Bare::IsWrong).unwrap();
    (proxy.shown(), proxy.authorization.map(|a| a.expose().to_owned()))
}

#[test]
fn credentials_are_taken_out_and_decoded() {
    assert_eq!(good("http://p:3128/"), ("http://p:3128".into(), None));
    assert_eq!(good("HTTPS://P.test?x#y"), ("https://P.test:443".into(), None));
    let aladdin = Some("Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==".to_owned());
    assert_eq!(good("http://Aladdin:open%20sesame@p:1"), ("http://p:1".into(), aladdin));
    // RFC 7617 section 2.1: the pound sign in UTF-8.
    assert_eq!(
        good("http://test:123%C2%A3@[fd00::1]"),
        ("http://[fd00::1]:80".into(), Some("Basic dGVzdDoxMjPCow==".into()))
    );
    assert_eq!(
        good("http://a:b@c@p").1,
        Some("Basic YTpiQGM=".into()),
        "the last @ ends the user information"
    );
    assert_eq!(good("http://a@p").1, Some("Basic YTo=".into()));
}

#[test]
fn base64_is_padded() {
    for (plain, coded) in [
        ("", ""),
        ("f", "Zg=="),
        ("fo", "Zm8="),
        ("foo", "Zm9v"),
        ("foob", "Zm9vYg=="),
        ("fooba", "Zm9vYmE="),
        ("foobar", "Zm9vYmFy"),
    ] {
        assert_eq!(base64::encode(plain.as_bytes()).as_str(), coded);
    }
    assert_eq!(base64::encode(&[0xfb, 0xff, 0xbf]).as_str(), "+/+/");
}

#[test]
fn what_cannot_be_a_proxy_is_refused_without_being_repeated() {
    for (text, part) in [
        ("", "required"),
        ("p:3128", "scheme"),
        ("socks5://u:geheim@p", "scheme"),
        ("http://", "host"),
        ("http://u:geheim@", "host"),
        ("http://p:0", "port"),
        ("http://p:geheim", "port"),
        ("http://u:ge/heim@p", "port"),
        ("http://u:%zz@p", "percent"),
        ("http://u:%4@p", "percent"),
        ("http://a%3Ab:geheim@p", "colon"),
        ("http://p q", "host"),
    ] {
        let why = read(text, Bare::IsWrong).unwrap_err();
        assert!(why.contains(part) && !why.contains("geheim"), "{text}: {why}");
    }
    assert_eq!(read("p:3128", Bare::IsHttp).unwrap().shown(), "http://p:3128");
    assert!(read("socks5://p", Bare::IsHttp).is_err());
}
