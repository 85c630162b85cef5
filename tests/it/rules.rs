//! The rules of the house, held by tests: who may use whom, what no file contains.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

/// Which rooms a room may name with `crate::ROOM`. Arrows only point down.
fn allowed() -> BTreeMap<&'static str, &'static [&'static str]> {
    BTreeMap::from([
        ("limits", &[][..]),
        ("time", &[]),
        ("secret", &[]),
        ("asn1", &["limits", "time", "secret"]),
        ("crypto", &["asn1", "limits", "time", "secret"]),
        ("mime", &["limits", "time", "secret"]),
        ("pki", &["crypto", "asn1", "limits", "time"]),
        ("lint", &["pki", "crypto", "asn1", "limits", "time"]),
        ("cms", &["pki", "crypto", "asn1", "limits", "time", "secret"]),
        ("keys", &["pki", "crypto", "asn1", "limits", "time", "secret"]),
        ("ca", &["lint", "keys", "pki", "crypto", "asn1", "limits", "time", "secret"]),
        ("smime", &["mime", "cms", "keys", "pki", "crypto", "limits", "time", "secret"]),
        ("http", &["limits"]),
        ("sieve", &["mime", "limits", "time"]),
        ("proto", &["crypto", "limits", "time", "secret"]),
        ("server", &["http", "proto", "sieve", "smime", "ca", "keys", "pki", "mime", "crypto", "limits", "time", "secret"]),
    ])
}

fn sources(folder: &Path, found: &mut Vec<PathBuf>) {
    let mut entries: Vec<_> = fs::read_dir(folder).expect("src is readable").map(|e| e.expect("an entry").path()).collect();
    entries.sort();
    for path in entries {
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|e| e == "rs") {
            found.push(path);
        }
    }
}

fn all_sources() -> Vec<(String, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut found = Vec::new();
    sources(&root, &mut found);
    found
        .into_iter()
        .map(|path| {
            let name = path.strip_prefix(&root).expect("below src").to_string_lossy().replace('\\', "/");
            (name, fs::read_to_string(&path).expect("a source is text"))
        })
        .collect()
}

/// The code of a file without comments; good enough for words that stand in no string.
fn code(text: &str) -> String {
    text.lines().map(|line| line.split("//").next().unwrap_or("")).collect::<Vec<_>>().join("\n")
}

/// Every room named after `marker`, also in the braces of `use crate::{…}`.
fn rooms_named(code: &str, marker: &str) -> Vec<String> {
    let word = |text: &str| text.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect::<String>();
    let mut named = Vec::new();
    for (at, _) in code.match_indices(marker) {
        let rest = &code[at + marker.len()..];
        let Some(group) = rest.strip_prefix('{') else {
            named.push(word(rest));
            continue;
        };
        let (mut depth, mut start) = (1, true);
        for (position, c) in group.char_indices() {
            match c {
                '{' => depth += 1,
                '}' => depth -= 1,
                ',' if depth == 1 => start = true,
                c if start && !c.is_whitespace() => {
                    named.push(word(&group[position..]));
                    start = false;
                }
                _ => {}
            }
            if depth == 0 {
                break;
            }
        }
    }
    named
}

#[test]
fn rooms_use_only_rooms_below_them() {
    let allowed = allowed();
    let mut wrong = Vec::new();
    for (name, text) in all_sources() {
        let room = name.split('/').next().unwrap_or("").trim_end_matches(".rs").to_owned();
        let Some(may) = allowed.get(room.as_str()) else { continue };
        for used in rooms_named(&code(&text), "crate::") {
            let known = allowed.contains_key(used.as_str());
            if known && used != room && !may.contains(&used.as_str()) {
                wrong.push(format!("{name} uses {used}"));
            }
        }
    }
    assert!(wrong.is_empty(), "against the rule of docs/architecture.md:\n{}", wrong.join("\n"));
}

#[test]
fn the_rule_test_sees_a_forbidden_use() {
    assert_eq!(rooms_named("use crate::{cms::Signed, keys};", "crate::"), ["cms", "keys"]);
    assert_eq!(rooms_named("let x = crate::smime::open;", "crate::"), ["smime"]);
}

