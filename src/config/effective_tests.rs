use super::*;

#[test]
fn credentials_in_urls_are_left_out_wherever_they_stand() {
    for (text, url, shown) in [
        ("https://h/p", true, "https://h/p"),
        ("http://u:p@h:1/x?y=z#w", true, "http://<redacted>@h:1/x?<redacted>"),
        ("http://a@b@c/x", true, "http://<redacted>@c/x"),
        (
            "run --db=pg://u:p@h/d --to 'x://y@z' mail@host",
            false,
            "run --db=pg://<redacted>@h/d --to 'x://<redacted>@z' mail@host",
        ),
        ("a?b", false, "a?b"),
        ("u:p@proxy:1", true, "<redacted>@proxy:1"),
    ] {
        assert_eq!(without_credentials(text, url), shown);
    }
}
