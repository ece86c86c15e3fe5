//! Event from the running kernel: loads and attaches the programs, and reads their rings.
pub mod async_fd;
pub mod decode;
mod missed_runs;
mod nodes;
mod rings;

use std::{fs, io};

use anyhow::Context as _;
use aya::{
    Btf, Ebpf, EbpfLoader, Endianness,
    maps::{Map, MapData, MapError, PerCpuArray, ProgramArray, RingBuf},
    programs::KProbe,
};
use aya_log::EbpfLogger;
use bytes::Bytes;
use fragwatch_core::model::{
    event::{Event, EventKind},
    gfp::GfpNames,
    hook::{Hook, HookStatus},
    loss::{CreationCounts, Loss, OutsideCounts},
};
use fragwatch_ebpf::{
    Counter, map,
    table::{
        ZONE_WALK,
        global::{
            GFP_FALLBACK, GFP_THISNODE, TASKS_ON_V1, WANT_ALL, WANT_UNTROUBLED, ZONES_READABLE,
        },
    },
};
use tokio::io::{Interest, unix::AsyncFd};

use crate::{
    hook::{self, Preference, Target},
    kernel::{
        btf::{self, BtfError},
        offsets::{self, Offsets},
        symbols::Symbols,
    },
    live::{
        decode::{DecodeError, Decoder},
        missed_runs::MissedRuns,
    },
};

/// The kernel programs, compiled into this binary.
pub(crate) static PROGRAMS: &[u8] =
    aya::include_bytes_aligned!(concat!(env!("OUT_DIR"), "/programs"));

/// Where the kernel describes itself.
pub const BTF_PATH: &str = "/sys/kernel/btf/vmlinux";

/// Why tracing can't begin.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The kernel does not describe itself.
    #[error(
        "could not read {BTF_PATH}: {0}; fragwatch takes the kernel's structures from there: it \
         needs a kernel with CONFIG_DEBUG_INFO_BTF"
    )]
    NoBtf(io::Error),
    /// What describes it can't be understood.
    #[error("could not make sense of {BTF_PATH}: {0}")]
    BadBtf(BtfError),
    /// aya can't make sense of it.
    #[error("could not make sense of {BTF_PATH}: {0}")]
    UnusableBtf(aya::BtfError),
    /// The kernel did not take the maps.
    #[error(
        "the kernel did not take the programs' maps: {0}; before Linux 5.11 they count against \
         RLIMIT_MEMLOCK, which CAP_SYS_RESOURCE lets fragwatch raise"
    )]
    Load(String),
    /// A map of the programs is missing: agent and programs are not of one build.
    #[error("the kernel side has no usable map {0}")]
    NoMap(&'static str),
    /// A ring can't be waited for.
    #[error("could not wait for the kernel's events: {0}")]
    Wait(io::Error),
    /// Not one hook could be attached.
    #[error(
        "not one hook could be attached, so there is nothing to watch; the first: {}. A kernel \
         with lockdown=confidentiality can't be traced, nor one that has neither kprobes nor \
         tracepoints to offer",
        .0.iter().find_map(|hook| hook.why.as_deref()).unwrap_or_default()
    )]
    NoHook(Vec<HookStatus>),
}

/// How to watch.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// Also what happens outside creations, in detail.
    pub all: bool,
    /// Events of creations without trouble too, which else are only counted.
    pub untroubled: bool,
    /// How to attach.
    pub preference: Preference,
    /// The hierarchy of cgroups that tasks are identified by; see [`Hierarchy::id`].
    ///
    /// [`Hierarchy::id`]: crate::host::hierarchy::Hierarchy::id
    pub hierarchy: u32,
}

/// The events of the running kernel, from now on.
pub struct Live {
    /// What became of each hook.
    pub hooks: Vec<HookStatus>,
    /// What can't be seen for other reasons than a missing hook, in sentences.
    pub not_seen: Vec<String>,
    ebpf: Option<Ebpf>,
    creations: Ring,
    others: Ring,
    cgroups: Ring,
    counters: PerCpuArray<MapData, u64>,
    logger: Option<AsyncFd<EbpfLogger<&'static dyn log::Log>>>,
    decoder: Decoder,
    programs: MissedRuns,
    missed_runs: u64,
    /// A creation's end, while the other rings are read for what was before it.
    ended: Option<Event>,
    /// What was read then that came after it.
    after_end: Option<Event>,
}

