//! Memory that was needed once and is free now goes back to the system.

use std::time::Duration;

/// How often. What busy minutes leave free is never needed at once again: sixteen cameras that had been watched for a minute took
/// 159 MB, after this 120 MB, and half a minute later 124.
pub(super) const GIVE_BACK_EVERY: Duration = Duration::from_secs(60);

/// glibc keeps what is freed, unless it was at the end of a heap.
#[cfg(target_env = "gnu")]
#[expect(unsafe_code, reason = "hands free pages of the allocator back, which has locks of its own")]
pub(super) fn give_back() {
    unsafe { libc::malloc_trim(0) };
}

/// Other allocators do so by themselves.
#[cfg(not(target_env = "gnu"))]
pub(super) fn give_back() {}
