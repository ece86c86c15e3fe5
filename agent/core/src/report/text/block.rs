//! A headline with labelled rows below it, narrow enough for a phone held sideways.
use anstyle::Style;

use super::{BOLD, DIM, paint};

/// Columns of text. Commands, paths and headlines may be longer: they are not broken.
const WIDTH: usize = 80;
/// Width of the column of labels.
const LABEL: usize = 9;
/// Columns before the text of a row.
const INDENT: usize = LABEL + 3;

/// A headline with labelled rows below it. Text has to be printable already.
pub(super) struct Block {
    lines: Vec<String>,
}

impl Block {
    pub(super) fn new(headline: String) -> Self {
        Self { lines: vec![headline] }
    }

    /// A line of its own, not broken.
    pub(super) fn line(&mut self, text: String) {
        self.lines.push(text);
    }

    /// A label in its column, and text beside it. Without a label the text goes on from above.
    pub(super) fn row(&mut self, label: &str, text: &str) {
        self.hanging(label, "", text);
    }

    /// A row whose text begins with a word in a style.
    pub(super) fn row_led_by(&mut self, label: &str, style: Style, lead: &str, rest: &str) {
        let at = self.lines.len();
        self.row(label, &format!("{lead}{rest}"));
        if let Some(first) = self.lines.get_mut(at) {
            *first = first.replacen(lead, &paint(style, lead), 1);
        }
    }

    /// A row for each, the first with the label.
    pub(super) fn list<T: AsRef<str>>(&mut self, label: &str, items: impl IntoIterator<Item = T>) {
        for (at, item) in items.into_iter().enumerate() {
            self.hanging(if at == 0 { label } else { "" }, "- ", item.as_ref());
        }
    }

    /// A command to copy, not broken.
    pub(super) fn command(&mut self, command: &str) {
        self.lines.push(format!("{:INDENT$}  {}", "", paint(BOLD, command)));
    }

    fn hanging(&mut self, label: &str, bullet: &str, text: &str) {
        for (at, line) in wrap(text, WIDTH - INDENT - bullet.len()).into_iter().enumerate() {
            let (label, bullet) =
                if at == 0 { (label, bullet) } else { ("", &"  "[..bullet.len()]) };
            let line = if label.is_empty() {
                format!("{:INDENT$}{bullet}{line}", "")
            } else {
                format!("  {} {bullet}{line}", paint(DIM, &format!("{label:<LABEL$}")))
            };
            self.lines.push(line);
        }
    }

    /// All of it, as one piece, so that nothing of another program comes between its lines.
    pub(super) fn into_text(self) -> String {
        let mut text = self.lines.join("\n");
        text.push('\n');
        text
    }
}

/// Breaks text between words; a word that is longer stays whole. At least one line.
fn wrap(text: &str, width: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    let mut used = 0;
    for word in text.split(' ') {
        let length = word.chars().count();
        if used != 0 && used + 1 + length > width {
            lines.push(String::new());
            used = 0;
        }
        if let Some(line) = lines.last_mut() {
            if used != 0 {
                line.push(' ');
                used += 1;
            }
            line.push_str(word);
            used += length;
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_broken_between_words() {
        assert_eq!(wrap("", 5), [""]);
        assert_eq!(wrap("one two three", 7), ["one two", "three"]);
        assert_eq!(wrap("/a/very/long/path is whole", 5), ["/a/very/long/path", "is", "whole"]);
    }

    #[test]
    fn rows_hang_below_their_label() {
        let mut block = Block::new("head".to_owned());
        block.list("evidence", ["word ".repeat(20).trim_end(), "next"]);
        let text = anstream::adapter::strip_str(&block.into_text()).to_string();
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines.len(), 4, "{text}");
        assert!(lines[1].starts_with("  evidence  - word"), "{text}");
        assert!(lines[2].starts_with("              word"), "{text}");
        assert_eq!(lines[3], "            - next");
        assert!(lines.iter().all(|line| line.len() <= WIDTH), "{text}");
    }
}
