//! The targets of `fuzz` under libFuzzer: one program, the target named in `FUZZ_TARGET`. `ops/fuzz.sh` runs it.
#![no_main]

use fuzz::Target;
use libfuzzer_sys::fuzz_target;
use std::sync::LazyLock;

static TARGET: LazyLock<&Target> = LazyLock::new(|| {
    let name = std::env::var("FUZZ_TARGET").unwrap_or_default();
    fuzz::target(&name).unwrap_or_else(|| panic!("FUZZ_TARGET=`{name}` names no target"))
});

fuzz_target!(|bytes: &[u8]| (TARGET.run)(bytes));
