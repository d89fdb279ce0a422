//! The default profile of a stdio MCP server, on installations as they are found.

use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};

use super::*;
use crate::log::Level;

/// A directory tree; a name that ends in `/` is a directory, `a -> b` a link, `a*` a program, all else a file.
struct Tree(tempfile::TempDir);

impl Tree {
    fn new(entries: &[&str]) -> Self {
        let tree = Self(tempfile::tempdir().unwrap());
        for entry in entries {
            if let Some((link, target)) = entry.split_once(" -> ") {
                let path = tree.make(link);
                symlink(target.replace("$D", tree.root().to_str().unwrap()), path).unwrap();
            } else if let Some(directory) = entry.strip_suffix('/') {
                std::fs::create_dir_all(tree.root().join(directory)).unwrap();
            } else if let Some((name, text)) = entry.split_once("* ") {
                let path = tree.make(name);
                std::fs::write(&path, text.replace("$D", tree.root().to_str().unwrap())).unwrap();
                std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
            } else {
                let (name, text) = entry.split_once('|').unwrap_or((entry, ""));
                std::fs::write(tree.make(name), text.replace("$D", tree.root().to_str().unwrap())).unwrap();
            }
        }
        tree
    }
    fn root(&self) -> PathBuf {
        self.0.path().canonicalize().unwrap()
    }
    fn make(&self, name: &str) -> PathBuf {
        let path = self.root().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        path
    }
    fn attempt(&self, command: &str, more: &str) -> Try {
        let root = self.root().display().to_string();
        let yaml = format!("mcp: {{commands: [{{channel: x, command: \"{command}\"{more}}}]}}");
        base().env("HOME", &format!("{root}/home/me")).yaml(&yaml.replace("$D", &root))
    }
    /// What of this tree may be executed.
    fn granted(&self, config: &Config) -> Vec<String> {
        let root = self.root();
        let inside =
            config.commands[0].profile.execute.iter().filter_map(|path| path.strip_prefix(&root).ok());
        inside.map(|path| path.display().to_string()).collect()
    }
}

/// Layout, command, and what of the layout is granted.
type Layout = (&'static str, &'static [&'static str], &'static str, &'static [&'static str]);

