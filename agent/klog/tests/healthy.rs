//! Texts that hold the words of failures and report none: documents, source code, rules of monitors.
use std::{io::Cursor, sync::Arc};

use fragwatch_core::report::Json;
use fragwatch_klog::{explain::Explainer, read::trigger::TRIGGERS};

/// Sentences about a phrase, which stands for `@`.
const SENTENCES: &[&str] = &[
    "If the log says `@`, the node has run out of memory; see the manual for what to do.",
    "  * @ is printed when the allocator fails: the caller must cope with an error.",
    "- fix @ after an error on a node without memory",
    "# alert: \"@\" failed, page the storage team (cannot allocate memory)",
    "// @ fails with ENOMEM if there is no memory, and the container does not start",
    " * @: returns -ENOMEM on failure",
    "pr_warn(\"@: failed for %s, error %d\\n\", name, err);",
    "{\"pattern\": \"@.*cannot allocate memory\", \"reason\": \"StartFailed\"}",
    "expr: count_over_time({job=\"kernel\"} |= \"@\" [5m]) > 0",
    "What does \"@\" mean, and how can it be avoided on a healthy machine?",
    "The words @ and \"cannot allocate memory\" are often seen together, as is \"no space left on device\".",
    "grep -c '@' /var/log/messages",
];

fn explain(log: &str) -> String {
    let mut out = Vec::new();
    let mut json = Json::new(&mut out);
    let mut explainer = Explainer::new(&mut json, Arc::default(), None, Vec::new());
    explainer.read("log", Cursor::new(log.to_owned())).expect("memory can be written");
    explainer.finish().expect("memory can be written");
    String::from_utf8(out).expect("JSON is UTF-8")
}

#[test]
fn words_alone_are_no_failure() {
    let mut wrong = Vec::new();
    for sentence in SENTENCES {
        for trigger in TRIGGERS {
            let text = sentence.replace('@', trigger);
            // Two lines, so that a beginning could be learnt from one for the other.
            if explain(&format!("{text}\n{text}\n")).contains("\"type\":\"incident\"") {
                wrong.push(text);
            }
        }
    }
    assert!(
        wrong.is_empty(),
        "{} texts are taken for failures:\n{}",
        wrong.len(),
        wrong.join("\n")
    );
}
