//! The control run: the attempts of `tunnelward confinement --probe`, each in an ordinary process of its own.

use std::collections::BTreeMap;
use std::io::{Read as _, Write as _};
use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::path::PathBuf;
use std::process::{Command, ExitCode, Stdio};

use argh::FromArgs;
use tunnelward::broker::spawn::Images;
use tunnelward::commands::confinement::stage::Stage;
use tunnelward::commands::confinement::task::Try;
use tunnelward::config::confinement::Identity;
use tunnelward::confine::attempts::{self, Outcome};
use tunnelward::confine::landlock::Grants;

/// Makes every attempt of the probe unconfined.
#[derive(FromArgs)]
#[argh(subcommand, name = "attempts")]
pub struct All {
    /// the agent, for the process that attempts are made on
    #[argh(option)]
    agent: PathBuf,
}

/// Makes the attempt that stdin names.
#[derive(FromArgs)]
#[argh(subcommand, name = "attempt")]
pub struct One {}

/// Prints a map from the attempt's name to the outcomes: in an ordinary process of the user whom the roles become, and
/// in one of root's when root runs this.
pub fn all(options: &All) {
    let images = Images { program: options.agent.clone(), ..Images::probe() };
    let base = std::env::temp_dir();
    // The neighbour gives root up, as those of the probe do.
    let somebody = Identity { uid: 54_321, gid: 54_321 };
    let identity = rustix::process::geteuid().is_root().then_some(somebody);
    let stage = Stage::set(&images, &base, identity, &Grants::default(), Vec::new()).unwrap();
    let outcomes: BTreeMap<&str, Vec<Outcome>> = attempts::all()
        .map(|attempt| {
            let order = Try { name: attempt.name.into(), context: stage.context().clone() };
            let order = serde_json::to_vec(&order).unwrap();
            let ordinary = outcome(&order, identity);
            let roots = identity.map(|_| outcome(&order, None));
            (attempt.name, std::iter::once(ordinary).chain(roots).collect())
        })
        .collect();
    serde_json::to_writer(std::io::stdout(), &outcomes).unwrap();
}

/// By a process of this identity, or of ours.
fn outcome(order: &[u8], identity: Option<Identity>) -> Outcome {
    let mut command = Command::new("/proc/self/exe");
    command.arg("attempt").stdin(Stdio::piped()).stdout(Stdio::piped());
    if let Some(Identity { uid, gid }) = identity {
        command.uid(uid).gid(gid);
    }
    let mut child = command.spawn().unwrap();
    child.stdin.take().unwrap().write_all(order).unwrap();
    let output = child.wait_with_output().unwrap();
    match output.status.signal() {
        Some(signal) => Outcome::Killed(signal),
        // It became the program that it attempted to run.
        None if output.stdout.is_empty() && output.status.success() => Outcome::Done,
        None => serde_json::from_slice(&output.stdout).unwrap(),
    }
}

/// Makes one.
pub fn one() -> ExitCode {
    let mut order = Vec::new();
    std::io::stdin().read_to_end(&mut order).unwrap();
    let order: Try = serde_json::from_slice(&order).unwrap();
    let outcome = Outcome::of(&attempts::named(&order.name).unwrap().make(&order.context));
    serde_json::to_writer(std::io::stdout(), &outcome).unwrap();
    ExitCode::SUCCESS
}
