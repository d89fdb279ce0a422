use super::*;
use crate::config::types::Secret;

fn network(text: &str) -> Network {
    Network::try_from(text.to_owned()).unwrap()
}

#[test]
fn a_network_contains_what_shares_its_leading_bits() {
    for (text, inside, outside) in [
        ("10.1.0.0/16", "10.1.255.255", "10.2.0.0"),
        ("0.0.0.0/0", "255.1.2.3", "::1"),
        ("192.0.2.7", "192.0.2.7", "192.0.2.8"),
        ("192.0.2.6/31", "192.0.2.7", "192.0.2.8"),
        ("10.0.0.0/8", "::ffff:10.9.8.7", "::ffff:11.0.0.0"),
        ("fd00::/8", "fd12:3456::1", "fe00::1"),
        ("::/0", "2001:db8::1", "1.2.3.4"),
        ("2001:db8::1", "2001:db8::1", "2001:db8::2"),
    ] {
        assert!(network(text).contains(inside.parse().unwrap()), "{inside} in {text}");
        assert!(!network(text).contains(outside.parse().unwrap()), "{outside} in {text}");
    }
}

#[test]
fn what_is_no_network_is_refused() {
    for text in [
        "",
        "x",
        "10.0.0.0/33",
        "10.0.0.0/-1",
        "10.0.0.0/+8",
        "10.0.0.0/",
        "::/129",
        "10.0.0/8",
        "10.0.0.0/999",
    ] {
        assert!(Network::try_from(text.to_owned()).unwrap_err().contains("must be"), "{text}");
    }
    for text in ["10.0.0.1/8", "10.0.0.0/4", "fd00::1/64", "128.0.0.0/0"] {
        assert!(Network::try_from(text.to_owned()).unwrap_err().contains("bits"), "{text}");
    }
    assert_eq!(String::from(network("fd00::/8")), "fd00::/8");
}

#[test]
fn a_proxy_is_shown_with_its_port_and_without_credentials() {
    let proxy = |url: &str| Proxy {
        url: HttpUrl::try_from(url.to_owned()).unwrap(),
        authorization: Some(Secret::new("Basic c2VjcmV0".into()).into()),
    };
    assert_eq!(proxy("http://p.internal").shown(), "http://p.internal:80");
    assert_eq!(proxy("https://p.internal").shown(), "https://p.internal:443");
    assert_eq!(proxy("https://[fd00::1]:3128").shown(), "https://[fd00::1]:3128");
    assert!(!format!("{:?}", proxy("http://p")).contains("c2VjcmV0"));
}
