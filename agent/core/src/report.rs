//! What is printed: [`line::Line`], made from the model by [`view`] and written by a [`Format`].
mod json;
pub mod line;
mod text;
pub mod view;

use std::io;

pub use json::{Json, escape};
pub use text::{Text, one_line};

use self::line::Line;

/// A form of report. Each call writes whole lines and leaves nothing in a buffer.
pub trait Format {
    /// Writes one line of the report.
    fn line(&mut self, line: &Line) -> io::Result<()>;
}

#[cfg(test)]
mod tests;