const LAYOUTS: &[Layout] = &[
    ("a program of its own", &["srv/bin/tool* x"], "$D/srv/bin/tool", &["srv/bin"]),
    (
        "a program that is reached by a link",
        &["srv/bin/tool* x", "links/tool -> $D/srv/bin/tool"],
        "$D/links/tool",
        &["links", "srv/bin"],
    ),
    (
        "a script of node and its package, which lies above it",
        &[
            "n/bin/node* x",
            "n/lib/",
            "mcp/app/package.json",
            "mcp/app/dist/index.js",
            "mcp/app/node_modules/d/x",
        ],
        "$D/n/bin/node $D/mcp/app/dist/index.js",
        &["mcp/app", "mcp/app/dist", "n", "n/bin"],
    ),
    (
        "a workspace, whose packages are above the package",
        &["n/node* x", "mono/node_modules/d/x", "mono/p/a/package.json", "mono/p/a/index.js"],
        "$D/n/node $D/mono/p/a/index.js",
        &["mono/node_modules", "mono/p/a", "n"],
    ),
    (
        "an installed package, by its script",
        &[
            "n/node* x",
            "mcp/node_modules/@s/srv/package.json",
            "mcp/node_modules/@s/srv/dist/i.js",
            "mcp/other",
        ],
        "$D/n/node $D/mcp/node_modules/@s/srv/dist/i.js",
        &["mcp/node_modules", "mcp/node_modules/@s/srv", "mcp/node_modules/@s/srv/dist", "n"],
    ),
    (
        "an installed package, by the link in .bin",
        &[
            "n/node* x",
            "mcp/node_modules/srv/package.json",
            "mcp/node_modules/srv/dist/i.js* #!$D/n/node\n",
            "mcp/node_modules/.bin/srv -> ../srv/dist/i.js",
        ],
        "$D/mcp/node_modules/.bin/srv",
        &["mcp/node_modules", "mcp/node_modules/.bin", "n"],
    ),
    (
        "a nested package: the outermost counts",
        &["n/node* x", "mcp/node_modules/a/node_modules/b/i.js"],
        "$D/n/node $D/mcp/node_modules/a/node_modules/b/i.js",
        &["mcp/node_modules", "n"],
    ),
    (
        "a virtual environment over the system's Python",
        &["v/pyvenv.cfg|home = /usr/bin\n", "v/bin/python -> /bin/sh", "v/bin/srv* #!$D/v/bin/python\n"],
        "$D/v/bin/srv --stdio",
        &["v"],
    ),
    (
        "a virtual environment over a Python of its own",
        &[
            "py/3.12/bin/python3.12* x",
            "py/3.12/lib/",
            "v/pyvenv.cfg|version = 3\nhome = $D/py/3.12/bin\n",
            "v/bin/python -> $D/py/3.12/bin/python3.12",
        ],
        "$D/v/bin/python -m server",
        &["py/3.12", "v"],
    ),
    (
        "a tool of uv, reached by a link in the home directory",
        &[
            "home/me/.local/bin/srv -> $D/home/me/.local/share/uv/tools/srv/bin/srv",
            "home/me/.local/share/uv/tools/srv/pyvenv.cfg|home = $D/home/me/.local/share/uv/python/c/bin\n",
            "home/me/.local/share/uv/tools/srv/bin/srv* #!$D/home/me/.local/share/uv/tools/srv/bin/python\n",
            "home/me/.local/share/uv/tools/srv/bin/python -> $D/home/me/.local/share/uv/python/c/bin/python3",
            "home/me/.local/share/uv/python/c/bin/python3* x",
            "home/me/.local/share/uv/python/c/lib/",
            "home/me/.ssh/id",
        ],
        "$D/home/me/.local/bin/srv",
        &["home/me/.local/bin", "home/me/.local/share/uv/python/c", "home/me/.local/share/uv/tools/srv"],
    ),
    (
        "a Python in ~/.local takes nothing else of it along",
        &["home/me/.local/bin/python3* x", "home/me/.local/lib/", "home/me/.local/share/secret"],
        "$D/home/me/.local/bin/python3 -m x",
        &["home/me/.local/bin"],
    ),
    (
        "a directory that is no virtual environment",
        &["v/bin/tool* x", "v/secret"],
        "$D/v/bin/tool",
        &["v/bin"],
    ),
    (
        "behind env and a shell",
        &["n/node* x", "mcp/i.js"],
        "/usr/bin/env A=b /bin/sh -c '$D/n/node $D/mcp/i.js'",
        &["mcp", "n"],
    ),
];

/// Without those that lie in another: a test of what can be reached, not of how it is written down.
fn outermost(paths: &[String]) -> Vec<&str> {
    let inside = |p: &&String| paths.iter().any(|q| *q != **p && Path::new(p).starts_with(q));
    paths.iter().filter(|p| !inside(p)).map(String::as_str).collect()
}

#[test]
fn what_real_installations_need_is_granted_and_no_more() {
    for (name, layout, command, expected) in LAYOUTS {
        let tree = Tree::new(layout);
        let config = tree.attempt(command, "").good();
        let granted = tree.granted(&config);
        let expected: Vec<String> = expected.iter().map(ToString::to_string).collect();
        assert_eq!(outermost(&granted), outermost(&expected), "{name}");
        let warnings: Vec<_> =
            config.commands[0].withheld.iter().filter(|w| w.level == Level::Warn).collect();
        assert!(warnings.is_empty(), "{name}: {warnings:?}");
    }
}

