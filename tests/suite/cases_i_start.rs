//! Stdio servers: how they are started, and with what.

use std::path::Path;

use crate::agent::{SOON, Setup};
use crate::calls::{group_of, modern_tool, open, plan, text_of, tool};
use crate::lab::{ControlPlane, Options, Stub, StubOptions, program};
use crate::place::servers_dir;
use crate::world::{World, may_write};

/// A shell script that writes its arguments, each between brackets on a line, and then becomes the stub.
fn script(dir: &Path) -> String {
    let path = dir.join("my server.sh");
    let text = format!(
        "for a in \"$@\"; do printf '[%s]\\n' \"$a\"; done > {}\nexec {} stub-stdio\n",
        dir.join("argv").display(),
        program().display()
    );
    std::fs::write(&path, text).unwrap();
    path.display().to_string()
}

fn argv(dir: &Path) -> String {
    std::fs::read_to_string(dir.join("argv")).unwrap()
}

/// A world whose agent has these additions to its environment. The control plane has the usual key.
async fn world_with(bindings: &str, change: impl FnOnce(Setup) -> Setup) -> World {
    let plane = ControlPlane::start(Options { tls: true, ..Options::default() }).await;
    let stub = Stub::start(StubOptions::default()).await;
    let agent = change(plan().bindings(bindings).setup(&plane, &stub)).start();
    let world = World { plane, stub, agent };
    world.plane.wait_for_poll(1, SOON).await;
    world
}

#[tokio::test]
async fn case_194_quotes_and_backslashes_make_arguments() {
    let dir = servers_dir();
    let command = format!("/bin/sh '{}' -u 'my srv.py' a\\ b \"\" \"c \\\" d\"", script(dir.path()));
    // From the file: an entry of the environment has no way to grant a directory.
    let bindings = format!("  commands: [{{command: {command:?}{}}}]\n", may_write(dir.path()));
    let world = world_with(&bindings, |setup| setup).await;
    open(&world, "o").await;
    assert_eq!(argv(dir.path()), "[-u]\n[my srv.py]\n[a b]\n[]\n[c \" d]\n");
    world.end().await;
}

#[tokio::test]
async fn case_195_what_means_something_to_a_shell_is_literal() {
    let dir = servers_dir();
    let mark = dir.path().join("mark");
    let command = format!("sh '{}' $HOME * | && ; > {} `id` $(id) ~ #x", script(dir.path()), mark.display());
    let world = plan()
        .bindings(format!("  commands: [{{command: {command:?}{}}}]\n", may_write(dir.path())))
        .start()
        .await;
    open(&world, "o").await;
    let expected =
        format!("[$HOME]\n[*]\n[|]\n[&&]\n[;]\n[>]\n[{}]\n[`id`]\n[$(id)]\n[~]\n[#x]\n", mark.display());
    assert_eq!(argv(dir.path()), expected);
    assert!(!mark.exists());
    world.end().await;
}

#[tokio::test]
async fn case_197_a_missing_program_fails_the_start_by_name() {
    let bindings = "  commands: [{command: \"no-such-server --flag\"}]\n";
    let mut world = plan().bindings(bindings).start_without_waiting().await;
    assert_eq!(world.agent.ended(SOON).await.and_then(|s| s.code()), Some(78));
    world.agent.logged(&["no-such-server"]).await;
    assert_eq!(world.plane.poll_count(), 0);
}

#[tokio::test]
async fn case_197_a_program_that_cannot_be_executed_fails_the_start_by_name() {
    use std::os::unix::fs::PermissionsExt as _;
    let dir = servers_dir();
    let path = dir.path().join("half-a-server");
    std::fs::write(&path, "#!/no/such/interpreter\n").unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
    let bindings = format!("  commands: [{{command: {:?}}}]\n", path.display().to_string());
    let mut world = plan().bindings(bindings).start_without_waiting().await;
    assert_eq!(world.agent.ended(SOON).await.and_then(|s| s.code()), Some(69));
    world.agent.logged(&["ERROR", "half-a-server"]).await;
    assert_eq!(world.plane.poll_count(), 0);
}

