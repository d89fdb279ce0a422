//! `help`: what the program can do, and explanations by topic, from `topics.txt`. Pure.

use super::cli::{self, Cli};
use super::manual;
use crate::config::packed;

/// One explanation: `# name: summary`, and the text below it.
pub struct Topic(String);

impl Topic {
    /// The word to ask for.
    pub fn name(&self) -> &str {
        self.head().0
    }

    /// In one line.
    pub fn summary(&self) -> &str {
        self.head().1
    }

    /// The explanation: paragraphs, and lines that are indented by four, which stand as they are.
    pub fn text(&self) -> &str {
        self.0.split_once('\n').map_or("", |(_, text)| text.trim())
    }

    fn head(&self) -> (&str, &str) {
        self.0.lines().next().and_then(|head| head.split_once(": ")).unwrap_or_default()
    }
}

/// All topics.
pub fn topics() -> Vec<Topic> {
    let text = packed::unpack(include_bytes!(concat!(env!("OUT_DIR"), "/topics.deflate")));
    text.split("\n# ").map(|part| Topic(part.trim_start_matches("# ").to_string())).collect()
}

/// What there is to say about these words.
pub fn about(words: &[&str]) -> Cli {
    let topics = topics();
    match words {
        [] => Cli::Print(overview(&topics)),
        ["man"] => Cli::Print(manual::page()),
        [name] if topics.iter().any(|topic| topic.name() == *name) => {
            let mut text = String::new();
            for topic in topics.iter().filter(|topic| topic.name() == *name) {
                text.push_str(topic.text());
            }
            Cli::Print(text)
        }
        command => match cli::help_of(command) {
            Some(help) => Cli::Print(help),
            None => Cli::Usage(format!("there is no help of that name\n\n{}", list(&topics))),
        },
    }
}

fn overview(topics: &[Topic]) -> String {
    format!("{}\n\n{}", cli::help_of(&[]).unwrap_or_default().trim_end(), list(topics))
}

fn list(topics: &[Topic]) -> String {
    let mut text = String::from("Topics (tunnelward help <topic>):\n");
    for topic in topics {
        text.push_str(&format!("  {:<18}{}\n", topic.name(), topic.summary()));
    }
    text
}

#[cfg(test)]
#[path = "help_tests.rs"]
mod tests;
