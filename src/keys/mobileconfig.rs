//! Configuration profiles for Apple's systems: keys as PKCS#12, and the certificates above them, in one file that a person opens.
//!
//! ```text
//! plist
//!   dict                                     PayloadType Configuration
//!     PayloadContent array
//!       dict com.apple.security.pkcs12       each key with its certificate; the device asks for the passphrase
//!       dict com.apple.security.pkcs1        each authority between
//!       dict com.apple.security.root         each root, which the device trusts from then on
//! ```
//!
//! The passphrase is never in it: a profile is not encrypted.

use std::fmt::Write;

use crate::crypto::random::Random;
use crate::keys::pkcs12::{self, Target};
use crate::keys::{Error, Identity};
use crate::pki::Certificate;
use crate::secret::Secret;

/// Writes a profile with these keys under a passphrase and with these roots; the other certificates come from the keys' chains.
///
/// Installing it again replaces it: its identifier is that of the first certificate.
pub fn write(
    identities: &[Identity],
    roots: &[Certificate],
    passphrase: &Secret<Vec<u8>>,
    random: &mut dyn Random,
) -> Result<Vec<u8>, Error> {
    let Some(first) = identities.first() else { return Err(Error::NotFound("a profile needs a key".to_owned())) };
    let address = name_of(first);
    let identifier = format!("sealpost.mail.{}", short(first.certificate()));
    let mut payloads = Vec::new();
    for identity in identities {
        // Apple's reader takes exactly one key from each
        let file = pkcs12::write_for(Target::Apple, std::slice::from_ref(identity), (passphrase, &address), random)?;
        payloads.push(Payload {
            kind: "com.apple.security.pkcs12",
            identifier: format!("{identifier}.key.{}", short(identity.certificate())),
            name: format!("Mail key of {}", name_of(identity)),
            content: file,
            file_name: format!("{}.p12", name_of(identity)),
        });
    }
    let is_root = |certificate: &Certificate| certificate.is_self_issued();
    let mut seen: Vec<&Certificate> = identities.iter().map(Identity::certificate).collect();
    for certificate in identities.iter().flat_map(Identity::chain).chain(roots) {
        if seen.contains(&certificate) {
            continue;
        }
        seen.push(certificate);
        payloads.push(Payload {
            kind: if is_root(certificate) { "com.apple.security.root" } else { "com.apple.security.pkcs1" },
            identifier: format!("{identifier}.ca.{}", short(certificate)),
            name: certificate.subject().common_name().map_or_else(|| certificate.to_string(), str::to_owned),
            content: certificate.der().to_vec(),
            file_name: format!("{}.cer", short(certificate)),
        });
    }
    Ok(profile(&address, &identifier, &payloads, random).into_bytes())
}

/// One payload: what the device installs.
struct Payload {
    kind: &'static str,
    identifier: String,
    name: String,
    content: Vec<u8>,
    file_name: String,
}

fn profile(address: &str, identifier: &str, payloads: &[Payload], random: &mut dyn Random) -> String {
    let mut out = String::from(HEAD);
    out.push_str("<dict>\n<key>PayloadContent</key>\n<array>\n");
    for payload in payloads {
        out.push_str("<dict>\n");
        text(&mut out, "PayloadType", payload.kind);
        common(&mut out, (&payload.identifier, &payload.name), random);
        text(&mut out, "PayloadCertificateFileName", &payload.file_name);
        out.push_str("<key>PayloadContent</key>\n<data>\n");
        let base64 = base64_simd::STANDARD.encode_to_string(&payload.content);
        for line in base64.as_bytes().chunks(76) {
            out.push_str(&String::from_utf8_lossy(line));
            out.push('\n');
        }
        out.push_str("</data>\n</dict>\n");
    }
    out.push_str("</array>\n");
    text(&mut out, "PayloadType", "Configuration");
    common(&mut out, (identifier, &format!("Mail certificate of {address}")), random);
    text(&mut out, "PayloadDescription", &format!("Signs and encrypts mail of {address} (S/MIME)."));
    // the key belongs to the person; on macOS it would go to everybody's keychain otherwise
    text(&mut out, "PayloadScope", "User");
    out.push_str("<key>PayloadRemovalDisallowed</key>\n<false/>\n</dict>\n</plist>\n");
    out
}

/// What every payload says of itself.
fn common(out: &mut String, (identifier, name): (&str, &str), random: &mut dyn Random) {
    text(out, "PayloadIdentifier", identifier);
    text(out, "PayloadUUID", &uuid(random));
    text(out, "PayloadDisplayName", name);
    out.push_str("<key>PayloadVersion</key>\n<integer>1</integer>\n");
}

fn text(out: &mut String, key: &str, value: &str) {
    out.push_str("<key>");
    out.push_str(key);
    out.push_str("</key>\n<string>");
    for character in value.chars() {
        match character {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            // XML 1.0 2.2: these are no characters of a document, not even as references
            '\0'..='\u{8}' | '\u{b}' | '\u{c}' | '\u{e}'..='\u{1f}' | '\u{fffe}' | '\u{ffff}' => out.push('\u{fffd}'),
            // and this one would be read as a line feed
            '\r' => out.push_str("&#13;"),
            other => out.push(other),
        }
    }
    out.push_str("</string>\n");
}

/// A random UUID (RFC 9562 5.4), in capitals as Apple's tools write it.
fn uuid(random: &mut dyn Random) -> String {
    let mut bytes = [0; 16];
    random.fill(&mut bytes);
    let value = u128::from_be_bytes(bytes) & !(0xf << 76) & !(0x3 << 62) | 0x4 << 76 | 0x2 << 62;
    let mut out = String::with_capacity(36);
    for (at, byte) in value.to_be_bytes().iter().enumerate() {
        if matches!(at, 4 | 6 | 8 | 10) {
            out.push('-');
        }
        // a String takes everything
        let _ = write!(out, "{byte:02X}");
    }
    out
}

fn name_of(identity: &Identity) -> String {
    identity.addresses().into_iter().next().unwrap_or_else(|| identity.certificate().to_string())
}

fn short(certificate: &Certificate) -> String {
    certificate.fingerprint_hex().chars().take(16).collect()
}

const HEAD: &str = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n\
    <!DOCTYPE plist PUBLIC \"-//Apple//DTD PLIST 1.0//EN\" \"http://www.apple.com/DTDs/PropertyList-1.0.dtd\">\n\
    <plist version=\"1.0\">\n";
