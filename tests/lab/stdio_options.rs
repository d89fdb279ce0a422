//! The flags of `lab stub-stdio`.

use std::path::PathBuf;

use argh::FromArgs;

/// Runs as an MCP server over standard input and output, and misbehaves as told.
#[derive(FromArgs, Clone)]
#[argh(subcommand, name = "stub-stdio")]
pub struct Options {
    /// a line on standard output before anything else
    #[argh(option)]
    pub banner: Option<String>,
    /// a line on standard output before every answer
    #[argh(option)]
    pub chatter: Option<String>,
    /// end after so many messages, before answering the last
    #[argh(option)]
    pub exit_after: Option<usize>,
    /// end when this method arrives
    #[argh(option)]
    pub exit_on: Option<String>,
    /// the exit code of --exit-after and --exit-on
    #[argh(option, default = "1")]
    pub exit_code: u8,
    /// end at once with --exit-code
    #[argh(switch)]
    pub exit_now: bool,
    /// never read standard input
    #[argh(switch)]
    pub ignore_stdin: bool,
    /// go on after the end of standard input
    #[argh(switch)]
    pub ignore_eof: bool,
    /// ignore SIGTERM
    #[argh(switch)]
    pub ignore_term: bool,
    /// so many notifications before every answer
    #[argh(option, default = "0")]
    pub flood: usize,
    /// a notification every so many milliseconds, asked or not
    #[argh(option)]
    pub idle_flood: Option<u64>,
    /// send this request (such as ping) in every tools/call and answer with what came back
    #[argh(option)]
    pub ask: Option<String>,
    /// milliseconds before the first read
    #[argh(option, default = "0")]
    pub slow_start: u64,
    /// write every line in three pieces, 20 ms apart
    #[argh(switch)]
    pub partial: bool,
    /// so many lines on standard error at the start and before every answer
    #[argh(option, default = "0")]
    pub stderr_flood: usize,
    /// answer everything twice
    #[argh(switch)]
    pub duplicate: bool,
    /// never answer this method
    #[argh(option)]
    pub never: Vec<String>,
    /// wrap every answer in a JSON array
    #[argh(switch)]
    pub batch: bool,
    /// answer with this raw id instead of the one asked with
    #[argh(option)]
    pub wrong_id: Option<String>,
    /// so many bytes without a line end before every answer
    #[argh(option, default = "0")]
    pub garbage: usize,
    /// serve one era only, that of the first message, as some SDKs do
    #[argh(switch)]
    pub one_era: bool,
    /// know no server/discover
    #[argh(switch)]
    pub legacy: bool,
    /// start a grandchild that sleeps and keeps the pipes
    #[argh(switch)]
    pub grandchild: bool,
    /// append every line received, as JSON with the pid, to this file
    #[argh(option)]
    pub record: Option<PathBuf>,
}
