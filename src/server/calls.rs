//! System calls that the server never makes, closed to whoever may speak in its place (seccomp of Linux).
//!
//! A list of what is denied, and not of what is allowed: the C library and the runtime change what they call, and a server that dies of a new version
//! of them is no safer. Done before the runtime starts: threads have what their maker has.
//!
//! A call that starts a program ends the process: the server never starts one, so whoever does is somebody else, and dying is seen (the signal is in
//! the service manager's log, and in the kernel's where it audits). The others answer EPERM, as they do for who has no rights: a library that tries
//! one goes on without it.

use std::collections::BTreeMap;

use nix::libc;
use seccompiler::{BpfProgram, SeccompAction, SeccompFilter, TargetArch, apply_filter};

use crate::server::config::{Config, Kind, Sandbox};

/// Whether programs may be started: modules of PAM do that, and nothing else of the server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Programs {
    /// None.
    None,
    /// As PAM wants it.
    Pam,
}

impl Programs {
    /// What a server of this configuration starts.
    pub fn of(config: &Config) -> Self {
        if config.accounts.iter().any(|(_, kind)| matches!(kind, Kind::Pam(_))) { Self::Pam } else { Self::None }
    }
}

/// Starts a program in place of this one.
const EXECUTE: [i64; 2] = [libc::SYS_execve, libc::SYS_execveat];

/// Reaches into other processes, changes what the machine looks like or runs, or speaks to parts of the kernel in which holes were found and that no
/// mail server needs.
const DENIED: [i64; 53] = [
    // other processes
    libc::SYS_ptrace,
    libc::SYS_process_vm_readv,
    libc::SYS_process_vm_writev,
    libc::SYS_process_madvise,
    libc::SYS_kcmp,
    libc::SYS_pidfd_getfd,
    // the file system and what is seen of it
    libc::SYS_mount,
    libc::SYS_umount2,
    libc::SYS_move_mount,
    libc::SYS_open_tree,
    libc::SYS_mount_setattr,
    libc::SYS_fsopen,
    libc::SYS_fsconfig,
    libc::SYS_fsmount,
    libc::SYS_fspick,
    libc::SYS_pivot_root,
    libc::SYS_chroot,
    libc::SYS_open_by_handle_at,
    libc::SYS_quotactl,
    libc::SYS_swapon,
    libc::SYS_swapoff,
    libc::SYS_fanotify_init,
    libc::SYS_mknodat,
    // namespaces
    libc::SYS_unshare,
    libc::SYS_setns,
    libc::SYS_personality,
    // the kernel itself
    libc::SYS_init_module,
    libc::SYS_finit_module,
    libc::SYS_delete_module,
    libc::SYS_kexec_load,
    KEXEC_FILE_LOAD,
    libc::SYS_reboot,
    libc::SYS_acct,
    libc::SYS_syslog,
    libc::SYS_vhangup,
    libc::SYS_sethostname,
    libc::SYS_setdomainname,
    // the clock
    libc::SYS_settimeofday,
    libc::SYS_clock_settime,
    libc::SYS_clock_adjtime,
    libc::SYS_adjtimex,
    // keys
    libc::SYS_keyctl,
    libc::SYS_add_key,
    libc::SYS_request_key,
    // parts with a history
    libc::SYS_bpf,
    libc::SYS_perf_event_open,
    libc::SYS_userfaultfd,
    libc::SYS_io_uring_setup,
    libc::SYS_io_uring_enter,
    libc::SYS_io_uring_register,
    libc::SYS_lookup_dcookie,
    libc::SYS_nfsservctl,
    libc::SYS_remap_file_pages,
];

/// The same number on both, which the constants of one of them lack.
#[cfg(target_arch = "x86_64")]
const KEXEC_FILE_LOAD: i64 = libc::SYS_kexec_file_load;
#[cfg(not(target_arch = "x86_64"))]
const KEXEC_FILE_LOAD: i64 = 294;

