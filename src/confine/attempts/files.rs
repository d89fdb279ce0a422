//! Attempts on files. The ordinary ones go by the C library's `open`, so that it is Landlock that the worker meets and
//! not its filter, which knows no other way to open a file.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::symlink;
use std::os::unix::net::UnixListener;
use std::path::PathBuf;

use super::Rule::{Abi, Deny, Open, Unix};
use super::{Area, Attempt, Context, EACCES, KILLED, Rule, Run, Target};
use crate::sys::exec;

/// A file of the user that is nobody's business here.
const SECRET: &str = "secret";
/// Stands for the agent's configuration.
const CONFIGURATION: &str = "tunnelward.yaml";
/// Stands for the key of the control plane.
const KEY: &str = "api-key";
/// A file to write to.
const SCRATCH: &str = "scratch";
/// A file to take a name from.
const NAMED: &str = "named";
/// A program.
pub const PROGRAM: &str = "program";
/// A Unix socket at which somebody listens.
pub const SOCKET: &str = "socket";

/// A file to remove.
const REMOVABLE: &str = "removable";
/// All that are ordinary files.
pub const FILES: [&str; 6] = [SECRET, CONFIGURATION, KEY, SCRATCH, NAMED, REMOVABLE];

const ETC_PASSWD: &str = "/etc/passwd";

const fn attempt(
    name: &'static str,
    what: &'static str,
    [broker, worker, child]: [Rule; 3],
    target: Target,
    run: fn(&Context) -> io::Result<()>,
) -> Attempt {
    let (area, run) = (Area::Files, Run::With(run));
    Attempt { name, area, what, broker, worker, child, needs_root: false, target, run }
}

const REFUSED: Rule = Deny(EACCES);
/// Refused to all, by Landlock.
const ALL: [Rule; 3] = [REFUSED, REFUSED, REFUSED];
/// The worker's filter does not know the call.
const CALL: [Rule; 3] = [REFUSED, Deny(KILLED), REFUSED];

fn read(path: PathBuf) -> io::Result<()> {
    File::open(path).map(drop)
}

fn on_stage(name: &'static str) -> impl Fn(&Context) -> PathBuf {
    move |context| context.stage.join(name)
}

pub(super) static TABLE: &[Attempt] = &[
    attempt("read-file", "read a file of the same user", ALL, Target::Read(|c| c.stage.join(SECRET)), |c| {
        read(on_stage(SECRET)(c))
    }),
    attempt(
        "read-own-status",
        "read what /proc says of itself, a file that is always there",
        [Open, REFUSED, REFUSED],
        Target::Read(|_| "/proc/self/status".into()),
        |_| read("/proc/self/status".into()),
    ),
    attempt("read-configuration", "read the agent's configuration", ALL, Target::Fixed, |c| {
        read(on_stage(CONFIGURATION)(c))
    }),
    attempt("read-key", "read the file of the API key", ALL, Target::Fixed, |c| read(on_stage(KEY)(c))),
    // The broker reads them again when it reloads.
    attempt(
        "read-own-files",
        "read any of the agent's own files",
        [Open, REFUSED, REFUSED],
        Target::Fixed,
        |c| {
            let mut refused = Ok(());
            for path in &c.own_files {
                match read(path.clone()) {
                    Ok(()) => return Ok(()),
                    // A log that is not there yet.
                    Err(e) if e.kind() == io::ErrorKind::NotFound => {}
                    Err(e) => refused = Err(e),
                }
            }
            refused
        },
    ),
    attempt(
        "read-passwd",
        "read /etc/passwd",
        [REFUSED, REFUSED, REFUSED],
        Target::Read(|_| ETC_PASSWD.into()),
        |_| read(ETC_PASSWD.into()),
    ),
    attempt("open-root", "open / as a directory", ALL, Target::Read(|_| "/".into()), |_| read("/".into())),
    attempt("list-directory", "list a directory", CALL, Target::Read(|c| c.stage.clone()), |c| {
        fs::read_dir(&c.stage).map(drop)
    }),
    attempt("write-own-memory", "open /proc/self/mem for writing", CALL, Target::Fixed, |_| {
        OpenOptions::new().read(true).write(true).open("/proc/self/mem").map(drop)
    }),
    attempt("create-file", "create a file", CALL, Target::Write(|c| c.stage.clone()), |c| {
        File::create_new(c.stage.join("new")).map(drop)
    }),
    attempt("write-file", "write to a file", CALL, Target::Write(|c| c.stage.clone()), |c| {
        OpenOptions::new().append(true).open(on_stage(SCRATCH)(c)).map(drop)
    }),
    attempt("empty-file", "empty a file by opening it", CALL, Target::Write(|c| c.stage.clone()), |c| {
        OpenOptions::new().write(true).truncate(true).open(on_stage(SCRATCH)(c)).map(drop)
    }),
    attempt(
        "truncate-file",
        "truncate a file by its path",
        [Abi(3, EACCES), Deny(KILLED), Abi(3, EACCES)],
        Target::Write(|c| c.stage.clone()),
        |c| crate::sys::attempt::truncate(&on_stage(SCRATCH)(c)),
    ),
    attempt("make-directory", "make a directory", CALL, Target::Write(|c| c.stage.clone()), |c| {
        fs::create_dir(c.stage.join("directory"))
    }),
    attempt("rename-file", "rename a file", CALL, Target::Write(|c| c.stage.clone()), |c| {
        fs::rename(on_stage(NAMED)(c), c.stage.join("renamed"))
    }),
    attempt("link-file", "give a file a second name", CALL, Target::Write(|c| c.stage.clone()), |c| {
        fs::hard_link(on_stage(SECRET)(c), c.stage.join("linked"))
    }),
    attempt("symlink", "make a symbolic link", CALL, Target::Write(|c| c.stage.clone()), |c| {
        symlink("/", c.stage.join("symlink"))
    }),
    attempt("remove-file", "remove a file", CALL, Target::Write(|c| c.stage.clone()), |c| {
        fs::remove_file(on_stage(REMOVABLE)(c))
    }),
    attempt("make-fifo", "make a named pipe", CALL, Target::Write(|c| c.stage.clone()), |c| {
        let mode = rustix::fs::Mode::RUSR;
        let kind = rustix::fs::FileType::Fifo;
        Ok(rustix::fs::mknodat(rustix::fs::CWD, c.stage.join("fifo"), kind, mode, 0)?)
    }),
    attempt(
        "bind-unix-socket",
        "make a Unix socket in a directory",
        CALL,
        Target::Write(|c| c.stage.clone()),
        |c| UnixListener::bind(c.stage.join("bound")).map(drop),
    ),
    attempt(
        "connect-unix-socket",
        "connect to a Unix socket by its path",
        [Abi(9, EACCES), Deny(KILLED), Unix(&Abi(9, EACCES))],
        Target::UnixSockets,
        |c| std::os::unix::net::UnixStream::connect(on_stage(SOCKET)(c)).map(drop),
    ),
    attempt(
        "change-mode",
        "change the mode of a file of the same user",
        [Open, Deny(KILLED), Open],
        Target::Fixed,
        |c| {
            let mode = std::os::unix::fs::PermissionsExt::from_mode(0o600);
            fs::set_permissions(on_stage(SCRATCH)(c), mode)
        },
    ),
    attempt("run-program", "start a program", CALL, Target::Execute(|c| c.stage.join(PROGRAM)), |c| {
        Err(exec::exec(vec![on_stage(PROGRAM)(c).into_os_string()]))
    }),
];
