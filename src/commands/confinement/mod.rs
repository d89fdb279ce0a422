//! `confinement`: what is enforced for each role on this kernel, and with `--probe` what became of attempts to do
//! what is forbidden. Needs neither network nor root, and starts nothing that outlives it.
//!
//! What is printed was seen, not computed: for each role a process is started that confines itself by the role's own
//! steps and reports what the kernel says of it.

pub mod observe;
pub mod plan;
pub mod result;
pub mod stage;
pub mod subject;
pub mod task;
mod text;

use std::io;
use std::path::Path;
use std::time::Duration;

use super::{complain, say};
use crate::broker::spawn::Images;
use crate::config::{self, Flags, Host};
use crate::confine::attempts::{self, Context, Terms};
use crate::confine::kernel::Kernel;
use crate::confine::report;
use crate::exit::Exit;

use plan::{Member, Plan};
use result::{Findings, Row};
use stage::Stage;
use task::{Post, Seen, Task, Try, Word};

/// What the command line asks for.
#[derive(Debug)]
pub struct Wanted {
    /// The flags of `run`.
    pub flags: Flags,
    /// JSON instead of text.
    pub json: bool,
    /// Attempts too.
    pub probe: bool,
}

/// How long a foreman may be silent: it has one process at a time, which ends at once.
const FOREMAN_SILENT: Duration = Duration::from_secs(30);

/// Prints what is enforced, and what became of the attempts.
#[must_use]
pub fn run(wanted: &Wanted, host: Host<'_>) -> Exit {
    let plan = match Plan::make(&wanted.flags, host) {
        Ok(plan) => plan,
        Err(problems) => {
            super::complain_of(&problems);
            return config::exit_for(&problems);
        }
    };
    let kernel = Kernel::probe();
    if let Err(missing) = kernel.check(plan.require) {
        complain(&missing.to_string());
        return Exit::Unavailable;
    }
    let base = host.env.get("TMPDIR").map(Path::new).filter(|base| base.is_absolute());
    match look(&plan, kernel, wanted.probe, base.unwrap_or(Path::new("/tmp"))) {
        Ok(findings) => {
            let json = wanted.json.then(|| serde_json::to_string_pretty(&findings));
            say(&json.and_then(Result::ok).unwrap_or_else(|| text::render(&findings)));
            if findings.is_sound() { Exit::Ok } else { Exit::Software }
        }
        Err(e) => {
            complain(&format!("the confinement cannot be looked at: {e}"));
            Exit::Os
        }
    }
}

/// Has the processes of every role do their tasks.
fn look(plan: &Plan, kernel: Kernel, probe: bool, base: &Path) -> io::Result<Findings> {
    let images = Images::probe();
    let (Some(broker), below) = (plan.members.first(), plan.members.get(1..).unwrap_or_default()) else {
        return Err(io::ErrorKind::InvalidInput.into());
    };
    let stage = if probe {
        Some(Stage::set(&images, base, plan.identity, &broker.grants, plan.own_files.clone())?)
    } else {
        None
    };
    let context = stage.as_ref().map(Stage::context);
    let foreman = Task {
        require: plan.require,
        post: Post::Foreman {
            identity: plan.identity,
            grants: broker.grants.clone(),
            tasks: below.iter().flat_map(|member| tasks(plan, member, context)).collect(),
        },
        attempt: None,
    };
    // It works while the broker's own attempts are made.
    let foreman = observe::start(&images, &foreman)?;
    let mut findings = Findings::new(kernel, plan.configured);
    // The audit log is among the agent's own files, and the broker's to write.
    let brokers = context.map(|all| {
        let own = all.own_files.iter().filter(|path| !broker.grants.write.contains(*path));
        Context { own_files: own.cloned().collect(), ..all.clone() }
    });
    let mut seen = tasks(plan, broker, brokers.as_ref()).map(|task| observe::observe(&images, &task));
    judge(broker, brokers.as_ref(), &mut seen, &mut findings)?;
    for member in below {
        let mut seen = std::iter::from_fn(|| Some(hear(&foreman)));
        judge(member, context, &mut seen, &mut findings)?;
    }
    foreman.end();
    Ok(findings)
}

/// The report of a member, then its attempts.
fn tasks<'a>(
    plan: &'a Plan,
    member: &'a Member,
    context: Option<&'a Context>,
) -> impl Iterator<Item = Task> + 'a {
    let task = move |attempt| Task { require: plan.require, post: member.post.clone(), attempt };
    let attempts = context.into_iter().flat_map(|context| {
        attempts::all().map(|attempt| Try { name: attempt.name.into(), context: context.clone() })
    });
    std::iter::once(None).chain(attempts.map(Some)).map(task)
}

fn hear(foreman: &observe::Started) -> Seen {
    let failed = |text: String| Seen { failed: Some(text), ..Seen::default() };
    match foreman.next(FOREMAN_SILENT) {
        Ok(Some(Word::Seen(seen))) => *seen,
        Ok(Some(Word::Failed(text))) => failed(text),
        Ok(_) => failed("the broker of the probe ended early".into()),
        Err(e) => failed(e.to_string()),
    }
}

/// Compares what was seen of a member with what must be.
fn judge(
    member: &Member,
    context: Option<&Context>,
    seen: &mut dyn Iterator<Item = Seen>,
    findings: &mut Findings,
) -> io::Result<()> {
    let role = report::name_of(member.role);
    let mut next = || match seen.next() {
        Some(Seen { failed: Some(why), .. }) => Err(io::Error::other(format!("{role}: {why}"))),
        Some(Seen { report: Some(report), outcome, .. }) => Ok((report, outcome)),
        _ => Err(io::Error::other(format!("{role}: nothing was seen"))),
    };
    let (report, _) = next()?;
    let terms =
        Terms { abi: report.landlock.abi, mdwe: report.refuses_executable_memory, grants: &member.grants };
    for attempt in attempts::all().take_while(|_| context.is_some()) {
        let (Some(context), (_, Some(outcome))) = (context, next()?) else {
            return Err(io::Error::other(format!("{role}: {} had no end", attempt.name)));
        };
        let expected = attempt.expected(member.role, terms, context);
        findings.rows.push(Row::new(role, member.channel.as_deref(), attempt, &expected, outcome));
    }
    findings.add(member.channel.clone(), report);
    Ok(())
}
