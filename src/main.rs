//! Parses the arguments, calls [`porchlight::cli`], turns an error into an exit code.

use std::process::ExitCode;

fn main() -> ExitCode {
    silence_onnxruntime();
    #[cfg(target_env = "gnu")]
    share_heaps();
    porchlight::cli::main()
}

/// The official builds of ONNX Runtime send usage data unless this variable is set before the library is loaded, and
/// write an identity into the user's cache. A camera agent calls nobody but the webhooks it was given.
#[expect(
    unsafe_code,
    reason = "first statement of the program: no other thread can be reading the environment"
)]
fn silence_onnxruntime() {
    unsafe { std::env::set_var("ORT_DISABLE_TELEMETRY", "1") };
}

/// Each camera has a thread, and glibc would give almost each thread a heap of its own that is never given back: sixteen idle
/// cameras took 173 MB, with two heaps for all of them 149 MB, at the same processor time.
#[cfg(target_env = "gnu")]
#[expect(unsafe_code, reason = "sets a number of the allocator, before there are other threads")]
fn share_heaps() {
    unsafe { libc::mallopt(libc::M_ARENA_MAX, 2) };
}
