use std::net::{IpAddr, SocketAddr};

use super::{Host, candidates, of_url, refused};
use crate::net::{Cause, Phase};

fn host(url: &str) -> Option<(Host, u16)> {
    of_url(&url.parse().unwrap(), 443).ok()
}

fn addresses(list: &[&str]) -> Vec<SocketAddr> {
    list.iter().map(|a| a.parse().unwrap()).collect()
}

#[test]
fn hosts_are_read_from_urls() {
    let name = |n: &str| Host::Name(n.into());
    let ip = |a: &str| Host::Address(a.parse().unwrap());
    assert_eq!(host("https://mcp.example/x"), Some((name("mcp.example"), 443)));
    assert_eq!(host("https://mcp.example.:8443/x"), Some((name("mcp.example"), 8443)));
    assert_eq!(host("https://10.1.2.3/"), Some((ip("10.1.2.3"), 443)));
    assert_eq!(host("https://[2001:db8::1]:1/"), Some((ip("2001:db8::1"), 1)));
    assert_eq!(host("https://./"), None);
    assert_eq!(host("/path"), None);
}

#[test]
fn link_local_and_metadata_addresses_are_refused_in_every_form() {
    for address in [
        "169.254.0.1",
        "169.254.169.254",
        "100.100.100.200",
        "168.63.129.16",
        "fe80::1",
        "febf::1",
        "fd00:ec2::254",
        "::ffff:169.254.169.254",
        "::ffff:100.100.100.200",
        "::169.254.169.254",
        "64:ff9b::a9fe:a9fe",
    ] {
        assert!(refused(address.parse::<IpAddr>().unwrap()), "{address}");
    }
    for address in
        ["127.0.0.1", "10.0.0.1", "169.253.0.1", "100.100.100.201", "::1", "fd00:ec2::253", "fec0::1"]
    {
        assert!(!refused(address.parse::<IpAddr>().unwrap()), "{address}");
    }
}

#[test]
fn families_take_turns_beginning_with_the_first() {
    let found =
        addresses(&["[2001:db8::1]:1", "[2001:db8::2]:1", "[2001:db8::3]:1", "10.0.0.1:1", "10.0.0.2:1"]);
    let order =
        addresses(&["[2001:db8::1]:1", "10.0.0.1:1", "[2001:db8::2]:1", "10.0.0.2:1", "[2001:db8::3]:1"]);
    assert_eq!(candidates(found, None).unwrap(), order);
}

#[test]
fn refused_and_repeated_addresses_are_left_out_and_the_number_is_bounded() {
    let found = addresses(&["169.254.169.254:1", "10.0.0.1:1", "10.0.0.1:1", "[fe80::1]:1"]);
    assert_eq!(candidates(found, None).unwrap(), addresses(&["10.0.0.1:1"]));
    let many = (0..=255).map(|n| SocketAddr::from(([10, 0, 0, n], 1)));
    assert_eq!(candidates(many, None).unwrap().len(), 8);
}

#[test]
fn nothing_left_says_why() {
    let blocked = candidates(addresses(&["169.254.169.254:1"]), None).unwrap_err();
    assert_eq!((blocked.phase, blocked.cause), (Phase::Connect, Cause::Blocked));
    let nothing = candidates([], None).unwrap_err();
    assert_eq!((nothing.phase, nothing.cause), (Phase::Dns, Cause::Dns));
}

#[test]
fn an_address_outside_the_allowed_networks_is_left_out() {
    let networks =
        ["10.0.0.0/8", "fd00::/8", "169.254.0.0/16"].map(|n| super::Network::try_from(n.to_owned()).unwrap());
    let found =
        || addresses(&["192.0.2.1:1", "10.9.9.9:1", "[2001:db8::1]:1", "[fd00::1]:1", "169.254.1.1:1"]);
    let kept = addresses(&["10.9.9.9:1", "[fd00::1]:1"]);
    assert_eq!(candidates(found(), Some(&networks)).unwrap(), kept, "what is refused stays refused");
    let outside = candidates(addresses(&["192.0.2.1:1", "169.254.1.1:1"]), Some(&networks)).unwrap_err();
    assert_eq!((outside.phase, outside.cause), (Phase::Connect, Cause::NotAllowed));
    let blocked = candidates(addresses(&["169.254.1.1:1"]), Some(&networks)).unwrap_err();
    assert_eq!(blocked.cause, Cause::Blocked);
}
