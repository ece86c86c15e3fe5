//! JUnit's XML, as CI systems read it: one test case, which fails if the result is not as expected, and has
//! an error if there is none.
use std::io;

use fragwatch_core::report::line::reproduce::Outcome;

use super::Report;

/// The report as a document.
pub(super) fn xml(report: &Report) -> io::Result<String> {
    let result = &report.result;
    let outcome = match result.result {
        Outcome::AsExpected => String::new(),
        Outcome::NotAsExpected => format!("<failure message=\"{}\"/>\n", escape(&result.reason)),
        Outcome::NoResult => format!("<error message=\"{}\"/>\n", escape(&result.reason)),
    };
    let [failures, errors] =
        [Outcome::NotAsExpected, Outcome::NoResult].map(|kind| u8::from(result.result == kind));
    let seconds =
        result.command.as_ref().map_or(0.0, |command| command.duration_us as f64 / 1_000_000.0);
    let expected = result.expected.as_deref().unwrap_or("the command succeeds");
    Ok(format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n\
         <testsuite name=\"fragwatch reproduce\" tests=\"1\" failures=\"{failures}\" errors=\"{errors}\" \
         time=\"{seconds:.3}\">\n\
         <testcase classname=\"{}\" name=\"{}\" time=\"{seconds:.3}\">\n\
         {outcome}<system-out>{}</system-out>\n\
         </testcase>\n\
         </testsuite>\n",
        escape(result.asked),
        escape(expected),
        escape(&report.plain_text()?),
    ))
}

/// Text as XML has it. Characters that XML can't have are left out.
fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '<' => out += "&lt;",
            '>' => out += "&gt;",
            '&' => out += "&amp;",
            '"' => out += "&quot;",
            '\n' | '\t' => out.push(c),
            c if c.is_control() || matches!(c, '\u{fffe}' | '\u{ffff}') => {}
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::escape;

    #[test]
    fn markup_and_control_characters_are_escaped() {
        assert_eq!(escape("a<b> & \"c\"\u{1b}[2J\n"), "a&lt;b&gt; &amp; &quot;c&quot;[2J\n");
    }
}
