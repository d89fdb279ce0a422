use super::*;

fn env(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    pairs.iter().map(|(k, v)| ((*k).into(), (*v).into())).collect()
}

fn url(text: &str) -> HttpUrl {
    HttpUrl::try_from(text.to_owned()).unwrap()
}

#[test]
fn the_scheme_of_the_target_chooses_the_variable_and_capitals_go_first() {
    let both = env(&[("HTTPS_PROXY", "http://s"), ("https_proxy", "http://low"), ("http_proxy", "http://h")]);
    assert_eq!(proxy_for(&both, &url("https://a.test")), Some(("HTTPS_PROXY", "http://s")));
    assert_eq!(proxy_for(&both, &url("http://a.test")), Some(("http_proxy", "http://h")));
    let one = env(&[("HTTP_PROXY", "http://h"), ("HTTPS_PROXY", "")]);
    assert_eq!(proxy_for(&one, &url("https://a.test")), None, "one does not stand in for the other");
}

#[test]
fn this_machine_is_never_reached_through_a_proxy_of_the_environment() {
    let all = env(&[("HTTPS_PROXY", "http://p"), ("HTTP_PROXY", "http://p")]);
    for target in [
        "http://localhost:1",
        "https://LOCALHOST",
        "http://127.9.9.9",
        "http://[::1]:8",
        "http://[::ffff:127.0.0.1]",
    ] {
        assert_eq!(proxy_for(&all, &url(target)), None, "{target}");
    }
    assert!(proxy_for(&all, &url("http://localhost.example")).is_some());
}

#[test]
fn no_proxy_is_read_as_go_reads_it() {
    for (exempt, target, direct) in [
        ("*", "https://a.test", true),
        ("b.test, *", "https://a.test", true),
        ("a.test", "https://a.test", true),
        ("A.Test", "https://a.TEST", true),
        ("a.test", "https://x.a.test", true),
        ("a.test", "https://ba.test", false),
        (".a.test", "https://x.a.test", true),
        (".a.test", "https://a.test", false),
        ("*.a.test", "https://x.a.test", true),
        ("*.a.test", "https://a.test", false),
        ("a.test:443", "https://a.test", true),
        ("a.test:8443", "https://a.test:8443", true),
        ("a.test:8443", "https://a.test", false),
        ("a.test:x", "https://a.test", false),
        ("10.1.2.3", "https://10.1.2.3", true),
        ("10.1.2.3:443", "https://10.1.2.3", true),
        ("10.1.2.3:80", "https://10.1.2.3", false),
        ("10.0.0.0/8", "https://10.1.2.3", true),
        ("10.1.2.3/8", "https://10.9.9.9", true),
        ("10.0.0.0/8", "https://11.1.2.3", false),
        ("10.0.0.0/8", "https://a10.test", false),
        ("fd00::/8", "https://[fd01::2]", true),
        ("fd01::2", "https://[fd01::2]:8443", true),
        ("[fd01::2]:8443", "https://[fd01::2]:8443", true),
        ("[fd01::2]:8443", "https://[fd01::2]", false),
        ("2.3", "https://10.1.2.3", false),
        ("", "https://a.test", false),
        (",, ,", "https://a.test", false),
        (":443", "https://a.test", false),
    ] {
        let env = env(&[("HTTPS_PROXY", "http://p"), ("no_proxy", exempt)]);
        assert_eq!(proxy_for(&env, &url(target)).is_none(), direct, "{exempt:?} and {target}");
    }
}
