use super::*;

#[track_caller]
fn takes(pattern: &str, yes: &[&str], no: &[&str]) {
    let compiled = Pattern::new(pattern).unwrap();
    for text in yes {
        assert!(compiled.matches(text), "{pattern} takes {text:?}");
    }
    for text in no {
        assert!(!compiled.matches(text), "{pattern} refuses {text:?}");
    }
}

#[test]
fn a_pattern_is_about_the_whole_text() {
    takes("^a$", &["a"], &["", "aa", "a\n", "\na", "b"]);
    takes("^$", &[""], &["a", "\n"]);
    takes("^a*$", &["", "a", "aaaa"], &["ab"]);
    takes("^(?:ab|c)+x?$", &["ab", "cabx", "c"], &["", "x", "abxx"]);
    takes("^a{2}b{1,3}c{2,}$", &["aabcc", "aabbbccc"], &["abcc", "aabbbbcc", "aabc"]);
    takes("^[a-c_\\-.]+$", &["a", "-._b"], &["d", ""]);
    takes("^[^/]+$", &["a b", "ü"], &["a/b", ""]);
    takes("^[-a]+[b-]$", &["-a-", "ab"], &["c"]);
    takes("^\\d+\\.\\w\\s\\S$", &["12.a b"], &["12xa b", "1.  b"]);
    takes("^.$", &["x", "ü", "\u{1f600}"], &["\n", "\u{2028}", "xy"]);
    takes("^\\x41\\u00e9$", &["Aé"], &["A"]);
    takes("^(a|b|)c$", &["ac", "bc", "c"], &["abc"]);
    takes("^a\\\\$", &["a\\"], &["a"]);
    takes("^a+?b*?$", &["aab"], &["b"]);
    takes("^(a*)*$", &["", "aaa"], &["b"]);
}

#[test]
fn a_pattern_that_ruins_others_is_linear_here() {
    let evil = Pattern::new("^(a+)+(a|aa)+(a*)*b$").unwrap();
    let started = std::time::Instant::now();
    assert!(!evil.matches(&"a".repeat(20_000)));
    assert!(started.elapsed() < std::time::Duration::from_secs(10));
    // Beyond the bound nothing matches.
    assert!(!Pattern::new("^a*$").unwrap().matches(&"a".repeat(1_000_000)));
}