#[test]
fn the_system_is_there_for_every_server() {
    let config = base().env("MCP_COMMAND", "channel=x,command=/bin/sh").good();
    let profile = &config.commands[0].profile;
    for path in ["/usr", "/bin/sh", "/lib"] {
        let real = Path::new(path).canonicalize().unwrap();
        assert!(profile.execute.iter().any(|granted| real.starts_with(granted)), "{path} in {profile:?}");
    }
    for path in ["/etc/passwd", "/etc/group", "/etc/hosts", "/etc/localtime", "/dev/urandom", "/dev/zero"] {
        let there = Path::new(path).canonicalize();
        assert!(there.is_err() || profile.covers(&there.unwrap()), "{path} in {profile:?}");
    }
    for path in
        ["/", "/etc", "/etc/shadow", "/root", "/home", "/tmp", "/proc", "/sys", "/var", "/dev", "/run"]
    {
        assert!(!profile.covers(Path::new(path)), "{path} in {profile:?}");
    }
    assert_eq!(profile.write.iter().collect::<Vec<_>>(), [Path::new("/dev/null")]);
    assert!(profile.execute.iter().all(|path| path.canonicalize().unwrap() == *path));
}

#[test]
fn certificates_that_are_links_are_followed() {
    let profile = base().env("MCP_COMMAND", "channel=x,command=/bin/sh").good().commands.remove(0).profile;
    for entry in std::fs::read_dir("/etc/ssl/certs").into_iter().flatten().flatten() {
        if let Ok(real) = entry.path().canonicalize() {
            assert!(profile.covers(&real), "{} leads to {}", entry.path().display(), real.display());
        }
    }
}

#[test]
fn a_directory_that_holds_too_much_is_not_granted_for_one_program() {
    let tree = Tree::new(&["home/me/tool* x", "home/me/app/package.json", "home/me/.ssh/id"]);
    let config = tree.attempt("$D/home/me/tool", "").good();
    assert_eq!(tree.granted(&config), ["home/me/tool"]);
    let [warning] = &config.commands[0].withheld[..] else { panic!("{:?}", config.commands[0].withheld) };
    assert_eq!(warning.level, Level::Warn);
    let root = tree.root().display().to_string();
    says(&warning.sentence, &format!("only {root}/home/me/tool is granted: {root}/home/me is too broad"));
    says(&warning.sentence, &format!("`confinement: {{execute: [{root}/home/me]}}` grants it"));
    // The line that the warning shows does what it says.
    let config = tree.attempt("$D/home/me/tool", ", confinement: {execute: [$D/home/me]}").good();
    assert_eq!(tree.granted(&config), ["home/me"]);
    assert!(config.commands[0].withheld.is_empty());

    let home = Path::new("/srv/people/me");
    for broad in
        ["/", "/tmp", "/opt", "/root", "/home", "/home/other", "/var/tmp", "/srv/people/me", "/srv/people"]
    {
        assert!(crate::config::check::child::is_broad(Path::new(broad), Some(home)), "{broad}");
    }
    for narrow in ["/opt/mcp", "/home/other/bin", "/var/tmp/x", "/srv/people/me/app", "/srv/people/you"] {
        assert!(!crate::config::check::child::is_broad(Path::new(narrow), Some(home)), "{narrow}");
    }
}

#[test]
fn a_directory_with_a_file_of_the_agents_own_is_not_granted() {
    let tree = Tree::new(&[
        "mcp/tool* x",
        "mcp/key|secret-1",
        "mcp/app/i.js",
        "mcp/node* x",
        "mcp/app/package.json",
    ]);
    let key = format!("file:{}/mcp/key", tree.root().display());
    let with_key = |command: &str| {
        tree.attempt(command, "").flag("control-plane.api-key", &key).without("CONTROL_PLANE_API_KEY").good()
    };
    let config = with_key("$D/mcp/tool");
    assert_eq!(tree.granted(&config), ["mcp/tool"]);
    says(&config.commands[0].withheld[0].sentence, "holds the agent's own file");
    says(&config.commands[0].withheld[0].sentence, "(--control-plane.api-key)");
    let config = with_key("$D/mcp/node $D/mcp/app/i.js");
    assert_eq!(tree.granted(&config), ["mcp/app", "mcp/node"]);

    let usr = "file:/usr/lib/os-release";
    let attempt = base().env("MCP_COMMAND", "channel=x,command=sh").without("CONTROL_PLANE_API_KEY");
    let problems = attempt.flag("control-plane.api-key", usr).run().unwrap_err();
    assert!(
        problems
            .iter()
            .any(|p| p.contains("lies in /usr, which every MCP server may read; move it out of /usr")),
        "{problems:?}"
    );
}
