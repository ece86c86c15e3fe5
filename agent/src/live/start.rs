//! The start of a trace: what the kernel says about itself, the programs loaded, the hooks attached.
use std::{
    fs, io,
    sync::{Arc, Mutex},
};

use aya::{Ebpf, maps::PerCpuArray};
use fragwatch_core::model::{gfp::GfpNames, hook::HookStatus};
use fragwatch_ebpf::{
    map,
    table::{BLOCK_FALLBACK, ITERATES_TASKS, ZONE_WALK},
};
use nix::sys::resource::{UsageWho, getrusage};

use crate::{
    hook::{self, Links, Preference, RunningKernel, Target},
    host::clock,
    kernel::{
        btf::{self, BtfError, Prototypes},
        function_names::{FunctionNames, own_text},
        kallsyms::SymbolError,
        offsets::{self, Offsets},
        symbols::{Symbols, modules::SharedModules, table::Table},
    },
    live::{
        Attached, Instructions, Live, background,
        counters::Counters,
        decode::Decoder,
        fallbacks::FallbackCounter,
        load::{innermost, load, logger, put_zone_walk, rings},
        missed_runs::MissedRuns,
        nodes,
        open_creations::{OpenCreations, Schedule},
        repeats::CountedSteps,
        symbol_program::SymbolProgram,
        unchecked_names::{Detached, Unchecked},
    },
};

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
    /// The background thread could not be started.
    #[error("could not start a thread: {0}")]
    Thread(io::Error),
    /// Not one hook could be attached.
    #[error(
        "not one hook could be attached, so there is nothing to watch; the first: {}. A kernel \
         with lockdown=confidentiality can't be traced, nor one that has neither kprobes nor \
         tracepoints to offer",
        .0.iter().find_map(|hook| hook.why.as_deref()).unwrap_or_default()
    )]
    NoHook(Vec<HookStatus>),
}

/// When the names of the kernel's functions are read where they are needed for nothing but to see that no two
/// functions have one name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NamesRead {
    /// Before hooks are attached, which delays them by half a second of CPU.
    First,
    /// By another thread afterwards.
    Later,
}

/// How to watch.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// Also what happens outside creations, in detail.
    pub all: bool,
    /// Events of creations without trouble too, which else are only counted.
    pub untroubled: bool,
    /// Count allocations that took a block of another migratetype.
    pub fallbacks: bool,
    /// How to attach.
    pub preference: Preference,
    /// When to read the names of the kernel's functions.
    pub names: NamesRead,
    /// The hierarchy of cgroups that tasks are identified by; see [`Hierarchy::id`].
    ///
    /// [`Hierarchy::id`]: crate::host::hierarchy::Hierarchy::id
    pub hierarchy: u32,
}

/// What a start takes from the kernel's BTF, which is several MiB and gone when this has been read.
struct KernelTypes {
    gfp: GfpNames,
    offsets: Offsets,
    /// The functions that a trampoline may be attached to.
    prototypes: Prototypes,
}

impl KernelTypes {
    fn read() -> Result<Self, StartError> {
        let bytes = fs::read(BTF_PATH).map_err(StartError::NoBtf)?;
        let types = btf::Btf::index(&bytes).map_err(StartError::BadBtf)?;
        let mut functions = hook::trampoline_functions();
        functions.push(ITERATES_TASKS);
        Ok(Self {
            gfp: gfp_names(&types),
            offsets: offsets::resolve(&types),
            prototypes: types.prototypes(&functions),
        })
    }

    /// What can't be seen because this kernel's types don't say where it is, in sentences.
    fn not_seen(&self) -> Vec<String> {
        let mut not_seen = Vec::new();
        if !self.gfp.known() {
            not_seen.push(
                "names of gfp flags: this kernel's BTF does not have them, and its release is not \
                 one that fragwatch knows the flags of"
                    .to_owned(),
            );
        }
        let missing = self.offsets.missing.iter();
        not_seen.extend(missing.map(|global| offsets::not_seen_without(global)));
        if !self.offsets.zones_readable {
            not_seen.push("the zones at a failure: their layout is not known".to_owned());
        }
        not_seen
    }
}

/// How functions are named.
struct Names {
    /// For attaching; empty if they are read later.
    functions: FunctionNames,
    /// For addresses in records.
    symbols: Symbols,
    /// Modules that a table has to be kept up to date with.
    modules: Option<SharedModules>,
    /// Why addresses have no names.
    missing: Option<SymbolError>,
}

impl Names {
    /// By the kernel itself if it can, else by a table of its symbols.
    fn of(ebpf: &mut Ebpf, when: NamesRead) -> Self {
        let program = SymbolProgram::load(ebpf);
        let program = match program {
            Ok(program) if when == NamesRead::Later => {
                let symbols = Symbols::new(Box::new(program));
                let functions = FunctionNames::default();
                return Self { functions, symbols, modules: None, missing: None };
            }
            other => other,
        };
        if let Err(error) = &program {
            log::debug!("the kernel does not print names: {error:#}");
        }
        let mut table = program.is_err().then(Table::default);
        let read = FunctionNames::load(|line| match &mut table {
            Some(table) => table.add(line),
            None => own_text(line),
        });
        let (functions, error) = match read {
            Ok(functions) => (functions, None),
            Err(error) => (FunctionNames::default(), Some(error)),
        };
        if let Ok(program) = program {
            let symbols = Symbols::new(Box::new(program));
            return Self { functions, symbols, modules: None, missing: None };
        }
        let missing = error.or_else(|| functions.check_addresses().err());
        let table = table.filter(|_| missing.is_none());
        let modules = table.as_ref().map(Table::modules);
        let symbols = table.map_or_else(Symbols::default, |table| Symbols::new(Box::new(table)));
        Self { functions, symbols, modules, missing }
    }
}

