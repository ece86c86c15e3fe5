//! docs/hooks.md is made from the table of hooks.
use std::{env, fmt::Write as _, fs, path::Path};

use fragwatch_ebpf::table::{Candidate, Function, HOOKS};

const PAGE: &str = "../docs/hooks.md";

const HEAD: &str = "\
# Hooks

What each hook is for, what it can be attached to, best first, and what is not seen without it. This page is
generated from `agent-ebpf/src/table.rs`: `UPDATE_DOCS=1 cargo test -p fragwatch-ebpf` writes it again. Which
candidate a kernel takes is on [the page about kernels](kernels.md), and `fragwatch doctor` shows it for the
running one.
";

fn candidate(candidate: &Candidate) -> String {
    let (method, programs) = (candidate.method(), candidate.programs().collect::<Vec<_>>());
    let what = match candidate {
        Candidate::Tracepoints { points, .. } => {
            let names: Vec<String> = points.iter().map(|point| format!("`{point}`")).collect();
            names.join(", ")
        }
        _ => candidate.function().map(|f| format!("`{}`", f.name)).unwrap_or_default(),
    };
    let lost = candidate.lost().map(|lost| format!("; not seen: {lost}")).unwrap_or_default();
    format!("{} on {what} ({}){lost}", method.name(), programs.join(", "))
}

fn functions(candidates: &[Candidate]) -> Vec<&Function> {
    let mut functions: Vec<&Function> = Vec::new();
    for function in candidates.iter().filter_map(Candidate::function) {
        if !functions.iter().any(|known| known.name == function.name) {
            functions.push(function);
        }
    }
    functions
}

fn page() -> String {
    let mut page = HEAD.to_owned();
    for hook in &HOOKS {
        // As reports spell it.
        let name = hook.name.replace('_', "-");
        write!(page, "\n## {name}\nNot seen without it: {}.\n\n", hook.lost)
            .expect("a string takes all");
        for (at, one) in hook.candidates.iter().enumerate() {
            writeln!(page, "{}. {}", at + 1, candidate(one)).expect("a string takes all");
        }
        for function in functions(hook.candidates) {
            let prototype = function.prototype.split_whitespace().collect::<Vec<_>>().join(" ");
            write!(page, "\n`{prototype}`\n({})\n", function.kernels).expect("a string takes all");
        }
    }
    page
}

#[test]
fn hooks_page_is_made_from_the_table() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(PAGE);
    let made = page();
    if env::var_os("UPDATE_DOCS").is_some() {
        fs::write(&path, &made).expect("the documents can be written");
    }
    let written = fs::read_to_string(&path).unwrap_or_default();
    assert!(
        written == made,
        "docs/hooks.md is not what the table says: UPDATE_DOCS=1 cargo test -p fragwatch-ebpf"
    );
}
