//! Names that stand above a message and not in it: the head of what `kubectl describe pod` prints,
//! and the object of an event that is printed as indented JSON or YAML.
//!
//! ```text
//! Name:             web-0
//! Namespace:        shop
//!         "involvedObject": {
//!             "name": "web-0",
//! ```
use crate::parse::container::is_name;

/// A line that names an object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Described {
    /// The head: the object's name.
    Name(String),
    /// The head: its namespace.
    Namespace(String),
    /// The object of an event begins.
    EventObject,
    /// A field of that.
    Field(Field, String),
}

/// What of an event's object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Field {
    /// Its name.
    Name,
    /// Its namespace.
    Namespace,
    /// Its uid.
    Uid,
}

/// Parses such a line.
pub(super) fn parse(text: &str) -> Option<Described> {
    let (key, value) = text.split_once(':')?;
    let value = value.trim();
    if matches!(key.trim_matches([' ', '"']), "involvedObject" | "regarding") {
        return matches!(value, "" | "{").then_some(Described::EventObject);
    }
    let is_json = key.trim_start().starts_with('"');
    let value = if is_json { value.trim_end_matches(',').trim_matches('"') } else { value };
    if !is_name(value) {
        return None;
    }
    match key {
        "Name" => return Some(Described::Name(value.to_owned())),
        "Namespace" => return Some(Described::Namespace(value.to_owned())),
        _ => {}
    }
    let field = match key.trim_matches([' ', '"']) {
        "name" => Field::Name,
        "namespace" => Field::Namespace,
        "uid" => Field::Uid,
        _ => return None,
    };
    Some(Described::Field(field, value.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn head_of_a_pod() {
        assert_eq!(parse("Name:         web-0"), Some(Described::Name("web-0".to_owned())));
        assert_eq!(parse("Namespace:    shop"), Some(Described::Namespace("shop".to_owned())));
        assert_eq!(parse("Name: Jane Doe"), None);
        assert_eq!(parse("Labels:  app=web"), None);
    }

    #[test]
    fn object_of_an_event() {
        assert_eq!(parse("  \"involvedObject\": {"), Some(Described::EventObject));
        assert_eq!(parse("  involvedObject:"), Some(Described::EventObject));
        let name = Some(Described::Field(Field::Name, "web-0".to_owned()));
        assert_eq!(parse("    \"name\": \"web-0\","), name);
        assert_eq!(parse("    name: web-0"), name);
        assert_eq!(parse("    \"kind\": \"Pod\","), None);
    }
}
