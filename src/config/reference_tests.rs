use std::collections::BTreeMap;

use super::*;
use crate::config::Accounts;

fn resolve(text: &str, env: &[(&str, &str)]) -> Result<String, String> {
    let env: BTreeMap<String, String> = env.iter().map(|(k, v)| ((*k).into(), (*v).into())).collect();
    let host = Host { env: &env, uid: 1000, gid: 1000, accounts: &Accounts::of(Path::new("/etc")) };
    let place = Place::named("--x");
    Reference::parse(text, Spelling::AnyCase)
        .unwrap()
        .resolve(host, &place, "--x")
        .map(|s| s.expose().to_string())
        .map_err(|p| p.expected)
}

#[test]
fn variables_must_be_set_and_not_empty() {
    assert_eq!(resolve("env:A", &[("A", " v \n")]).unwrap(), "v");
    assert_eq!(resolve("ENV:A", &[("A", "v")]).unwrap(), "v");
    assert_eq!(resolve("env:A", &[]).unwrap_err(), "environment variable A referenced by --x is not set");
    assert_eq!(
        resolve("env:A", &[("A", "")]).unwrap_err(),
        "environment variable A referenced by --x is empty"
    );
}

#[test]
fn files_are_trimmed_bounded_and_absolute() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("s");
    let text = format!("file:{}", path.display());
    assert!(resolve(&text, &[]).unwrap_err().ends_with("referenced by --x: no such file"));
    std::fs::write(&path, "  v\r\n").unwrap();
    assert_eq!(resolve(&text, &[]).unwrap(), "v");
    std::fs::write(&path, " \n").unwrap();
    assert_eq!(
        resolve(&text, &[]).unwrap_err(),
        format!("file {} referenced by --x is empty", path.display())
    );
    std::fs::write(&path, vec![b'x'; 65 * 1024]).unwrap();
    assert!(resolve(&text, &[]).unwrap_err().ends_with("is larger than 65536 bytes"));
    assert!(resolve("file:relative", &[]).unwrap_err().ends_with("must be an absolute path"));
}

#[test]
fn credentials_are_files_of_the_credentials_directory_only() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("key"), "v\n").unwrap();
    let env = [("CREDENTIALS_DIRECTORY", dir.path().to_str().unwrap())];
    assert_eq!(resolve("credential:key", &env).unwrap(), "v");
    assert!(resolve("credential:key", &[]).unwrap_err().contains("CREDENTIALS_DIRECTORY is not set"));
    for name in ["../key", "/etc/passwd", "a/b", "", "."] {
        assert!(
            resolve(&format!("credential:{name}"), &env).unwrap_err().contains("must be a file name"),
            "{name}"
        );
    }
}

#[test]
fn the_prefix_of_a_flag_is_spelled_exactly() {
    assert_eq!(Reference::parse("Env:A", Spelling::Exact), None);
    assert_eq!(Reference::parse("env:A", Spelling::Exact), Some(Reference::Env("A")));
    assert_eq!(Reference::parse("plain", Spelling::AnyCase), None);
    assert_eq!(Reference::parse("http://x", Spelling::AnyCase), None);
}
