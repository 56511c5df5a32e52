//! The command line of Porchlight.
fn main() {}
