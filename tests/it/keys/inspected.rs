//! What `inspect` calls a key file.

use serde_json::Value;

use crate::support;

#[test]
fn inspect_knows_key_files_without_opening_them() {
    let seeds = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/seeds/keys");
    for (file, kind, words) in [
        ("aes.p12", "pkcs12", "a PKCS#12 file"),
        ("key.der", "key", "a private key (p256)"),
        ("locked.der", "key", "a private key under a passphrase"),
        ("scrypt.pem", "key", "a private key under a passphrase"),
        ("traditional.pem", "key", "a private key under a passphrase"),
    ] {
        let path = seeds.join(file).display().to_string();
        let inspect = |args: &[&str]| {
            let (code, out, talk) = support::run(env!("CARGO_BIN_EXE_sealpost"), &[args, &["inspect", &path]].concat(), b"");
            assert_eq!(code, 0, "{file}: {talk}");
            (out, talk)
        };
        let json: Value = serde_json::from_slice(&inspect(&["--json"]).0).expect("JSON");
        assert_eq!(json["kind"], kind, "{file}");
        let (out, talk) = inspect(&[]);
        let text = format!("{}{talk}", String::from_utf8_lossy(&out));
        assert!(text.contains(words), "{file}: {text}");
    }
}