type Ring = AsyncFd<RingBuf<MapData>>;

/// What a start takes from the kernel's BTF, which is several MiB and gone when this has been read.
struct KernelTypes {
    gfp: GfpNames,
    offsets: Offsets,
    /// BTF of the functions that a trampoline may be attached to.
    functions: Vec<u8>,
}

impl KernelTypes {
    fn read() -> Result<Self, StartError> {
        let bytes = fs::read(BTF_PATH).map_err(StartError::NoBtf)?;
        let types = btf::Btf::index(&bytes).map_err(StartError::BadBtf)?;
        Ok(Self {
            gfp: gfp_names(&types),
            offsets: offsets::resolve(&types),
            functions: types.with_functions_alone(&hook::trampoline_functions()),
        })
    }
}

impl Live {
    /// Loads the programs and attaches every hook that this kernel takes.
    pub fn start(options: Options) -> Result<Self, StartError> {
        let mut not_seen = Vec::new();
        let KernelTypes { gfp, offsets, functions } = KernelTypes::read()?;
        if !gfp.known() {
            not_seen.push(
                "names of gfp flags: this kernel's BTF does not have them, and its release is not \
                 one that fragwatch knows the flags of"
                    .to_owned(),
            );
        }
        let types = btf::Btf::index(&functions).map_err(StartError::BadBtf)?;
        let btf = Btf::parse(&functions, Endianness::default()).map_err(StartError::UnusableBtf)?;
        not_seen.extend(offsets.missing.iter().map(|global| offsets::not_seen_without(global)));
        if !offsets.zones_readable {
            not_seen.push("the zones at a failure: their layout is not known".to_owned());
        }
        let mut ebpf = load(options, &offsets, &gfp, &btf, nodes::count_zones())?;
        let mut unnamed = |error| not_seen.push(format!("names of functions: {error}"));
        let symbols = Symbols::load().unwrap_or_else(|error| {
            unnamed(error);
            Symbols::default()
        });
        if let Err(error) = symbols.check_addresses()
            && !symbols.is_empty()
        {
            unnamed(error);
        }
        let target = Target {
            symbols: &symbols,
            types: &types,
            unusable_records: &offsets.unusable_records,
            preference: options.preference,
        };
        // The rings and counters are taken before the first program runs, so nothing is missed.
        let creations = ring(&mut ebpf, map::CREATION_EVENTS)?;
        let others = ring(&mut ebpf, map::OTHER_EVENTS)?;
        let cgroups = ring(&mut ebpf, map::CGROUP_EVENTS)?;
        let counters = ebpf
            .take_map(map::COUNTERS)
            .and_then(|map| PerCpuArray::try_from(map).ok())
            .ok_or(StartError::NoMap(map::COUNTERS))?;
        if let Err(error) = put_zone_walk(&mut ebpf) {
            log::debug!("{ZONE_WALK}: {error:?}");
            let reason = innermost(error.as_ref());
            not_seen.push(format!(
                "the zones at a failure: the kernel refused the program that reads them: {reason}"
            ));
        }
        if let Err(error) = nodes::find(&mut ebpf) {
            not_seen.push(format!("the zones at a failed allocation: {error:#}"));
        }
        let hooks =
            hook::attach_all(&mut hook::RunningKernel { ebpf: &mut ebpf, btf: &btf }, &target);
        if hooks.iter().all(|hook| hook.via.is_none()) {
            return Err(StartError::NoHook(hooks));
        }
        let logger = logger(&mut ebpf)?;
        let hierarchy = options.hierarchy;
        let decoder = Decoder { gfp, symbols, hierarchy, ..Decoder::default() };
        let programs = MissedRuns::of(&ebpf);
        Ok(Self {
            hooks,
            not_seen,
            ebpf: Some(ebpf),
            creations,
            others,
            cgroups,
            counters,
            logger,
            decoder,
            programs,
            missed_runs: 0,
            ended: None,
            after_end: None,
        })
    }

