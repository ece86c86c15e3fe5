//! A journal like that of a busy node, with incidents at known places. The same each time.

use std::fmt::Write as _;
use std::fs::{self, File};
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

/// How large it is.
const BYTES: u64 = 1 << 30;
/// Incidents in it.
pub(super) const INCIDENTS: u64 = 100;

/// Lines of a healthy node; `#` is a number, `@` an id.
const NOISE: [&str; 16] = [
    "kubelet[1421]: I1120 09:42:36.######    1421 reconciler_common.go:220] \"operationExecutor.VerifyControllerAttachedVolume started for volume \\\"kube-api-access-####\\\" (UniqueName: \\\"kubernetes.io/projected/@\\\") pod \\\"web-####\\\"\"",
    "kubelet[1421]: E1120 09:42:36.######    1421 pod_workers.go:1301] \"Error syncing pod, skipping\" err=\"failed to \\\"StartContainer\\\" for \\\"app\\\" with CrashLoopBackOff: back-off 5m0s restarting failed container\" pod=\"shop/web-####\"",
    "containerd[902]: time=\"2026-11-20T09:42:36.#########Z\" level=info msg=\"CreateContainer within sandbox \\\"@\\\" for &ContainerMetadata{Name:app,Attempt:##,} returns container id \\\"@\\\"\"",
    "containerd[902]: time=\"2026-11-20T09:42:36.#########Z\" level=info msg=\"StartContainer for \\\"@\\\" returns successfully\"",
    "dockerd[731]: time=\"2026-11-20T09:42:36.#########Z\" level=warning msg=\"cleaning up after shim disconnected\" id=@ namespace=moby",
    "systemd[1]: run-containerd-runc-k8s.io-@-runc.######.mount: Deactivated successfully.",
    "systemd[1]: cri-containerd-@.scope: Consumed ##.###s CPU time.",
    "systemd[1]: Started libcontainer container @.",
    "kernel: IPv6: ADDRCONF(NETDEV_CHANGE): veth######: link becomes ready",
    "kernel: cni0: port ##(veth######) entered blocking state",
    "kernel: cni0: port ##(veth######) entered forwarding state",
    "kernel: device veth###### entered promiscuous mode",
    "kernel: audit: type=1400 audit(1763631756.###:####): apparmor=\"STATUS\" operation=\"profile_replace\" profile=\"unconfined\" name=\"docker-default\" pid=#### comm=\"apparmor_parser\"",
    "sshd[####]: Accepted publickey for deploy from 10.#.##.### port ##### ssh2: ED25519 SHA256:@",
    "CRON[#####]: (root) CMD (/usr/local/bin/rotate --keep ## >/dev/null 2>&1)",
    "node-exporter[640]: ts=2026-11-20T09:42:36.###Z caller=collector.go:169 level=error msg=\"collector failed\" name=mdadm duration_seconds=0.###### err=\"error parsing mdstatus\"",
];

