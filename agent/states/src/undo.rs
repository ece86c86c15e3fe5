//! What must be put back that does not go away with the process that changed it.
use std::fs;

use anyhow::{Context as _, Result};
use serde::{Deserialize, Serialize};

use crate::removal;

/// How a change is undone.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Undo {
    /// Write that text to a file.
    Write { path: String, text: String },
    /// End all processes of a cgroup and of those below it, and remove them.
    RemoveCgroup { directory: String },
}

impl Undo {
    pub(crate) fn run(&self) -> Result<()> {
        match self {
            Self::Write { path, text } => {
                fs::write(path, text).with_context(|| format!("could not write {text:?} to {path}"))
            }
            Self::RemoveCgroup { directory } => removal::remove(directory),
        }
    }
}

/// Undoes changes, the last one first. Returns what could not be undone, in sentences.
pub(crate) fn all(changes: &[Undo]) -> Vec<String> {
    let errors = changes.iter().rev().filter_map(|change| change.run().err());
    errors.map(|error| format!("{error:#}")).collect()
}

/// The changes of a keeper. Each is announced before it is made, so that another process can undo it.
pub(crate) struct Changes<'a> {
    announce: &'a mut dyn FnMut(&Undo) -> Result<()>,
    made: Vec<Undo>,
}

impl<'a> Changes<'a> {
    pub(crate) fn new(announce: &'a mut dyn FnMut(&Undo) -> Result<()>) -> Self {
        Self { announce, made: Vec::new() }
    }

    pub(crate) fn into_made(self) -> Vec<Undo> {
        self.made
    }

    /// Notes how the next change is undone.
    pub(crate) fn note(&mut self, undo: Undo) -> Result<()> {
        (self.announce)(&undo)?;
        self.made.push(undo);
        Ok(())
    }

    /// Writes a kernel setting, such as `vm/compact_unevictable_allowed`. Does nothing if it has that
    /// value or if this kernel doesn't have it, else returns the old one.
    pub(crate) fn set_if_there(&mut self, name: &str, value: &str) -> Result<Option<String>> {
        let path = format!("/proc/sys/{name}");
        let Ok(old) = fs::read_to_string(&path) else { return Ok(None) };
        let old = old.trim().to_owned();
        if old == value {
            return Ok(None);
        }
        self.note(Undo::Write { path: path.clone(), text: old.clone() })?;
        fs::write(&path, value).with_context(|| format!("could not write {value} to {path}"))?;
        Ok(Some(old))
    }
}