    /// Waits until there is something to take. The programs' own log is passed on meanwhile.
    pub async fn wait(&mut self) -> io::Result<()> {
        let log = async {
            match &mut self.logger {
                Some(logger) => {
                    let mut guard = logger.readable_mut().await?;
                    guard.get_inner_mut().flush();
                    guard.clear_ready();
                    Ok(())
                }
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            guard = self.creations.readable_mut() => guard.map(|mut g| g.clear_ready()),
            guard = self.others.readable_mut() => guard.map(|mut g| g.clear_ready()),
            guard = self.cgroups.readable_mut() => guard.map(|mut g| g.clear_ready()),
            logged = log => logged,
        }
    }

    /// Takes one piece of evidence, of a creation first; `None` if there is none just now.
    ///
    /// What was before a creation's end lies in other rings than the end: the cgroups of pods that it may
    /// have been for, and the kill that a signal came from. So an end waits until those have been
    /// read as far as it.
    pub fn take(&mut self) -> Option<Result<Event, DecodeError>> {
        if let Some(next) = self.after_end.take() {
            return Some(Ok(next));
        }
        loop {
            let record = match &self.ended {
                None => next(&mut self.creations)
                    .or_else(|| next(&mut self.cgroups))
                    .or_else(|| next(&mut self.others)),
                Some(ended) if is_end_by_signal(ended) => {
                    next(&mut self.cgroups).or_else(|| next(&mut self.others))
                }
                Some(_) => next(&mut self.cgroups),
            };
            let Some(record) = record else { return self.ended.take().map(Ok) };
            // A record may be only a part.
            let Some(decoded) = self.decoder.decode(&record).transpose() else { continue };
            let Ok(event) = decoded else { return Some(decoded) };
            match &self.ended {
                None if is_end(&event) => self.ended = Some(event),
                // However much comes after it, the end waits for none of that.
                Some(ended) if event.time_ns > ended.time_ns => {
                    self.after_end = Some(event);
                    return self.ended.take().map(Ok);
                }
                _ => return Some(Ok(event)),
            }
        }
    }

    /// What the kernel side has lost so far.
    pub fn loss(&self) -> Result<Loss, MapError> {
        Ok(Loss {
            creation_events: self.counter(Counter::LostCreationEvents)?,
            other_events: self.counter(Counter::LostOtherEvents)?,
            cgroup_events: self.counter(Counter::LostCgroupEvents)?,
            untracked_creations: self.counter(Counter::UntrackedCreations)?,
            unseen_returns: self.counter(Counter::UnseenReturns)?,
            missed_runs: self.missed_runs,
        })
    }

    /// What the kernel side has counted outside creations so far.
    pub fn outside(&self) -> Result<OutsideCounts, MapError> {
        Ok(OutsideCounts {
            slow_paths: self.counter(Counter::OutsideSlowPaths)?,
            failures: if self.sees_failures() {
                Some(self.counter(Counter::OutsideFailures)?)
            } else {
                None
            },
            compactions: self.counter(Counter::OutsideCompactions)?,
            reclaims: self.counter(Counter::OutsideReclaims)?,
            omitted_failures: self.counter(Counter::OmittedFailures)?,
        })
    }

    /// Creations that the kernel side has counted so far.
    pub fn creations(&self) -> Result<CreationCounts, MapError> {
        // In this order: what ends meanwhile is not taken for unfinished.
        let begun = self.counter(Counter::BegunCreations)?;
        let ended = self.counter(Counter::EndedCreations)?;
        Ok(CreationCounts {
            untroubled: self.counter(Counter::UntroubledCreations)?,
            unfinished: begun.saturating_sub(ended),
        })
    }

    /// Asks the kernel how often it skipped a program so far, for [`Live::loss`].
    pub fn refresh_missed_runs(&mut self) {
        self.missed_runs = self.programs.count();
    }

    /// Looks whether modules were loaded since, so that their names are there when they are needed.
    pub fn refresh_symbols(&mut self) {
        self.decoder.symbols.refresh();
    }

    /// Whether functions' names are known.
    pub fn knows_names(&self) -> bool {
        self.decoder.symbols.check_addresses().is_ok()
    }

    /// Whether an allocation that comes back NULL is seen.
    pub fn sees_failures(&self) -> bool {
        self.hooks.iter().any(|h| h.hook == Hook::AllocationFailed && h.via.is_some())
    }

    /// Detaches every hook; what lies in the rings can still be taken.
    pub fn detach(&mut self) {
        self.ebpf = None;
    }

    fn counter(&self, counter: Counter) -> Result<u64, MapError> {
        Ok(self.counters.get(&(counter as u32), 0)?.iter().sum())
    }
}

fn is_end(event: &Event) -> bool {
    matches!(event.kind, EventKind::NetnsSetupEnded { .. })
}

fn is_end_by_signal(event: &Event) -> bool {
    matches!(event.kind, EventKind::NetnsSetupEnded { errno: Some(libc::EINTR), .. })
}

/// From BTF, which knows best; else by the kernel's release.
fn gfp_names(types: &btf::Btf) -> GfpNames {
    let names = GfpNames::from_bits(&types.enum_beginning_with("___GFP_DMA_BIT"));
    if names.known() {
        return names;
    }
    let release = nix::sys::utsname::uname().ok();
    let release = release.as_ref().and_then(|uname| uname.release().to_str());
    let version = release.and_then(|release| release.parse().ok());
    version.as_ref().and_then(GfpNames::from_release).unwrap_or_default()
}

fn next(ring: &mut Ring) -> Option<Bytes> {
    ring.get_mut().next().map(|item| Bytes::copy_from_slice(&item))
}

fn load(
    options: Options,
    offsets: &Offsets,
    gfp: &GfpNames,
    btf: &Btf,
    zones: usize,
) -> Result<Ebpf, StartError> {
    let zones_readable = u32::from(offsets.zones_readable);
    let want_all = u32::from(options.all);
    let untroubled = u32::from(options.untroubled);
    let tasks_on_v1 = u32::from(options.hierarchy != 0);
    let log_level = log::max_level() as u8;
    let mut loader = EbpfLoader::new();
    loader.btf(Some(btf));
    loader.override_global(WANT_ALL.name, &want_all, true);
    loader.override_global(WANT_UNTROUBLED.name, &untroubled, true);
    loader.override_global(TASKS_ON_V1.name, &tasks_on_v1, true);
    loader.override_global(aya_log::LEVEL, &log_level, false);
    loader.override_global(ZONES_READABLE.name, &zones_readable, true);
    let fallback = gfp.fallback_mask();
    if let Some(fallback) = &fallback {
        loader.override_global(GFP_FALLBACK.name, fallback, true);
    }
    let this_node = gfp.this_node_mask();
    if let Some(this_node) = &this_node {
        loader.override_global(GFP_THISNODE.name, this_node, true);
    }
    for (global, value) in &offsets.globals {
        loader.override_global(global, value, true);
    }
    let rings = rings::sizes(zones, options.all);
    loader.map_max_entries(map::CREATION_EVENTS, rings.creations);
    loader.map_max_entries(map::OTHER_EVENTS, rings.others);
    if !options.all {
        // Only what is rare is put into it.
        loader.map_max_entries(map::OUTSIDE, 64);
    }
    loader.load(PROGRAMS).map_err(|error| StartError::Load(innermost(&error)))
}

/// The last of a chain of errors, which is what the kernel said.
fn innermost(error: &dyn std::error::Error) -> String {
    let mut error = error;
    while let Some(source) = error.source() {
        error = source;
    }
    error.to_string()
}

fn ring(ebpf: &mut Ebpf, name: &'static str) -> Result<Ring, StartError> {
    let map: Map = ebpf.take_map(name).ok_or(StartError::NoMap(name))?;
    let ring = RingBuf::try_from(map).map_err(|_| StartError::NoMap(name))?;
    async_fd::watch(ring, Interest::READABLE).map_err(StartError::Wait)
}

/// Puts the program that reads a zone where the one that sees a failure calls it.
fn put_zone_walk(ebpf: &mut Ebpf) -> anyhow::Result<()> {
    let program: &mut KProbe =
        ebpf.program_mut(ZONE_WALK).context("there is no such program")?.try_into()?;
    program.load()?;
    let fd = program.fd()?.try_clone()?;
    let map = ebpf.map_mut(map::ZONE_WALK).context("there is no such map")?;
    ProgramArray::try_from(map)?.set(0, &fd, 0)?;
    Ok(())
}

/// The programs' own log, if the log level asks for it.
fn logger(
    ebpf: &mut Ebpf,
) -> Result<Option<AsyncFd<EbpfLogger<&'static dyn log::Log>>>, StartError> {
    if log::max_level() < log::Level::Debug {
        return Ok(None);
    }
    match EbpfLogger::init(ebpf) {
        Ok(logger) => {
            async_fd::watch(logger, Interest::READABLE).map(Some).map_err(StartError::Wait)
        }
        Err(error) => {
            log::warn!("the kernel programs' own log can't be read: {error}");
            Ok(None)
        }
    }
}