/// A failed allocation as 6.12 logs it, with the runtime's errors.
pub(super) const INCIDENT: &str = "\
kernel: runc:[1:CHILD]: page allocation failure: order:6, mode:0x40dc0(GFP_KERNEL|__GFP_COMP|__GFP_ZERO), nodemask=(null),cpuset=@,mems_allowed=0
kernel: CPU: 1 UID: 0 PID: ##### Comm: runc:[1:CHILD] Not tainted 6.12.107+deb12-cloud-amd64
kernel: Hardware name: QEMU Standard PC (i440FX + PIIX, 1996), BIOS 1.16.2-debian-1.16.2-1 04/01/2014
kernel: Call Trace:
kernel:  <TASK>
kernel:  dump_stack_lvl+0x5d/0x80
kernel:  warn_alloc+0x163/0x190
kernel:  __alloc_pages_slowpath.constprop.0+0xc5f/0xd10
kernel:  __alloc_pages_noprof+0x2c5/0x2f0
kernel:  ___kmalloc_large_node+0x77/0x110
kernel:  __kmalloc_large_noprof+0x1b/0xb0
kernel:  pernet_init+0x2f/0x90 [fragwatch_pernet]
kernel:  ops_init+0x6c/0x190
kernel:  setup_net+0x1b9/0x3f0
kernel:  copy_net_ns+0x11c/0x290
kernel:  create_new_namespaces+0x115/0x2e0
kernel:  unshare_nsproxy_namespaces+0x5b/0xb0
kernel:  ksys_unshare+0x1c6/0x400
kernel:  __x64_sys_unshare+0x12/0x20
kernel:  do_syscall_64+0x82/0x190
kernel:  entry_SYSCALL_64_after_hwframe+0x76/0x7e
kernel:  </TASK>
kernel: Mem-Info:
kernel: active_anon:1021 inactive_anon:97245 isolated_anon:0
kernel:  active_file:1520 inactive_file:2317 isolated_file:0
kernel:  unevictable:73110 dirty:3 writeback:0
kernel:  slab_reclaimable:4412 slab_unreclaimable:9377
kernel:  mapped:2110 shmem:811 pagetables:1033
kernel:  sec_pagetables:0 bounce:0
kernel:  kernel_misc_reclaimable:0
kernel:  free:72218 free_pcp:74 free_cma:0
kernel: Node 0 DMA free:3084kB boost:0kB min:72kB low:88kB high:104kB reserved_highatomic:0KB free_highatomic:0KB active_anon:0kB inactive_anon:0kB active_file:0kB inactive_file:0kB unevictable:0kB writepending:0kB present:15992kB managed:15360kB mlocked:0kB bounce:0kB free_pcp:0kB local_pcp:0kB free_cma:0kB
kernel: lowmem_reserve[]: 0 694 694 694 694
kernel: Node 0 DMA32 free:285788kB boost:0kB min:3372kB low:4212kB high:5052kB reserved_highatomic:0KB free_highatomic:0KB active_anon:4084kB inactive_anon:388980kB active_file:6080kB inactive_file:9268kB unevictable:292440kB writepending:12kB present:769904kB managed:730208kB mlocked:292440kB bounce:0kB free_pcp:296kB local_pcp:120kB free_cma:0kB
kernel: lowmem_reserve[]: 0 0 0 0 0
kernel: Node 0 DMA: 1*4kB (U) 1*8kB (U) 0*16kB 0*32kB 0*64kB 0*128kB 0*256kB 0*512kB 1*1024kB (U) 1*2048kB (M) 0*4096kB = 3084kB
kernel: Node 0 DMA32: 69949*4kB (UM) 11*8kB (U) 21*16kB (UM) 15*32kB (UM) 2*64kB (U) 1*128kB (U) 0*256kB 0*512kB 0*1024kB 0*2048kB 0*4096kB = 280956kB
kernel: Node 0 hugepages_total=64 hugepages_free=64 hugepages_surp=0 hugepages_size=2048kB
kernel: 4648 total pagecache pages
kernel: 0 pages in swap cache
kernel: Free swap  = 0kB
kernel: Total swap = 0kB
kernel: 196474 pages RAM
kernel: 0 pages HighMem/MovableOnly
kernel: 10082 pages reserved
kernel: 0 pages hwpoisoned
containerd[902]: time=\"2026-11-20T09:42:36.#########Z\" level=error msg=\"StartContainer for \\\"@\\\" failed\" error=\"failed to create containerd task: failed to create shim task: OCI runtime create failed: runc create failed: unable to start container process: can't get final child's PID from pipe: EOF: unknown\"
kubelet[1421]: E1120 09:42:36.######    1421 log.go:32] \"StartContainer from runtime service failed\" err=\"rpc error: code = Unknown desc = failed to create containerd task\" containerID=\"@\"
";

/// The journal, generated if it isn't there.
pub(super) fn generate(directory: &Path) -> Result<PathBuf> {
    // A number in the name for each change of what is in it.
    let path = directory.join("journal-2.log");
    if fs::metadata(&path).is_ok_and(|file| file.len() >= BYTES) {
        return Ok(path);
    }
    eprintln!("==> generate {}", path.display());
    fs::create_dir_all(directory)
        .with_context(|| format!("can't create {}", directory.display()))?;
    write(&path).with_context(|| format!("can't write {}: is there room?", path.display()))?;
    Ok(path)
}

fn write(path: &Path) -> std::io::Result<()> {
    let mut out = BufWriter::with_capacity(1 << 20, File::create(path)?);
    let mut random = Random(0x9e37_79b9_7f4a_7c15);
    let mut line = String::new();
    let mut written = 0;
    let mut incidents = 0;
    while written < BYTES {
        // In the middle of each hundredth.
        let due = incidents < INCIDENTS && written >= BYTES / INCIDENTS * incidents + BYTES / 200;
        let texts: Vec<&str> = if due {
            incidents += 1;
            INCIDENT.lines().collect()
        } else {
            vec![NOISE[random.next() as usize % NOISE.len()]]
        };
        for text in texts {
            line.clear();
            fill(&mut line, text, written, &mut random);
            out.write_all(line.as_bytes())?;
            written += line.len() as u64;
        }
    }
    out.flush()
}

/// A line of journalctl's short form; time goes on with the bytes.
fn fill(line: &mut String, text: &str, written: u64, random: &mut Random) {
    let seconds = written / 12_500;
    let (h, m, s) = (seconds / 3600 % 24, seconds / 60 % 60, seconds % 60);
    let day = 1 + seconds / 86_400 % 28;
    // A String takes everything.
    let _ = write!(line, "Nov {day:02} {h:02}:{m:02}:{s:02} node-7 ");
    for c in text.chars() {
        match c {
            '#' => line.push(char::from(b'0' + (random.next() % 10) as u8)),
            '@' => {
                let id = [random.next(), random.next(), random.next(), random.next()];
                let _ = write!(line, "{:016x}{:016x}{:016x}{:016x}", id[0], id[1], id[2], id[3]);
            }
            c => line.push(c),
        }
    }
    line.push('\n');
}

/// Marsaglia's xorshift: quick, and the same each time.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }
}