#[tokio::test]
async fn case_214_the_servers_environment_is_what_is_configured_and_no_more() {
    let key = Options::default().api_key;
    let bindings = format!(
        "  commands: [{{command: {:?}, pass_env: [GIVEN, ABSENT], env: {{OWN: mine, FROM: \"env:SOURCE\"}}}}]\n",
        format!("{} stub-stdio", program().display())
    );
    let world = world_with(&bindings, |setup| {
        let agents = [
            ("CONTROL_PLANE_API_KEY", key.as_str()),
            ("OPENAI_API_KEY", "sk-other"),
            ("OPENAI_ADMIN_KEY", "sk-admin"),
        ];
        let more = [("HOME", "/tmp"), ("LANG", "C.UTF-8"), ("LC_ALL", "C"), ("TZ", "UTC"), ("USER", "joe")];
        let rest = [
            ("LD_PRELOAD", ""),
            ("NOTIFY_SOCKET", ""),
            ("SSH_AUTH_SOCK", "x"),
            ("GIVEN", "g"),
            ("SOURCE", "s"),
        ];
        agents.into_iter().chain(more).chain(rest).fold(setup, |setup, (name, value)| setup.env(name, value))
    })
    .await;
    open(&world, "o").await;
    let text = text_of(&world.call(tool("r1", "env", "{}")).await);
    let mut variables: Vec<_> = text.lines().collect();
    variables.sort_unstable();
    // A private one, whose name nobody knows in advance.
    variables.retain(|v| !v.starts_with("TMPDIR=/tmp/tunnelward-"));
    assert_eq!(variables.len() + 1, text.lines().count());
    let path = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
    let expected = [
        "FROM=s",
        "GIVEN=g",
        "HOME=/tmp",
        "LANG=C.UTF-8",
        "LC_ALL=C",
        "OWN=mine",
        path,
        "TZ=UTC",
        "USER=joe",
    ];
    assert_eq!(variables, expected);
    world.end().await;
}

#[tokio::test]
async fn a_server_gets_three_descriptors_its_directory_and_a_group_of_its_own() {
    let dir = servers_dir();
    let out = dir.path().join("fds").display().to_string();
    // The only directory of descriptors that it may read is one that it is granted; a shell tests each by itself.
    let test = "for n in 0 1 2 3 4 5 6 7 8 9; do if { true >&$n; } 2>/dev/null; then echo $n; fi; done";
    let shell = format!("({test}) > {out}; exec {} stub-stdio", program().display());
    let bindings = format!(
        "  commands:\n  - {{channel: main, command: {:?}, cwd: {:?}{}}}\n  - {{channel: files, command: {:?}}}\n",
        format!("sh -c \"{shell}\""),
        dir.path().display().to_string(),
        may_write(dir.path()),
        format!("{} stub-stdio", program().display())
    );
    let world = plan().bindings(bindings).start().await;
    open(&world, "o").await;
    assert_eq!(std::fs::read_to_string(&out).unwrap(), "0\n1\n2\n");
    let real = dir.path().canonicalize().unwrap().display().to_string();
    assert_eq!(text_of(&world.call(tool("r1", "cwd", "{}")).await), real);

    let pid: u32 = text_of(&world.call(tool("r3", "pid", "{}")).await).parse().unwrap();
    for n in 0..3 {
        let target = std::fs::read_link(format!("/proc/{pid}/fd/{n}")).unwrap().display().to_string();
        assert!(target.starts_with("pipe:"), "{n}: {target}");
    }
    assert_eq!(group_of(pid), Some(pid));
    assert_ne!(group_of(pid), group_of(world.agent.pid()));
    let other = world.call(modern_tool("r4", "pid", "{}").channel("files")).await;
    assert_ne!(group_of(text_of(&other).parse().unwrap()), Some(pid));
    let other = world.call(modern_tool("r5", "cwd", "{}").channel("files")).await;
    assert_eq!(text_of(&other), "/");
    world.end().await;
}
