//! What a server does without, and the line that grants it.

use super::*;
use crate::log::Level;

fn with(command: &str, more: &str) -> Try {
    base().yaml(&format!("mcp: {{commands: [{{channel: x, command: \"{command}\"{more}}}]}}"))
}

fn sentences(attempt: &Try, level: Level) -> Vec<String> {
    let config = attempt.good();
    let withheld = config.commands[0].withheld.iter();
    withheld.filter(|w| w.level == level).map(|w| w.sentence.clone()).collect()
}

#[test]
fn variables_that_are_not_passed_on_are_named_without_their_values() {
    let attempt = with("sh", ", pass_env: [GIVEN], env: {SET: x}")
        .env("GIVEN", "1")
        .env("SET", "2")
        .env("DATABASE_PASSWORD", "hunter2")
        .env("A_TOKEN", "hunter2")
        .env("LC_ALL", "C")
        .env("NOTIFY_SOCKET", "/x")
        .env("LOG_LEVEL", "info")
        .env("odd name", "x");
    assert_eq!(
        sentences(&attempt, Level::Info),
        ["of the agent's environment it does not get A_TOKEN, DATABASE_PASSWORD; `pass_env: [A_TOKEN, \
          DATABASE_PASSWORD]` passes them on"]
    );
    assert!(!format!("{:?}", attempt.good().commands[0].withheld).contains("hunter2"));
    assert_eq!(sentences(&with("sh", ""), Level::Info), [""; 0]);
    let many = (0..30).fold(with("sh", ""), |t, n| t.env(&format!("V{n:02}"), "x"));
    let [line] = &sentences(&many, Level::Info)[..] else { panic!() };
    says(line, "V00, V01");
    says(line, "V19 and 10 more;");
    assert!(!line.contains("V20"), "{line}");
}

#[test]
fn what_the_agent_reads_for_itself_is_never_suggested() {
    let attempt = with("sh", "").flag("control-plane.api-key", "env:MY_KEY").env("MY_KEY", "k");
    assert_eq!(sentences(&attempt, Level::Info), [""; 0]);
    let attempt = with("sh", "").without("CONTROL_PLANE_API_KEY").env("OPENAI_API_KEY", "k");
    assert_eq!(sentences(&attempt, Level::Info), [""; 0]);
    let headers = "X-A: env:A_TOKEN";
    let attempt = with("sh", "").flag("mcp.extra-headers", headers).env("A_TOKEN", "t");
    assert_eq!(sentences(&attempt, Level::Info), [""; 0]);
}

#[test]
fn paths_ports_and_sockets_that_are_named_are_told_with_the_line_that_grants_them() {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().canonicalize().unwrap();
    let at = |name: &str| root.join(name).display().to_string();
    for name in ["a", "b", "c", "granted", "cwd", "secret"] {
        std::fs::create_dir(root.join(name)).unwrap();
    }
    let _socket = std::os::unix::net::UnixListener::bind(root.join("s")).unwrap();
    let command = format!(
        "sh -x {} --root={} {} {} /nonexistent https://h/x https://i --db=db:5432 {}",
        at("a"),
        at("b"),
        at("granted"),
        at("a"),
        at("s")
    );
    let more = format!(
        ", cwd: '{}', env: {{DIRS: '{}:{}', URL: 'redis://:hunter2@h', SEEN: 'http://h', REF: 'env:SECRET', PLACE: 'env:SECRET_PLACE'}}, confinement: {{read: ['{}'], tcp_ports: [80]}}",
        at("cwd"),
        at("c"),
        at("a"),
        at("granted")
    );
    let attempt = with(&command, &more)
        .env("SECRET", "postgres://u:hunter2@db:6543/n")
        .env("SECRET_PLACE", &at("secret"));
    let found = sentences(&attempt, Level::Warn);
    let expected = [
        format!("its working directory names {}, which it may not read", at("cwd")),
        format!("argument 2 names {0}, which it may not read; `confinement: {{read: [{0}]}}` grants it", at("a")),
        format!("argument 3 names {}, which", at("b")),
        "argument 7 names TCP port 443, which it may not connect to; `confinement: {tcp_ports: [443]}` grants it".into(),
        "argument 9 names TCP port 5432".into(),
        format!("argument 10 names the socket {}, which it may not use; `confinement: {{unix_sockets: true}}`", at("s")),
        format!("env.DIRS names {}, which", at("c")),
        "env.REF names TCP port 6543".into(),
        "env.URL names TCP port 6379".into(),
    ];
    assert_eq!(found.len(), expected.len(), "{found:#?}");
    for (sentence, start) in found.iter().zip(&expected) {
        assert!(sentence.starts_with(start), "{sentence} is not {start}");
        assert!(!sentence.contains("hunter2"), "{sentence}");
    }
}

#[test]
fn what_the_granting_lines_say_silences_the_warnings() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().canonicalize().unwrap().display().to_string();
    let command = format!("sh {path} http://h:8080");
    assert_eq!(sentences(&with(&command, ""), Level::Warn).len(), 2);
    for kind in ["read", "write", "execute"] {
        let grant = format!(", confinement: {{{kind}: ['{path}'], tcp_ports: [8080]}}");
        assert_eq!(sentences(&with(&command, &grant), Level::Warn), [""; 0]);
    }
}

#[test]
fn there_is_an_end_to_warnings_and_none_suggests_what_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().canonicalize().unwrap();
    let mut command = String::from("sh /");
    for n in 0..30 {
        let path = root.join(n.to_string());
        std::fs::create_dir(&path).unwrap();
        command.push_str(&format!(" {}", path.display()));
    }
    let found = sentences(&with(&command, ""), Level::Warn);
    assert_eq!(found.len(), 21);
    assert_eq!(found[0], "argument 1 names /, where the agent's own files are; it cannot be granted");
    assert_eq!(found[20], "11 more paths or ports are named that it may not reach");
}

#[test]
fn a_program_that_downloads_is_answered_at_start() {
    let dir = tempfile::tempdir().unwrap();
    let npx = dir.path().join("npx");
    std::fs::write(&npx, "#!/bin/sh\n").unwrap();
    std::fs::set_permissions(&npx, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    let found = sentences(&with(&format!("{} -y server-x", npx.display()), ""), Level::Warn);
    says(&found[0], "npx downloads the server when it starts");
    says(&found[0], "`npm install --prefix /opt/mcp server-x`");
}
