//! What programs say when a container doesn't start.
use super::*;
use fragwatch_core::model::program_message::StartError;

const ID: &str = "64bec1f2a0c54b7d8e9f00112233445566778899aabbccddeeff001122334455";

#[track_caller]
fn failed(text: &str) -> ContainerFailure {
    parse(text, None).unwrap_or_else(|| panic!("no failure in: {text}"))
}

#[test]
fn starts_that_failed_for_memory_or_a_limit() {
    let f = failed(&format!(
        "level=error msg=\"start failed\" error=\"OCI runtime create failed: mkdir /sys/fs/cgroup/memory/kubepods/x: cannot allocate memory: unknown\" id={ID}"
    ));
    assert_eq!(f.error, StartError::CgroupMkdir("/sys/fs/cgroup/memory/kubepods/x".to_owned()));
    assert_eq!((f.errno, f.container.as_deref()), (Some(libc::ENOMEM), Some(ID)));
    let f =
        failed("mkdir: cannot create directory ‘/sys/fs/cgroup/memory/a’: Cannot allocate memory");
    assert_eq!(f.error, StartError::CgroupMkdir("/sys/fs/cgroup/memory/a".to_owned()));
    let f = failed("nsexec-1[9]: failed to unshare remaining namespaces: No space left on device");
    assert_eq!((f.error, f.errno), (StartError::Namespace, Some(libc::ENOSPC)));
    let f = failed(
        "unable to start container process: fork/exec /proc/self/exe: resource temporarily unavailable",
    );
    assert_eq!(f.error, StartError::Process);
    let f =
        failed("failed to unshare remaining namespaces (except cgroupns): Cannot allocate memory");
    assert_eq!((f.error, f.errno), (StartError::Unsaid, Some(libc::ENOMEM)));
    let f = failed(
        "OCI runtime create failed: getting the final child's pid from pipe caused: EOF: unknown",
    );
    assert_eq!((f.error, f.errno), (StartError::Unsaid, None));
}

#[test]
fn starts_that_failed_for_other_reasons() {
    for text in [
        "OCI runtime create failed: exec: \"sh\": executable file not found in $PATH",
        "runc run failed: unable to start container process: error adding seccomp filter rule for syscall",
        "runc create failed: unable to start container process: error during container init: operation not permitted",
        "failed to create shim task: OCI runtime create failed: mkdir /var/lib/x: no space left on device",
        "Failed to start container: modprobe: FATAL: Module overlay not found",
        "RunPodSandbox for &PodSandboxMetadata{Name:web-1} failed, error=\"plugin type=\"calico\" failed (add): connection is unauthorized: Unauthorized\"",
        "CreatePodSandbox for pod failed: plugin type=\"host-local\" failed (add): failed to allocate for range 0: no IP addresses available in range set",
        "OCI runtime create failed: runc create failed: unable to start container process: error mounting \"/a\" to rootfs at \"/b\": not a directory",
        "runc create failed: unable to start container process: unable to create session key: disk quota exceeded",
    ] {
        let error = failed(text).error;
        assert!(
            matches!(error, StartError::Other(_) | StartError::OtherLimit(_)),
            "{text}: {error:?}"
        );
    }
}

/// What may come of lack of memory is never one of them.
#[test]
fn an_end_that_memory_can_make_is_left_open() {
    for text in [
        "CreatePodSandbox for pod failed: plugin type=\"bridge\" failed (add): failed to create bridge: cannot allocate memory",
        "RunPodSandbox for web-1 failed, error=\"failed to find plugin \"bridge\": fork/exec: resource temporarily unavailable\"",
        "OCI runtime create failed: container init was OOM-killed (memory limit too low?)",
    ] {
        let error = failed(text).error;
        assert!(!matches!(error, StartError::Other(_)), "{text}: {error:?}");
    }
}

#[test]
fn pods_by_name() {
    let f = failed(
        "CreatePodSandbox for pod \"web-1_shop(485fd485-1ed6-11e9-8661-0a587f8021ea)\" failed: rpc error",
    );
    assert_eq!(f.pod.as_deref(), Some("web-1"));
    assert_eq!(f.namespace.as_deref(), Some("shop"));
    assert_eq!(f.pod_uid.as_deref(), Some("485fd485-1ed6-11e9-8661-0a587f8021ea"));
    let f = failed("\"CreatePodSandbox for pod failed\" err=\"rpc error\" pod=\"shop/web-1\"");
    assert_eq!((f.pod.as_deref(), f.namespace.as_deref()), (Some("web-1"), Some("shop")));
    let f = failed("failed to start sandbox container for pod \"web-1\": Error response");
    assert_eq!(f.pod.as_deref(), Some("web-1"));
}

#[test]
fn what_is_no_failure_to_start() {
    for text in [
        "RunPodSandbox for &PodSandboxMetadata{Name:web-1}",
        "Failed shutting down instance: the container failed",
        "cp: error writing 'x': No space left on device",
        "mkdir /var/lib/x: no space left on device",
        "rmdir /sys/fs/cgroup/memory/a: device or resource busy",
    ] {
        assert_eq!(parse(text, None), None, "{text}");
    }
}