impl Live {
    /// Loads the programs and attaches every hook that this kernel takes.
    pub fn start(options: Options) -> Result<Self, StartError> {
        let types = KernelTypes::read()?;
        log_usage("the kernel's types are read");
        let mut not_seen = types.not_seen();
        let KernelTypes { gfp, offsets, prototypes } = types;
        let mut ebpf = load(options, &offsets, &gfp, nodes::count_zones())?;
        log_usage("the maps are made");
        let instructions =
            Instructions::of(&ebpf).map_err(|error| StartError::Load(format!("{error:#}")))?;
        log_usage("the instructions are read");
        let Names { functions, symbols, modules, missing } = Names::of(&mut ebpf, options.names);
        not_seen.extend(missing.map(|error| format!("names of functions: {error}")));
        log_usage("the names of functions are read");
        let target = Target {
            symbols: &functions,
            prototypes: &prototypes,
            unusable_records: &offsets.unusable_records,
            preference: options.preference,
        };
        let counters = ebpf
            .take_map(map::COUNTERS)
            .and_then(|map| PerCpuArray::try_from(map).ok())
            .ok_or(StartError::NoMap(map::COUNTERS))?;
        let counted_steps =
            CountedSteps::take(&mut ebpf).map_err(|_| StartError::NoMap(map::REPEATS))?;
        let (nodes, kprobes) = nodes::find(&mut ebpf, &instructions);
        not_seen
            .extend(nodes.err().map(|error| format!("the zones at a failed allocation: {error}")));
        let zone_walk = put_zone_walk(&mut ebpf, &instructions, kprobes);
        if let Err(error) = &zone_walk {
            log::debug!("{ZONE_WALK}: {error:?}");
            let reason = innermost(error.as_ref());
            not_seen.push(format!(
                "the zones at a failure: the kernel refused the program that reads them: {reason}"
            ));
        }
        let open_creations = OpenCreations::load(&instructions, &prototypes);
        not_seen.extend(open_creations.as_ref().err().map(|error| {
            format!(
                "creations that don't end, and what they wait for: the kernel refused the program that looks for \
                 them: {error}"
            )
        }));
        let mut running = RunningKernel {
            ebpf: &mut ebpf,
            instructions: &instructions,
            prototypes: &prototypes,
            kprobes,
            links: Links::default(),
            loaded: Vec::new(),
        };
        let hooks = hook::with_tracefs(|| hook::attach_all(&mut running, &target));
        let RunningKernel { links, loaded, .. } = running;
        let links = Arc::new(Mutex::new(links));
        drop(instructions);
        log_usage("the hooks are attached");
        if hooks.iter().all(|hook| hook.via.is_none()) {
            return Err(StartError::NoHook(hooks));
        }
        let fallbacks = options.fallbacks.then(|| FallbackCounter::start(&mut ebpf)).transpose();
        if let Err(error) = &fallbacks {
            log::debug!("{BLOCK_FALLBACK}: {error:?}");
            let reason = innermost(error.as_ref());
            not_seen.push(format!("blocks taken of another migratetype: {reason}"));
        }
        let logger = logger(&mut ebpf)?;
        let missed_runs = MissedRuns::of(&ebpf, loaded);
        let [creations, brief_ends, others, cgroups] = rings(ebpf)?;
        log_usage("the rings are mapped");
        let hierarchy = options.hierarchy;
        let decoder = Decoder { gfp, symbols, hierarchy, ..Decoder::default() };
        let counters = Arc::new(Counters::new(counters, missed_runs));
        let detached = Detached::default();
        let unchecked = functions.is_empty().then(|| Unchecked::of(&hooks, &links, &detached));
        background::start(&counters, modules, unchecked).map_err(StartError::Thread)?;
        Ok(Self {
            hooks,
            detached,
            not_seen,
            attached: Some(Attached { links, _zone_walk: zone_walk.ok() }),
            creations,
            others,
            cgroups,
            counters,
            counted_steps,
            brief_ends,
            open_creations: open_creations.ok(),
            schedule: Schedule::default(),
            fallbacks: fallbacks.ok().flatten(),
            logger,
            decoder,
            ended: None,
            after_end: None,
        })
    }
}

/// Logs how much CPU time and memory the start has taken so far.
fn log_usage(stage: &str) {
    let peak_kib = getrusage(UsageWho::RUSAGE_SELF).map_or(0, |usage| usage.max_rss());
    log::info!("{stage}: {} ms of CPU, {peak_kib} KiB at most", clock::cpu_ns() / 1_000_000);
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
