use super::*;

#[test]
fn ports_are_those_of_urls_and_addresses() {
    for (text, found) in [
        ("https://api.example/x", Some(443)),
        ("HTTP://h", Some(80)),
        ("http://h:8080/x?y=z:1", Some(8080)),
        ("--url=https://h:8443", Some(8443)),
        ("postgres://user:p:w@db/name", Some(5432)),
        ("postgresql+asyncpg://u:pw@db:6000/n", Some(6000)),
        ("mongodb+srv://c.example", Some(27017)),
        ("redis://[::1]:6380/0", Some(6380)),
        ("redis://[::1]/0", Some(6379)),
        ("custom://h:7000", Some(7000)),
        ("custom://h", None),
        ("db.internal:5432", Some(5432)),
        ("--addr=localhost:9000", Some(9000)),
        ("10.0.0.1:22", Some(22)),
        ("[fe80::1]:443", Some(443)),
        ("12:30", None),
        ("h:0", None),
        ("h:65536", None),
        ("h:12x", None),
        ("/srv/a:80", None),
        ("a b:80", None),
        ("::1", None),
        ("", None),
        ("postgres:///name", None),
        ("unix:///run/x", None),
    ] {
        assert_eq!(port(text), found, "{text}");
    }
}

#[test]
fn paths_are_absolute_and_may_be_values_and_lists() {
    for (text, found) in [
        ("/srv/x", &["/srv/x"][..]),
        ("--root=/srv/x", &["/srv/x"]),
        ("ROOT=/srv/x=y", &["/srv/x=y"]),
        ("/a:/b:c", &["/a:/b:c", "/a", "/b"]),
        ("/a,/b", &["/a,/b", "/a", "/b"]),
        ("file:///srv/x", &["/srv/x"]),
        ("/srv/a=b", &["/srv/a=b"]),
        ("http://h/srv", &[]),
        ("relative/x", &[]),
        ("-", &[]),
        ("", &[]),
    ] {
        assert_eq!(paths(text), found, "{text}");
    }
}
