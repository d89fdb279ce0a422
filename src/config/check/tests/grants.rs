//! `mcp.commands[].confinement`: what can be granted, and what never is.

use std::collections::BTreeSet;
use std::path::PathBuf;

use super::*;

fn with(member: &str) -> Try {
    base().yaml(&format!("mcp: {{commands: [{{channel: x, command: sh, confinement: {member}}}]}}"))
}

#[test]
fn what_is_granted_is_added_to_the_default() {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().canonicalize().unwrap();
    for name in ["data", "out", "tool"] {
        std::fs::create_dir(root.join(name)).unwrap();
    }
    std::os::unix::fs::symlink("data", root.join("link")).unwrap();
    let member = "{read: [~/link, ~/out], write: [~/out], execute: [~/tool], tcp_ports: [5432, 65535, 1], \
        unix_sockets: true, max_processes: 12}";
    let config = with(member).env("HOME", root.to_str().unwrap()).good();
    let profile = &config.commands[0].profile;
    for (set, path) in
        [(&profile.read, "data"), (&profile.read, "out"), (&profile.write, "out"), (&profile.execute, "tool")]
    {
        assert!(set.contains(&root.join(path)), "{path} in {set:?}");
    }
    assert!(!profile.read.contains(&root.join("link")));
    assert!(profile.write.contains(&PathBuf::from("/dev/null")));
    assert_eq!(profile.tcp_ports, BTreeSet::from([1, 5432, 65535]));
    assert!(profile.unix_sockets);
    assert_eq!(profile.max_processes, 12);
}

#[test]
fn nothing_is_granted_unasked() {
    for member in ["{}", "{read: , tcp_ports: }", "{unix_sockets: no, tcp_ports: [], write: []}"] {
        let config = with(member).good();
        let profile = &config.commands[0].profile;
        assert_eq!(profile.write, BTreeSet::from([PathBuf::from("/dev/null")]));
        assert_eq!((profile.tcp_ports.len(), profile.unix_sockets), (0, false));
        assert_eq!(profile.max_processes, 256);
    }
}

#[test]
fn what_cannot_be_granted_is_named_with_its_place() {
    for (member, phrase) in [
        ("{read: [relative]}", "confinement.read[0]: must be an absolute path; found \"relative\""),
        ("{read: [/usr, /nonexistent/x]}", "confinement.read[1]: must exist when the agent starts"),
        ("{write: [/]}", "confinement.write[0]: / cannot be granted: the server could change every file"),
        ("{execute: [/usr/..]}", "confinement.execute[0]: / cannot be granted: the server could run every"),
        ("{read: /usr}", "confinement.read: must be a list; found a single value"),
        ("{read: [[/usr]]}", "confinement.read[0]: must be a single value"),
        ("{tcp_ports: [0]}", "confinement.tcp_ports[0]: must be a port between 1 and 65535; found \"0\""),
        ("{tcp_ports: [65536]}", "must be a port between 1 and 65535"),
        ("{tcp_ports: [http]}", "must be a port between 1 and 65535"),
        ("{tcp_ports: 80}", "must be a list"),
        ("{unix_sockets: maybe}", "confinement.unix_sockets: must be true or false"),
        ("{max_processes: 0}", "confinement.max_processes: must be between 1 and 100000; found \"0\""),
        ("{max_processes: 100001}", "must be between 1 and 100000"),
        ("{max_processes: many}", "must be between 1 and 100000"),
        ("{wirte: [/usr]}", "confinement.wirte: unknown key \"wirte\"; did you mean write?"),
        ("{shell: yes}", "unknown key \"shell\"; legal here: read, write, execute, tcp_ports"),
        ("[read]", "confinement: must be a map; found a list"),
    ] {
        let problem = with(member).bad();
        says(&problem, phrase);
        says(&problem, "p.yaml:1: mcp.commands[0].confinement");
    }
}

#[test]
fn the_agents_own_files_are_never_granted() {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().canonicalize().unwrap();
    let at = |name: &str| root.join(name).display().to_string();
    for name in ["etc", "creds", "log", "srv"] {
        std::fs::create_dir(root.join(name)).unwrap();
    }
    for name in ["etc/key", "creds/tls", "etc/token", "srv/secret"] {
        std::fs::write(root.join(name), "secret").unwrap();
    }
    std::os::unix::fs::symlink(root.join("etc"), root.join("srv/link")).unwrap();
    let start = |grant: &str| {
        let yaml = format!(
            "control_plane: {{api_key: 'file:{}', extra_headers: {{X-A: 'file:{}'}}}}\nlog: {{file: {}}}\nmcp: {{commands: [{{channel: x, command: sh, env: {{S: 'file:{}'}}, confinement: {grant}}}]}}\n",
            at("etc/key"),
            at("etc/token"),
            at("log/agent.log"),
            at("srv/secret")
        );
        base().without("CONTROL_PLANE_API_KEY").env("CREDENTIALS_DIRECTORY", &at("creds")).yaml(&yaml)
    };
    let own: BTreeSet<PathBuf> = start("{}").good().own_files.into_iter().collect();
    for name in ["etc/key", "etc/token", "log/agent.log", "srv/secret", "creds"] {
        assert!(own.contains(&root.join(name)), "{name} in {own:?}");
    }
    assert!(own.iter().any(|path| path.ends_with("p.yaml")), "{own:?}");
    for (grant, file, setting) in [
        ("read", "etc", "control_plane.api_key"),
        ("write", "etc/key", "control_plane.api_key"),
        ("read", "etc/token", "control_plane.extra_headers"),
        ("read", "srv/link", "control_plane.api_key"),
        ("write", "log", "log.file"),
        ("execute", "creds", "CREDENTIALS_DIRECTORY"),
        ("read", "creds/tls", "CREDENTIALS_DIRECTORY"),
    ] {
        let problem = start(&format!("{{{grant}: ['{}']}}", at(file))).bad();
        says(&problem, &format!("mcp.commands[0].confinement.{grant}[0]: "));
        says(&problem, "would give the agent's own file");
        says(&problem, setting);
    }
    // What this server is given by its environment is no secret to it.
    start(&format!("{{read: ['{}']}}", at("srv"))).good();
    let problem = start("{read: [/]}").bad();
    says(&problem, "/ would give the agent's own file");
}
