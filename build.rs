//! Where the functions of the program lie: those that messages need lie together (`layout/README.md`).

use std::env;
use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::process::Command;

const FUNCTIONS: &str = "layout/functions";

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-changed={FUNCTIONS}");
    let is = |name: &str, value: &str| env::var(name).is_ok_and(|found| found == value);
    let has_program = env::var_os("CARGO_FEATURE_CLI").is_some();
    if !has_program || !is("PROFILE", "release") || !is("CARGO_CFG_TARGET_OS", "linux") || has_own_linker() {
        return;
    }
    let functions = fs::read_to_string(FUNCTIONS).expect("layout/functions is part of the package");
    let script = Path::new(&env::var_os("OUT_DIR").expect("set by cargo")).join("layout.ld");
    fs::write(&script, linker_script(&functions)).expect("cargo's folder takes files");
    for argument in ["-T", &script.display().to_string()] {
        println!("cargo::rustc-link-arg-bin=sealpost={argument}");
    }
    // a tenth of the size of the relocations; the C library must know them
    if env::var("HOST") == env::var("TARGET") && c_library().is_some_and(|version| version >= (2, 36)) {
        println!("cargo::rustc-link-arg-bin=sealpost=-Wl,-z,pack-relative-relocs");
    }
}

/// Whether somebody chose a linker, which may not read scripts.
fn has_own_linker() -> bool {
    let flags = env::var("CARGO_ENCODED_RUSTFLAGS").unwrap_or_default();
    env::var_os("RUSTC_LINKER").is_some() || flags.contains("link-arg") || flags.contains("linker")
}

/// Puts the functions, and the tables of their branches, before all others; what is not there is no error.
fn linker_script(functions: &str) -> String {
    let mut script = String::new();
    for (section, prefixes) in [("text", &["text", "text.unlikely"][..]), ("rodata", &["rodata"])] {
        let _ = writeln!(script, "SECTIONS {{ .{section}.messages : {{");
        for function in functions.lines() {
            let inputs: Vec<String> = prefixes.iter().map(|prefix| format!(".{prefix}.{function}")).collect();
            let _ = writeln!(script, "  *({})", inputs.join(" "));
        }
        let _ = writeln!(script, "}} }} INSERT BEFORE .{section};");
    }
    script
}

/// The version of the GNU C library, where it is that.
fn c_library() -> Option<(u32, u32)> {
    let output = Command::new("getconf").arg("GNU_LIBC_VERSION").output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    let (major, minor) = text.trim().strip_prefix("glibc ")?.split_once('.')?;
    Some((major.parse().ok()?, minor.parse().ok()?))
}
