//! `fragwatch trace`: reports creations as they happen, until it is interrupted.
pub(crate) mod consumer;
mod header;
mod names;
pub(crate) mod stdout;
pub(crate) mod watch;

use std::io;

use crate::{
    capture::Recorder,
    cli::TraceArgs,
    output,
    trace::{
        stdout::StdoutMonitor,
        watch::{Setup, Watch},
    },
};

/// Why tracing failed.
#[derive(Debug, thiserror::Error)]
pub enum TraceError {
    /// It could not start: a missing capability, or a kernel that can't be traced.
    #[error("could not start to trace: {0:#}")]
    Start(anyhow::Error),
    /// It stopped: the report could not be written, or the kernel's events not be read.
    #[error("could not continue to trace: {0:#}")]
    Run(anyhow::Error),
}

/// Traces until SIGINT, SIGTERM, the end of the duration, or until stdout is closed.
pub async fn run(args: &TraceArgs) -> Result<(), TraceError> {
    let setup = Setup {
        all: args.all,
        stall: args.stall,
        untroubled: args.all || args.record.is_some(),
        fallbacks: false,
        attach: args.attach,
        report: output::to_stdout(args.format),
        rehearsal: output::to_nowhere(args.format),
        stdout: StdoutMonitor::new(),
    };
    let watch = Watch::start(setup, |header, _| {
        let recorder = args.record.as_deref().map(|path| Recorder::create(path, header));
        Ok(Box::new(recorder.transpose()?))
    });
    let mut watch = watch.map_err(TraceError::Start)?;
    let result = watch.run(args.duration).await;
    watch.write_orders(None);
    let result = match result {
        // stdout was closed while a report was written; that ends a trace normally.
        Err(error) if is_closed_pipe(&error) => watch.finish_capture(),
        other => other,
    };
    result.map_err(TraceError::Run)
}

fn is_closed_pipe(error: &anyhow::Error) -> bool {
    error
        .chain()
        .filter_map(|cause| cause.downcast_ref::<io::Error>())
        .any(|error| error.kind() == io::ErrorKind::BrokenPipe)
}
