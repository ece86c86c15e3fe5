//! Steps of creations that were only counted.
use jiff::Timestamp;

use super::container::container;
use crate::{
    attribution::cgroup_path,
    model::{errno, event::CgroupPath, repeats::Repeats},
    report::line::{Line, container::Cgroup, repeats as line},
};

/// Those of which the last one ended at that time, in this cgroup.
pub fn repeats(last: Timestamp, repeats: &Repeats, cgroup: Option<&CgroupPath>) -> Line {
    Line::Repeats(line::Repeats {
        time: last.into(),
        count: repeats.count,
        step: repeats.step.into(),
        errno: repeats.errno.map(errno::name),
        user: repeats.user,
        pid: repeats.pid,
        comm: repeats.comm.clone(),
        cgroup: Cgroup { id: Some(repeats.cgroup_id), path: cgroup.map(CgroupPath::display) },
        container: cgroup.and_then(cgroup_path::find).as_ref().map(container),
    })
}
