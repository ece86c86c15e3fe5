//! Places in a line at which one part of it ends and another may begin.

/// Places in a line, but not its beginning, at which another part may begin.
pub(crate) fn boundaries(line: &str) -> impl Iterator<Item = usize> + '_ {
    let ends = |c: char| {
        c.is_whitespace()
            || matches!(c, '"' | '\'' | ']' | ')' | '}' | '|' | '>' | ',' | ':' | '=' | ';')
    };
    line.char_indices()
        .filter(move |(_, c)| ends(*c))
        .map(|(at, c)| at + c.len_utf8())
        .filter(|at| *at < line.len())
}
