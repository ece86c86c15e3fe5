//! The report of a failure that never was, written to nowhere. Its code is in memory then, and locked there: a node
//! without a free page would have to read it from the disk while it reports a real one.

use std::io;

use fragwatch_core::{
    model::{
        entry::{Entry, Header},
        event::{CgroupPath, CreationKey, Event, EventKind, Failure, Omitted, Task},
        frame::Frame,
        gfp::{Gfp, Traits},
        zone::Zone,
    },
    pipeline::Pipeline,
    report::Format,
};

/// The creation. Times are in nanoseconds.
const KEY: CreationKey = CreationKey { began_ns: 1_000_000, tid: 1 };

/// Has a failed network namespace reported.
pub(super) fn run(header: &Header, report: Box<dyn Format>) -> io::Result<()> {
    let mut pipeline = Pipeline::new(header.clone(), report);
    for (time_ns, kind) in [(2_000_000, failed_allocation()), (3_000_000, end())] {
        let task = Task {
            pid: KEY.tid,
            tid: KEY.tid,
            comm: "runc:[1:CHILD]".to_owned(),
            cgroup_id: 1,
            user: Some(0),
        };
        let event = Event { time_ns, creation: Some(KEY), task, kind };
        let correlated = pipeline.apply(Entry::Event(event))?;
        pipeline.report(correlated)?;
    }
    Ok(())
}

/// A zone has pages, and no block of order 6.
fn failed_allocation() -> EventKind {
    let traits = Traits { direct_reclaim: true, ..Traits::default() };
    let frames = ["setup_net", "copy_net_ns", "create_new_namespaces"];
    let frame =
        |function: &str| Frame { function: Some(function.to_owned()), module: None, address: 0 };
    EventKind::AllocationFailed {
        gfp: Gfp { raw: 0xcc0, flags: None, traits: Some(traits) },
        order: 6,
        failure: Failure {
            stack: frames.map(frame).to_vec(),
            zones: vec![Zone {
                node: Some(0),
                name: "Normal".to_owned(),
                free: 70_000,
                free_cma: 0,
                managed: 180_000,
                min_watermark: 700,
                lowmem_reserve: 0,
                high_watermark: None,
                reserved_highatomic: 0,
                blocks: vec![70_000, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0],
                usable_orders: 0,
                per_order_marks: false,
                incomplete: false,
            }],
            zones_complete: true,
        },
    }
}

fn end() -> EventKind {
    let names = vec!["kubepods".to_owned(), "pod".to_owned()];
    EventKind::NetnsSetupEnded {
        errno: Some(libc::ENOMEM),
        netns: None,
        lost: false,
        omitted: Omitted::default(),
        cgroup: CgroupPath { names, truncated: false },
        call_flags: None,
        namespaces: 0x4000_0000,
        oom_victim: None,
    }
}

#[cfg(test)]
mod tests {
    use std::{
        io::Write,
        sync::{Arc, Mutex},
    };

    use fragwatch_core::{fixtures, report::Json};

    use super::*;

    #[derive(Clone, Default)]
    struct Written(Arc<Mutex<Vec<u8>>>);

    impl Write for Written {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().expect("no test panicked").write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn the_rehearsed_report_is_a_whole_one() {
        let written = Written::default();
        run(&fixtures::header(), Box::new(Json::new(written.clone())))
            .expect("memory can be written");
        let bytes = written.0.lock().expect("no test panicked").clone();
        let line: serde_json::Value = serde_json::from_slice(&bytes).expect("one line of JSON");
        assert_eq!(line["type"], "creation", "{line:#}");
        assert_eq!(line["outcome"], "failed", "{line:#}");
        assert_eq!(line["verdict"]["cause"], "fragmentation", "{line:#}");
    }
}