/// What only this architecture has: ports of the hardware, segments, a way to make devices.
#[cfg(target_arch = "x86_64")]
const OLD: [i64; 4] = [libc::SYS_iopl, libc::SYS_ioperm, libc::SYS_modify_ldt, libc::SYS_mknod];
#[cfg(not(target_arch = "x86_64"))]
const OLD: [i64; 0] = [];

/// The second set of numbers that a kernel for x86_64 may know (x32): the same with this bit, and for some calls others.
#[cfg(target_arch = "x86_64")]
const X32: i64 = 0x4000_0000;
/// execve, execveat.
#[cfg(target_arch = "x86_64")]
const X32_EXECUTE: [i64; 2] = [X32 | 520, X32 | 545];
/// ptrace, process_vm_readv, process_vm_writev, kexec_load.
#[cfg(target_arch = "x86_64")]
const X32_DENIED: [i64; 4] = [X32 | 521, X32 | 539, X32 | 540, X32 | 528];

/// Closes them for this thread and those that it makes; says in words what came of it.
pub fn close(programs: Programs, wish: Sandbox) -> Result<String, String> {
    match (restrict(programs), wish) {
        (Ok(()), _) if programs == Programs::Pam => Ok("seccomp, but for programs that PAM starts".to_owned()),
        (Ok(()), _) => Ok("seccomp".to_owned()),
        (Err(why), Sandbox::On) => Err(format!("[process] system_calls = \"on\", and it fails – {why}")),
        (Err(why), _) => Ok(format!("none: {why}")),
    }
}

fn restrict(programs: Programs) -> Result<(), String> {
    let denied = numbers(&[&DENIED[..], &OLD[..]].concat());
    #[cfg(target_arch = "x86_64")]
    let denied = [denied, X32_DENIED.to_vec()].concat();
    apply(&denied, SeccompAction::Errno(libc::EPERM.unsigned_abs()))?;
    if programs == Programs::Pam {
        return Ok(());
    }
    let execute = numbers(&EXECUTE);
    #[cfg(target_arch = "x86_64")]
    let execute = [execute, X32_EXECUTE.to_vec()].concat();
    apply(&execute, SeccompAction::KillProcess)
}

/// The numbers by every way to make a call.
fn numbers(calls: &[i64]) -> Vec<i64> {
    #[cfg(target_arch = "x86_64")]
    return calls.iter().flat_map(|call| [*call, *call | X32]).collect();
    #[cfg(not(target_arch = "x86_64"))]
    calls.to_vec()
}

/// From now on these calls end so, whatever else a later filter says. Calls of another architecture end the process.
fn apply(calls: &[i64], action: SeccompAction) -> Result<(), String> {
    let arch = TargetArch::try_from(std::env::consts::ARCH).map_err(|error| error.to_string())?;
    // no conditions: whatever they are called with
    let rules: BTreeMap<i64, Vec<_>> = calls.iter().map(|call| (*call, Vec::new())).collect();
    let filter = SeccompFilter::new(rules, SeccompAction::Allow, action, arch).map_err(|error| error.to_string())?;
    let program = BpfProgram::try_from(filter).map_err(|error| error.to_string())?;
    apply_filter(&program).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_call_that_mail_needs_is_on_the_list() {
        let needed = [
            libc::SYS_read,
            libc::SYS_write,
            libc::SYS_openat,
            libc::SYS_fsync,
            libc::SYS_fdatasync,
            libc::SYS_mmap,
            libc::SYS_clone,
            libc::SYS_clone3,
            libc::SYS_futex,
            libc::SYS_accept4,
            libc::SYS_getrandom,
            libc::SYS_clock_gettime,
        ];
        let closed = numbers(&[&DENIED[..], &OLD[..], &EXECUTE[..]].concat());
        assert!(needed.iter().all(|call| !closed.contains(call)));
        let mut once = closed.clone();
        once.sort_unstable();
        once.dedup();
        assert_eq!(once.len(), closed.len(), "each stands once");
    }
}
