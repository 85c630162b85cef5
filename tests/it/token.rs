//! Keys on tokens: SoftHSM holds them, OpenSC makes and lists them, OpenSSL judges what they sign and encrypts to them.

mod authority;
mod pins;
mod read;
mod sign;

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use sealpost::asn1::{Cursor, encode, oid};

use crate::support;

const LETTER: &[u8] = b"From: jane@a.example\r\nTo: jane@a.example\r\nSubject: hi\r\n\r\nhello from a token\r\n";
const PIN: &str = "123456";

/// A kind of key as OpenSC and as this test call it, and its identifier on the token.
const RSA: (&str, &str) = ("rsa:2048", "01");
const RSA_3072: (&str, &str) = ("rsa:3072", "02");
const P256: (&str, &str) = ("EC:prime256v1", "03");
const P384: (&str, &str) = ("EC:secp384r1", "04");
const P521: (&str, &str) = ("EC:secp521r1", "05");
const ED25519: (&str, &str) = ("EC:edwards25519", "06");

/// A token called `Card` in a folder of its own, and a home.
struct Card {
    folder: tempfile::TempDir,
    module: PathBuf,
}

impl Card {
    /// A new token; `None` where a peer is missing.
    fn new() -> Option<Self> {
        let places =
            ["/usr/lib/softhsm/libsofthsm2.so", "/usr/lib64/softhsm/libsofthsm2.so", "/usr/local/lib/softhsm/libsofthsm2.so"];
        let Some(module) = places.iter().map(Path::new).find(|path| path.exists()) else {
            support::skip("SoftHSM is not installed");
            return None;
        };
        if !["softhsm2-util", "pkcs11-tool", "openssl"].iter().all(|peer| support::peer(peer)) {
            return None;
        }
        let card = Self { folder: tempfile::tempdir().expect("a folder"), module: module.to_owned() };
        std::fs::create_dir(card.path("tokens")).expect("made");
        let config = format!("directories.tokendir = {}\nobjectstore.backend = file\nlog.level = ERROR\n", card.path("tokens"));
        card.write("softhsm.conf", config.as_bytes());
        card.write("pin", format!("{PIN}\n").as_bytes());
        card.write("letter.eml", LETTER);
        card.write("extensions", EXTENSIONS.as_bytes());
        card.initialise("Card");
        card.openssl(&format!(
            "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout {} -out {} -subj /CN=Cards -days 30 -addext keyUsage=critical,keyCertSign",
            card.path("ca.key"),
            card.path("ca.pem")
        ));
        Some(card)
    }

    fn initialise(&self, label: &str) {
        let (code, _, talk) =
            self.tool("softhsm2-util", &["--init-token", "--free", "--label", label, "--pin", PIN, "--so-pin", "00000000"]);
        assert_eq!(code, 0, "{talk}");
    }

    fn path(&self, name: &str) -> String {
        self.folder.path().join(name).display().to_string()
    }

    fn write(&self, name: &str, bytes: &[u8]) -> String {
        std::fs::write(self.path(name), bytes).expect("written");
        self.path(name)
    }

    fn read(&self, name: &str) -> Vec<u8> {
        std::fs::read(self.path(name)).expect("it was written")
    }

    fn tool(&self, program: &str, args: &[&str]) -> (i32, Vec<u8>, String) {
        let mut command = Command::new(program);
        command.args(args).env("SOFTHSM2_CONF", self.path("softhsm.conf")).stdin(Stdio::null());
        let output = command.output().unwrap_or_else(|error| panic!("{program}: {error}"));
        (output.status.code().unwrap_or(-1), output.stdout, String::from_utf8_lossy(&output.stderr).into_owned())
    }

    /// OpenSC, with the PIN given.
    fn opensc(&self, line: &str) -> Vec<u8> {
        let module = self.module.display().to_string();
        let first = ["--module", &module, "--token-label", "Card", "--login", "--pin", PIN];
        let (code, out, talk) = self.tool("pkcs11-tool", &first.into_iter().chain(line.split_whitespace()).collect::<Vec<_>>());
        assert_eq!(code, 0, "{line}\n{talk}");
        out
    }

    fn openssl(&self, line: &str) -> String {
        let (code, _, talk) = self.tool("openssl", &line.split_whitespace().collect::<Vec<_>>());
        assert_eq!(code, 0, "{line}\n{talk}");
        talk
    }

