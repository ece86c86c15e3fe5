//! Workflow commands and the job summary of GitHub Actions.
use std::io;

use fragwatch_core::report::line::reproduce::Outcome;

use super::Report;

/// The report for people, and an annotation.
pub(super) fn commands(report: &Report) -> io::Result<String> {
    let result = &report.result;
    let command = match result.result {
        Outcome::AsExpected => "notice",
        Outcome::NotAsExpected | Outcome::NoResult => "error",
    };
    // A line of the report that looks like a command must not be one.
    let stop = format!("fragwatch-{}", std::process::id());
    Ok(format!(
        "::stop-commands::{stop}\n{}::{stop}::\n::{command} title={}::{}\n",
        report.plain_text()?,
        escape_property(&format!("fragwatch reproduce {}", result.asked)),
        escape(&format!("{}: {}", heading(result.result), result.reason)),
    ))
}

/// Markdown for the job summary.
pub(super) fn summary(report: &Report) -> io::Result<String> {
    let result = &report.result;
    let text = report.plain_text()?;
    // Longer than any fence in the text.
    let fence = "`".repeat(text.split(|c| c != '`').map(str::len).max().unwrap_or(0).max(2) + 1);
    Ok(format!(
        "### fragwatch reproduce {}: {}\n\n{fence}text\n{text}{fence}\n\n",
        result.asked,
        heading(result.result)
    ))
}

fn heading(result: Outcome) -> &'static str {
    match result {
        Outcome::AsExpected => "as expected",
        Outcome::NotAsExpected => "not as expected",
        Outcome::NoResult => "no result",
    }
}

/// The text of a workflow command.
fn escape(text: &str) -> String {
    text.replace('%', "%25").replace('\r', "%0D").replace('\n', "%0A")
}

/// A property of a workflow command.
fn escape_property(text: &str) -> String {
    escape(text).replace(':', "%3A").replace(',', "%2C")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_stays_on_one_line() {
        assert_eq!(escape("50 %\n::error::x"), "50 %25%0A::error::x");
        assert_eq!(escape_property("a: b, c"), "a%3A b%2C c");
    }
}
