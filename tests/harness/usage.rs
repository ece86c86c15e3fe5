use std::fmt;

/// A wrong name on the command line; the exit code is 2.
#[derive(Debug)]
pub struct Usage(String);

impl Usage {
    /// `sentence` lists the names there are.
    #[must_use]
    pub fn new(sentence: String) -> Self {
        Self(sentence)
    }
}

impl fmt::Display for Usage {
    fn fmt(&self, formatter: &mut fmt::Formatter) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

impl std::error::Error for Usage {}