    /// Has the token make a key, and OpenSSL certify it for jane; the certificate goes to a file `ID.pem`, and onto the token.
    fn key(&self, (kind, id): (&str, &str)) {
        self.opensc(&format!(
            "--keypairgen --key-type {kind} --id {id} --label key{id} --sensitive --usage-sign --usage-decrypt --usage-derive"
        ));
        self.write("public.der", &self.public(id));
        self.certify(id, "-inform DER");
        let der = self.path(&format!("{id}.der"));
        self.openssl(&format!("x509 -in {} -outform DER -out {der}", self.path(&format!("{id}.pem"))));
        self.opensc(&format!("--write-object {der} --type cert --id {id}"));
    }

    /// A public key as OpenSC reads it off the token; of some curves it shows the parts alone.
    fn public(&self, id: &str) -> Vec<u8> {
        let listed = String::from_utf8(self.opensc("--list-objects --type pubkey")).expect("text");
        let own = |object: &&str| object.lines().any(|line| line.trim().strip_prefix("ID:").is_some_and(|is| is.trim() == id));
        let listed = listed.split("Public Key Object").find(own).expect("the key");
        let part = |name: &str| -> Option<Vec<u8>> {
            let hex = listed.lines().find_map(|line| line.trim().strip_prefix(name))?.split_whitespace().next()?;
            Some((0..hex.len()).step_by(2).map(|at| u8::from_str_radix(&hex[at..at + 2], 16).expect("hex")).collect())
        };
        let Some(point) = part("EC_POINT:") else {
            self.opensc(&format!("--read-object --type pubkey --id {id} -o {}", self.path("public.der")));
            return self.read("public.der");
        };
        let point = Cursor::new(&point).octet_string().expect("an octet string").into_owned();
        let algorithm = match point.len() {
            32 => encode::sequence(&[encode::oid(&oid::ED25519)]),
            _ => encode::sequence(&[encode::oid(&oid::EC_PUBLIC_KEY), part("EC_PARAMS:").expect("the curve")]),
        };
        encode::sequence(&[algorithm, encode::bit_string(&point)])
    }

    /// Has OpenSSL certify the public key of `public.der`.
    fn certify(&self, id: &str, form: &str) {
        let public = self.path("public.pem");
        self.openssl(&format!("pkey -pubin {form} -in {} -out {public}", self.path("public.der")));
        self.openssl(&format!(
            "x509 -new -subj /CN=Jane -force_pubkey {public} -CA {} -CAkey {} -CAcreateserial -extfile {} -days 20 -out {}",
            self.path("ca.pem"),
            self.path("ca.key"),
            self.path("extensions"),
            self.path(&format!("{id}.pem"))
        ));
    }

    /// The program, through a module and with the PIN of a file.
    fn run_by(&self, module: &Path, pin: &str, args: &[&str]) -> (i32, Vec<u8>, String) {
        let mut command = Command::new(env!("CARGO_BIN_EXE_sealpost"));
        command.args(["--batch", "--home", &self.path("home"), "--passphrase-file", &self.path(pin)]).args(args);
        command.env("SOFTHSM2_CONF", self.path("softhsm.conf")).env("SEALPOST_PKCS11_MODULE", module).stdin(Stdio::null());
        command.env("PKCS11SPY", &self.module).env("PKCS11SPY_OUTPUT", self.path("calls"));
        let output = command.output().expect("it runs");
        (output.status.code().unwrap_or(-1), output.stdout, String::from_utf8_lossy(&output.stderr).into_owned())
    }

    fn run(&self, line: &str) -> (i32, Vec<u8>, String) {
        self.run_by(&self.module, "pin", &line.split_whitespace().collect::<Vec<_>>())
    }

    fn ok(&self, line: &str) -> String {
        let (code, out, talk) = self.run(line);
        assert_eq!(code, 0, "{line}\n{talk}");
        String::from_utf8_lossy(&out).into_owned()
    }

    /// Whether OpenSSL accepts a signed message as jane's.
    fn verify(&self, file: &str) {
        let line = format!("cms -verify -in {} -CAfile {} -out {}", self.path(file), self.path("ca.pem"), self.path("verified"));
        let talk = self.openssl(&line);
        assert!(talk.contains("CMS Verification successful"), "{talk}");
    }
}

const EXTENSIONS: &str = "subjectAltName=email:jane@a.example\nextendedKeyUsage=emailProtection\n\
    keyUsage=digitalSignature,keyEncipherment,keyAgreement\n";
