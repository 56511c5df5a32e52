//! Parses the arguments, calls [`porchlight::cli`], turns an error into an exit code.

use std::process::ExitCode;

fn main() -> ExitCode {
    silence_onnxruntime();
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
