//! journalctl -o export: a field in each line, binary fields with a length before them, and an
//! empty line between messages.
use std::collections::HashMap;

use crate::transport::{json, prefix::Prefix};

/// A binary field longer than this is none, but a log that only looks like one.
const MAX_FIELD: usize = 1024 * 1024;

/// Puts lines together to messages.
#[derive(Default)]
pub(crate) struct Export {
    record: Option<Record>,
}

#[derive(Default)]
struct Record {
    fields: HashMap<String, String>,
    /// The lines of the message.
    lines: Option<(u64, u64)>,
    /// A binary field that has begun: its name, its line, and its bytes with the length before.
    binary: Option<(String, u64, Vec<u8>)>,
}

/// A message, with the numbers of its first and last line.
pub(crate) struct Message {
    pub(crate) prefix: Prefix,
    pub(crate) text: String,
    pub(crate) lines: (u64, u64),
}

/// What became of a line.
pub(crate) enum Taken {
    /// It belongs to a message.
    Part,
    /// It ended one.
    Message(Message),
    /// It belongs to none.
    Not,
}

impl Export {
    /// Takes a line.
    pub(crate) fn take(&mut self, number: u64, line: &[u8]) -> Taken {
        if line.starts_with(b"__CURSOR=") && !self.in_binary() {
            self.record = Some(Record::default());
            return Taken::Part;
        }
        let Some(record) = &mut self.record else { return Taken::Not };
        let known = match &mut record.binary {
            Some(_) => record.binary(number, line),
            None if line.is_empty() => return self.end().map_or(Taken::Part, Taken::Message),
            None => record.field(number, line),
        };
        if known {
            return Taken::Part;
        }
        self.record = None;
        Taken::Not
    }

    fn in_binary(&self) -> bool {
        self.record.as_ref().is_some_and(|record| record.binary.is_some())
    }

    /// Ends the message that has begun.
    pub(crate) fn end(&mut self) -> Option<Message> {
        let record = self.record.take()?;
        let text = record.fields.get("MESSAGE")?.clone();
        let mut prefix = Prefix::none();
        json::journal(&mut prefix, &|keys| {
            keys.iter().find_map(|key| record.fields.get(*key).cloned())
        });
        Some(Message { prefix, text, lines: record.lines? })
    }
}

impl Record {
    /// Takes a line that begins a field; false if it can't be one.
    fn field(&mut self, number: u64, line: &[u8]) -> bool {
        let name_end = line.iter().position(|&byte| byte == b'=').unwrap_or(line.len());
        let (name, value) = line.split_at(name_end);
        let of_name =
            |byte: &u8| byte.is_ascii_uppercase() || byte.is_ascii_digit() || *byte == b'_';
        if name.is_empty() || !name.iter().all(of_name) {
            return false;
        }
        let name = String::from_utf8_lossy(name).into_owned();
        match value.split_first() {
            Some((_, value)) => self.set(name, value, (number, number)),
            None => self.binary = Some((name, number, Vec::new())),
        }
        true
    }

    /// Takes a line of a binary field: eight bytes of length, that many bytes, a newline.
    fn binary(&mut self, number: u64, line: &[u8]) -> bool {
        let Some((name, first, mut bytes)) = self.binary.take() else { return false };
        bytes.extend_from_slice(line);
        bytes.push(b'\n');
        let Some((length, value)) = bytes.split_first_chunk::<8>() else {
            self.binary = Some((name, first, bytes));
            return true;
        };
        let Ok(length) = usize::try_from(u64::from_le_bytes(*length)) else { return false };
        if length > MAX_FIELD || value.len() > length + 1 {
            return false;
        }
        if value.len() == length + 1 {
            let value = value[..length].to_vec();
            self.set(name, &value, (first, number));
        } else {
            self.binary = Some((name, first, bytes));
        }
        true
    }

    fn set(&mut self, name: String, value: &[u8], lines: (u64, u64)) {
        if name == "MESSAGE" {
            self.lines = Some(lines);
        }
        self.fields.insert(name, String::from_utf8_lossy(value).into_owned());
    }
}
