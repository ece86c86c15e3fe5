//! `fragwatch serve`: the pipeline of `trace`, all the time, with a flight recorder, metrics and a page.
mod config;
mod consumer;
mod http;
mod journal;
mod limits;
mod metrics;
mod notify;
mod report;
mod sampler;
mod shared;
mod trend;

use std::{fs, sync::Arc};

use anyhow::Context as _;
use fragwatch_core::model::entry::Header;
use fragwatch_recorder::{Options, Recorder, store::Claim};

use self::{
    config::Config,
    consumer::ServeConsumer,
    http::Listeners,
    journal::{Journal, Priority},
    limits::Limits,
    report::{Rehearsal, Report},
    shared::{Phase, Shared},
};
use crate::{
    cli::ServeArgs,
    doctor::Attached,
    host::{SERVE_SOCKET, own_memory, privileges},
    trace::{
        consumer::Consumer,
        stdout::StdoutMonitor,
        watch::{Setup, Watch},
    },
};

/// Why it does not run.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// It could not start.
    #[error("could not start to serve: {0:#}")]
    Start(anyhow::Error),
    /// It stopped: the kernel's events could not be read.
    #[error("could not continue to serve: {0:#}")]
    Run(anyhow::Error),
}

/// Serves until SIGINT or SIGTERM.
pub async fn run(args: &ServeArgs) -> Result<(), ServeError> {
    let config = Config::read(args).map_err(|error| ServeError::Start(error.into()))?;
    if args.check_config {
        anstream::println!("the configuration is valid");
        return Ok(());
    }
    // Before any thread is started: each that allocates has a heap of its own from then on.
    own_memory::keep_small();
    let listeners =
        Listeners::open(config.listen).map_err(|error| ServeError::Start(error.into()))?;
    // Before anything is attached, so that what can't be used is said at once.
    let store = config.store.clone().map(Claim::new).transpose();
    let store = store.map_err(|error| ServeError::Start(error.into()))?;
    let result = serve(config, store, listeners).await;
    // What can't be removed is replaced by the next start.
    let _ = fs::remove_file(SERVE_SOCKET);
    result
}

async fn serve(
    config: Config,
    store: Option<Claim>,
    listeners: Listeners,
) -> Result<(), ServeError> {
    let shared = Arc::new(Shared::new(Limits::new(config.reports_per_minute)));
    let mut watch = start(config, store, listeners, &shared).map_err(ServeError::Start)?;
    shared.enter(Phase::Watching);
    notify::ready(watch.attached_hooks());
    let result = watch.run(None).await.map_err(ServeError::Run);
    watch.write_orders(None);
    result
}

fn start(
    config: Config,
    store: Option<Claim>,
    listeners: Listeners,
    shared: &Arc<Shared>,
) -> anyhow::Result<Watch> {
    privileges::check()?;
    let journal = Journal::start().context("could not start the journal's thread")?;
    http::start(listeners, Arc::clone(shared)).context("could not start the HTTP thread")?;
    let found = Attached::read();
    let setup = Setup {
        all: false,
        stall: config.stall,
        untroubled: false,
        fallbacks: true,
        attach: config.attach,
        report: Box::new(Report::new(Arc::clone(shared), journal.clone())),
        rehearsal: Box::new(Rehearsal),
        stdout: StdoutMonitor::none(),
    };
    let watch = Watch::start(setup, |header, live| {
        shared.metrics.set_hooks(&live.hooks);
        shared.board().doctor = Some(found.report(header.kernel.clone(), live));
        consumer(config, store, header, shared, journal)
    })?;
    own_memory::touch_free();
    Ok(watch)
}

fn consumer(
    config: Config,
    store: Option<Claim>,
    header: &Header,
    shared: &Arc<Shared>,
    journal: Journal,
) -> anyhow::Result<Box<dyn Consumer>> {
    if store.is_none() {
        journal.line(Priority::Info, "nothing is kept on disk: the store is off");
    }
    let options = Options { before: config.record_before, after: config.record_after };
    let on_thread = || {
        if let Err(error) = privileges::drop_all() {
            log::warn!("the store's thread could not give up its capabilities: {error}");
        }
    };
    let recorder = Recorder::open(&options, store, header, on_thread)?;
    let samples = sampler::start(Arc::clone(shared), config.orders, header.page_size)
        .context("could not start the sampler")?;
    Ok(Box::new(ServeConsumer::new(Arc::clone(shared), journal, recorder, samples)))
}