#[test]
fn the_program_uses_only_the_public_api() {
    for (name, text) in all_sources() {
        let below_cli = name.starts_with("cli/") || name == "main.rs";
        let code = code(&text);
        assert!(below_cli || !code.contains("crate::cli"), "{name} names cli");
        for used in rooms_named(&code, "crate::") {
            assert!(!below_cli || used == "cli", "{name} reaches {used} past the public API");
        }
    }
}

#[test]
fn only_crypto_names_cryptography_crates() {
    let crates = [
        "rsa::",
        "p256::",
        "p384::",
        "p521::",
        "sha1::",
        "sha2::",
        "sha3::",
        "aes::",
        "cbc::",
        "polyval::",
        "aws_lc_rs::",
        "ed25519_dalek::",
        "ed448_goldilocks::",
        "elliptic_curve::",
        "ecdsa::",
        "bp256::",
        "bp384::",
        "shake::",
        "chacha20::",
        "poly1305::",
        "ml_dsa::",
        "ml_kem::",
        "slh_dsa::",
    ];
    for (name, text) in all_sources() {
        // rustls chooses its own provider, which is AWS-LC too
        if name.starts_with("crypto/") || name.starts_with("server/") {
            continue;
        }
        let code = code(&text);
        for krate in crates {
            let named = code.match_indices(krate).any(|(at, _)| {
                let before = code[..at].chars().next_back().unwrap_or(' ');
                !before.is_alphanumeric() && before != '_' && before != ':'
            });
            assert!(!named, "{name} names {krate}");
        }
    }
}

#[test]
fn sockets_are_opened_only_where_they_belong() {
    let places = [
        "server/listen",
        "server/drive",
        "server/outbound",
        "server/web",
        "server/api",
        "server/admin",
        "server/accounts/ldap",
        "server/acme",
        "server/scan",
        "server/mod",
        // a name server that never answers
        "server/policy/authentication/tests",
        "cli/",
    ];
    for (name, text) in all_sources() {
        let opens = ["TcpStream", "TcpListener", "UdpSocket", "UnixStream"].iter().any(|word| code(&text).contains(word));
        assert!(!opens || places.iter().any(|place| name.starts_with(place)), "{name} names a socket");
    }
}

#[test]
fn the_library_reads_no_clock() {
    for (name, text) in all_sources() {
        let outer = name.starts_with("cli/") || name.starts_with("server/");
        let reads = ["SystemTime::now", "Instant::now", "env::var"].iter().any(|word| code(&text).contains(word));
        assert!(outer || !reads, "{name} reads a clock or the environment");
    }
}

#[test]
fn every_folder_says_what_it_is_for() {
    for (name, text) in all_sources() {
        if name.ends_with("mod.rs") {
            assert!(text.starts_with("//!"), "{name} has no head");
        }
    }
}

#[test]
fn architecture_page_stays_short_and_names_every_room() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let page = fs::read_to_string(root.join("docs/architecture.md")).expect("docs/architecture.md exists");
    assert!(page.lines().count() <= 150, "docs/architecture.md is over 150 lines");
    for room in allowed().keys() {
        assert!(page.contains(&format!("`{room}")), "docs/architecture.md does not name {room}");
    }
}

/// What the server knows in its configuration: the words in each list of names that it looks for.
fn settings() -> Vec<(String, String)> {
    let mut found = Vec::new();
    for (name, text) in all_sources().into_iter().filter(|(name, _)| name.starts_with("server/config")) {
        let text = text.split("#[cfg(test)]").next().unwrap_or_default().to_owned();
        for (marker, end) in [
            ("self.known(", ");"),
            ("reader.known(", ");"),
            ("const KEYS", "];"),
            ("const SECTIONS", "];"),
            ("let known = [", "];"),
        ] {
            for list in text.split(marker).skip(1) {
                let list = list.split(end).next().unwrap_or_default();
                let words = list.split('"').skip(1).step_by(2).filter(|word| !word.is_empty() && !word.ends_with('.'));
                found.extend(words.map(|word| (name.clone(), word.to_owned())));
            }
        }
    }
    found
}

