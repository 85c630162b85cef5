//! How the program is linked: the functions that messages need lie together (`layout/README.md`), and what unwinds is part of it.

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
    if env::var("HOST") != env::var("TARGET") || !is("CARGO_CFG_TARGET_ENV", "gnu") {
        return;
    }
    // a tenth of the size of the relocations; the C library must know them
    if c_library().is_some_and(|version| version >= (2, 36)) {
        println!("cargo::rustc-link-arg-bin=sealpost=-Wl,-z,pack-relative-relocs");
    }
    // libgcc_s.so is a tenth of the time that a process takes to start: it is found, mapped and bound, and asks the processor what it can
    // do; of its archive no more comes along than what unwinds
    if has_archive("libgcc_eh.a") {
        println!("cargo::rustc-link-lib=static:-bundle=gcc_eh");
    }
}

/// Whether the C compiler that links has this archive.
fn has_archive(name: &str) -> bool {
    let output = Command::new("cc").arg(format!("-print-file-name={name}")).output();
    // a name that it does not know comes back as it is
    output.is_ok_and(|output| Path::new(String::from_utf8_lossy(&output.stdout).trim()).is_absolute())
}

/// Whether somebody chose a linker, which may not read scripts.
fn has_own_linker() -> bool {
    let flags = env::var("CARGO_ENCODED_RUSTFLAGS").unwrap_or_default();
    env::var_os("RUSTC_LINKER").is_some() || flags.contains("link-arg") || flags.contains("linker")
}

/// Puts the functions, and the tables of their branches, before all others; what is not there is no error.
fn linker_script(functions: &str) -> String {
    let mut script = String::new();
    for (section, prefixes) in [("text", &["text", "text.unlikely", "text.startup", "text.exit"][..]), ("rodata", &["rodata"])] {
        let _ = writeln!(script, "SECTIONS {{ .{section}.messages : {{");
        // what starts the program
        let _ = writeln!(script, "  *crt1.o(.{section})");
        for function in functions.lines() {
            let _ = if function.ends_with(".o") {
                writeln!(script, "  {function}(.{section})")
            } else {
                let inputs: Vec<String> = prefixes.iter().map(|prefix| format!(".{prefix}.{function}")).collect();
                writeln!(script, "  *({})", inputs.join(" "))
            };
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
