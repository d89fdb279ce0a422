use std::collections::BTreeMap;

use super::*;
use crate::config::Accounts;

fn env(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    pairs.iter().map(|(k, v)| ((*k).into(), (*v).into())).collect()
}

fn chosen(flags: &[(&'static str, &str)], variables: &[(&str, &str)]) -> Result<Option<PathBuf>, String> {
    let env = env(variables);
    let mut given = Flags::default();
    for (name, value) in flags {
        given.add(name, (*value).into());
    }
    select(&given, Host { env: &env, uid: 1000, gid: 1000, accounts: &Accounts::of(Path::new("/etc")) })
        .map_err(|p| p.to_string())
}

#[test]
fn case_273_selectors_exclude_each_other_and_flags_hide_those_of_the_environment() {
    let error = chosen(&[("config", "a"), ("profile", "b")], &[]).unwrap_err();
    assert!(error.contains("--config and --profile are mutually exclusive"), "{error}");
    let error =
        chosen(&[], &[("TUNNEL_CLIENT_CONFIG", "a"), ("TUNNEL_CLIENT_PROFILE_FILE", "b.yaml")]).unwrap_err();
    assert!(
        error.contains("TUNNEL_CLIENT_CONFIG and TUNNEL_CLIENT_PROFILE_FILE are mutually exclusive"),
        "{error}"
    );
    let path = chosen(&[("profile-file", "/p.yaml")], &[("TUNNEL_CLIENT_CONFIG", "/a")]).unwrap();
    assert_eq!(path, Some("/p.yaml".into()));
    assert_eq!(chosen(&[], &[("TUNNEL_CLIENT_CONFIG", "/a")]).unwrap(), Some("/a".into()));
    assert_eq!(chosen(&[], &[("TUNNEL_CLIENT_CONFIG", "")]).unwrap(), None);
}

#[test]
fn case_274_a_profile_name_cannot_leave_the_directory() {
    for name in ["../x", "a/b", ".x", "-x", "", "é", &"a".repeat(129)] {
        if name.is_empty() {
            continue;
        }
        let error = chosen(&[("profile", name), ("profile-dir", "/tmp")], &[]).unwrap_err();
        assert!(error.contains("invalid profile name"), "{error}");
    }
}

#[test]
fn case_275_a_profile_file_ends_with_yaml() {
    let error = chosen(&[("profile-file", "/a.yml")], &[]).unwrap_err();
    assert!(error.contains("--profile-file must end with .yaml"), "{error}");
}

#[test]
fn profiles_are_looked_for_in_order() {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().to_str().unwrap();
    let ours = dir.path().join("tunnelward");
    let theirs = dir.path().join("tunnel-client");
    std::fs::create_dir(&ours).unwrap();
    std::fs::create_dir(&theirs).unwrap();
    let find = || chosen(&[("profile", "p")], &[("XDG_CONFIG_HOME", root), ("HOME", "/nonexistent")]);
    let error = find().unwrap_err();
    assert!(error.contains("tunnelward/p.yaml") && error.contains("tunnel-client/p.yaml"), "{error}");
    std::fs::write(theirs.join("p.yaml"), "").unwrap();
    assert_eq!(find().unwrap().unwrap(), theirs.join("p.yaml"));
    std::fs::write(ours.join("p.yaml"), "").unwrap();
    assert_eq!(find().unwrap().unwrap(), ours.join("p.yaml"));

    let named = dir.path().join("named");
    std::fs::create_dir(&named).unwrap();
    std::fs::write(named.join("p.yaml"), "").unwrap();
    let path = named.to_str().unwrap();
    let by_env =
        chosen(&[("profile", "p")], &[("XDG_CONFIG_HOME", root), ("TUNNEL_CLIENT_PROFILE_DIR", path)]);
    assert_eq!(by_env.unwrap().unwrap(), named.join("p.yaml"));
    let by_flag = chosen(
        &[("profile", "p"), ("profile-dir", ours.to_str().unwrap())],
        &[("TUNNEL_CLIENT_PROFILE_DIR", path)],
    );
    assert_eq!(by_flag.unwrap().unwrap(), ours.join("p.yaml"));
}

#[test]
fn root_has_its_profiles_in_etc() {
    let env = env(&[("HOME", "/root")]);
    let found = directories(Host { env: &env, uid: 0, gid: 0, accounts: &Accounts::of(Path::new("/etc")) });
    assert_eq!(found, ["/etc/tunnelward", "/root/.config/tunnel-client"].map(PathBuf::from));
}

#[test]
fn a_leading_tilde_is_the_home_directory() {
    assert_eq!(chosen(&[("config", "~/a.yaml")], &[("HOME", "/h")]).unwrap(), Some("/h/a.yaml".into()));
}