#[test]
fn every_setting_is_described() {
    let page = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/operating.md")).expect("the page");
    let (_, list) = page.split_once("## Every setting").expect("the list");
    let list = list.split("\n## ").next().unwrap_or_default();
    let settings = settings();
    assert!(settings.len() > 60, "{}", settings.len());
    for (file, setting) in settings {
        let is_there = ["`[", "`[[", "`"]
            .iter()
            .any(|before| ["]`", "]]`", "`"].iter().any(|after| list.contains(&format!("{before}{setting}{after}"))));
        assert!(is_there, "{setting} ({file}) is not in the list of docs/operating.md");
    }
}

#[test]
fn documents_name_settings_that_there_are() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut blocks = 0;
    for entry in fs::read_dir(root.join("docs")).expect("documents") {
        let path = entry.expect("an entry").path();
        let Ok(page) = fs::read_to_string(&path) else { continue };
        for block in page.split("```toml\n").skip(1) {
            let block = block.split("```").next().unwrap_or_default();
            let tls = if block.contains("[tls]\n") { "" } else { "[tls]\ncertificate = \"Cargo.toml\"\nkey = \"Cargo.toml\"\n" };
            let text = format!("hostname = \"mx.a.example\"\ndata = \"mail\"\n[listen]\nsmtp = \"127.0.0.1:2525\"\n{tls}{block}");
            let mistakes = sealpost::server::Config::parse(&text, root).err().unwrap_or_default();
            let unknown: Vec<String> =
                mistakes.iter().map(ToString::to_string).filter(|text| text.contains("is not known")).collect();
            assert!(unknown.is_empty(), "{}: {unknown:?}", path.display());
            blocks += 1;
        }
    }
    assert!(blocks > 5, "{blocks}");
}

/// What a lock file names: each package and its versions, and the lines of its dependencies.
fn locked(text: &str) -> BTreeMap<String, (Vec<String>, Vec<String>)> {
    let mut found: BTreeMap<String, (Vec<String>, Vec<String>)> = BTreeMap::new();
    for package in text.split("[[package]]").skip(1) {
        let value = |key: &str| {
            let line = package.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(" = \"")?.strip_suffix('"'));
            line.unwrap_or_else(|| panic!("{key} of {package}")).to_owned()
        };
        let dependencies = package.lines().filter_map(|line| line.strip_prefix(" \"")?.strip_suffix("\","));
        let (versions, named) = found.entry(value("name")).or_default();
        versions.push(value("version"));
        named.extend(dependencies.map(|line| line.split(' ').next().unwrap_or_default().to_owned()));
    }
    found
}

#[test]
fn the_fuzz_targets_are_built_with_what_the_program_is_built_with() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let read = |name: &str| fs::read_to_string(root.join(name)).expect("readable");
    let (manifest, ours, theirs) = (read("Cargo.toml"), locked(&read("Cargo.lock")), locked(&read("fuzz/Cargo.lock")));
    let section = |name: &str| manifest.split(&format!("\n[{name}]\n")).nth(1).and_then(|rest| rest.split("\n[").next());
    // always there, or brought by a feature that the targets have
    let mut needed: Vec<&str> =
        section("dependencies").expect("a section").lines().filter(|l| !l.contains("optional = true")).collect();
    needed.retain(|line| !line.starts_with('#') && line.contains(" = "));
    let features = section("features").expect("a section").lines();
    let features = features.filter(|line| line.starts_with("server = ") || line.starts_with("aws-lc = "));
    let brought = features.flat_map(|line| line.split("\"dep:").skip(1)).filter_map(|rest| rest.split('"').next());
    let needed = needed.into_iter().filter_map(|line| line.split(" = ").next()).chain(brought);
    let missing: Vec<&str> = needed.filter(|name| !theirs["sealpost"].1.iter().any(|known| known == name)).collect();
    assert!(missing.is_empty(), "fuzz/Cargo.lock lacks {missing:?}: `cp Cargo.lock fuzz/ && cd fuzz && cargo metadata`");
    let others = theirs.iter().filter(|(name, (versions, _))| {
        !["sealpost-fuzz", "libfuzzer-sys", "arbitrary"].contains(&name.as_str())
            && !versions.iter().all(|version| ours.get(*name).is_some_and(|(known, _)| known.contains(version)))
    });
    let others = others.collect::<Vec<_>>();
    assert!(others.is_empty(), "fuzz/Cargo.lock has other versions: {others:?}");
}
