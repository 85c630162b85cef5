//! What other programs say about what the demo wrote, and the demo about theirs; those that are not here are left out.

use std::process::Command;

use sealpost::crypto::algorithm::DigestAlgorithm;
use sealpost::crypto::digest;
use sealpost::pki;

use crate::cli::demo::stage::Stage;
use crate::cli::failure::{Exit, Failure, reason};

/// Lets openssl and gpgsm judge.
pub(crate) fn judge(stage: &mut Stage) -> Result<(), Failure> {
    stage.chapter("What other programs say")?;
    // older ones, and LibreSSL, know no AuthEnvelopedData
    let version = Command::new("openssl").arg("version").output().map(|ended| ended.stdout).unwrap_or_default();
    if version.starts_with(b"OpenSSL 3") || version.starts_with(b"OpenSSL 4") {
        openssl(stage)?;
    } else {
        stage.say("  OpenSSL 3 is not installed, and is left out")?;
    }
    if is_here("gpgsm") && is_here("gpgconf") {
        gpgsm(stage)?;
    } else {
        stage.say("  gpgsm is not installed, and is left out")?;
    }
    Ok(())
}

fn is_here(program: &str) -> bool {
    std::env::var_os("PATH").is_some_and(|paths| std::env::split_paths(&paths).any(|folder| folder.join(program).is_file()))
}

/// openssl decrypts and verifies what we sealed; we open what it signed and encrypted.
fn openssl(stage: &Stage) -> Result<(), Failure> {
    for person in [("jane", "jane@a.example"), ("cherry", "cherry@b.example")] {
        let (name, address) = person;
        stage.good(name, &format!("id export {address} --for pem -o {name}-key.pem --passphrase-file passphrase"))?;
    }
    stage.good("authority", "ca export issuing -o issuing.pem")?;
    let pass = "-passin file:passphrase";
    peer(stage, &format!("openssl cms -decrypt -in received.eml -recip cherry-key.pem {pass} -out by-openssl.eml"))?;
    peer(stage, "openssl cms -verify -in by-openssl.eml -CAfile root.pem -out checked-by-openssl.txt")?;
    let from = "-from jane@a.example -to cherry@b.example -subject signed-by-openssl";
    peer(
        stage,
        &format!(
            "openssl cms -sign -in letter.eml -signer jane-key.pem -certfile issuing.pem {pass} {from} -out signed-by-openssl.eml"
        ),
    )?;
    peer(
        stage,
        &format!("openssl cms -encrypt -aes-256-cbc -stream -in signed-by-openssl.eml {from} -out by-openssl.p7m cherry.pem"),
    )?;
    stage.good("cherry", "open by-openssl.p7m -o from-openssl.eml --crl lists.pem --passphrase-file passphrase")
}

/// gpgsm verifies what we sign.
fn gpgsm(stage: &Stage) -> Result<(), Failure> {
    stage.good("jane", "sign letter.eml --opaque --no-header-protection -o opaque.eml --passphrase-file passphrase")?;
    let opaque = stage.read("opaque.eml")?;
    let text = String::from_utf8_lossy(&opaque);
    let body = text.split_once("\r\n\r\n").map_or("", |(_, body)| body);
    stage.write("opaque.b64", body.as_bytes())?;
    let home = stage.path("gnupg");
    let mut builder = std::fs::DirBuilder::new();
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(&home).or_else(|e| if home.is_dir() { Ok(()) } else { Err(e) }).map_err(|e| Failure::io(reason(&e)))?;
    let root = pki::load::certificates(&stage.read("root.pem")?).map_err(Failure::refused)?;
    let root = root.first().map(|root| digest::of(DigestAlgorithm::Sha1, root.der())).unwrap_or_default();
    let fingerprint: String = root.iter().map(|byte| format!("{byte:02X}")).collect();
    stage.write("gnupg/trustlist.txt", format!("{fingerprint} S relax\n").as_bytes())?;
    let always = "gpgsm --homedir gnupg --batch --no-tty --disable-crl-checks";
    let done = match peer(stage, &format!("{always} --import root.pem")) {
        Ok(()) => peer(stage, &format!("{always} --assume-base64 --output by-gpgsm.txt --verify opaque.b64")),
        // its agent does not start everywhere: folders with long names are one reason
        Err(failure) => stage.say(&format!("    gpgsm does not work here, and is left out – {}", failure.message)),
    };
    // its helper programs would stay
    let _ = Command::new("gpgconf").arg("--homedir").arg(&home).args(["--kill", "all"]).output();
    done
}

/// Runs a program of others, shows it and what came back; a failure ends the demo.
fn peer(stage: &Stage, line: &str) -> Result<(), Failure> {
    stage.say(&format!("\n  $ {line}"))?;
    let mut words = line.split_whitespace();
    let program = words.next().unwrap_or_default();
    let ended = Command::new(program).args(words).current_dir(stage.path("")).output();
    let ended = ended.map_err(|e| Failure::io(format!("cannot run {program} – {}", reason(&e))))?;
    stage.came_back(&String::from_utf8_lossy(&ended.stderr))?;
    match ended.status.success() {
        true => Ok(()),
        false => Err(Failure::new(Exit::Bad, format!("`{line}` ended with {}", ended.status))),
    }
}
