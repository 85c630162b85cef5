//! Everything that a cryptographic message may travel in: bare, in PEM, in base64, as the body of a message.

use sealpost::mime::transfer;

/// A message in some form, and what the form is.
pub(super) struct Wrapped {
    pub(super) form: String,
    pub(super) bytes: Vec<u8>,
    /// How OpenSSL is told to read it; `None` where it does not.
    pub(super) openssl: Option<&'static str>,
}

/// Without a message around.
pub(super) fn bare(structure: &[u8]) -> Vec<Wrapped> {
    let base64 = String::from_utf8(transfer::encode_base64(structure)).expect("ASCII").replace('\r', "");
    let one_line = base64.replace('\n', "");
    let pem = |label: &str| format!("-----BEGIN {label}-----\n{base64}-----END {label}-----\n");
    let form = |form: &str, text: String, openssl| Wrapped { form: form.to_owned(), bytes: text.into_bytes(), openssl };
    vec![
        Wrapped { form: "binary".to_owned(), bytes: structure.to_vec(), openssl: Some("DER") },
        form("PEM PKCS7", pem("PKCS7"), Some("PEM")),
        form("PEM CMS", pem("CMS"), Some("PEM")),
        form("PEM PKCS #7 SIGNED DATA", pem("PKCS #7 SIGNED DATA"), None),
        form("PEM with CRLF", pem("CMS").replace('\n', "\r\n"), Some("PEM")),
        form("PEM after text", format!("This is the contract.\n\nSigned at noon\n{}", pem("CMS")), Some("PEM")),
        form("PEM before text", format!("{}\n-- \nThe list\n", pem("CMS")), Some("PEM")),
        form("PEM in an mbox", format!("From alice@example.com Thu Jan  1 00:00:00 2026\n\n{}", pem("CMS")), Some("PEM")),
        form("PEM in two lines", format!("-----BEGIN CMS-----\n{one_line}\n-----END CMS-----\n"), None),
        form("base64", base64.clone(), None),
        form("base64 in one line", one_line, None),
        form("base64 with CRLF", base64.replace('\n', "\r\n"), None),
        form("base64, indented", base64.lines().map(|line| format!("    {line}\n")).collect(), None),
    ]
}

/// Whether every type is tried with every transfer encoding.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Pairs {
    All,
    Some,
}

/// The types and names under which it comes (RFC 8551 3.2, 3.10).
fn types(smime_type: &str, suffix: &str) -> Vec<String> {
    vec![
        format!("Content-Type: application/pkcs7-mime; smime-type={smime_type}; name=smime.{suffix}\r\n"),
        format!("Content-Type: application/x-pkcs7-mime; smime-type={smime_type}; name=smime.{suffix}\r\n"),
        format!("CONTENT-TYPE: APPLICATION/PKCS7-MIME;\r\n\tSMIME-TYPE=\"{}\"\r\n", smime_type.to_uppercase()),
        "Content-Type: application/pkcs7-mime\r\n".to_owned(),
        "Content-Type: application/pkcs7-mime; smime-type=signed-receipt\r\n".to_owned(),
        "Content-Type: application/pkcs7-mime; smime-type=\"\"; name=winmail.dat\r\n".to_owned(),
        format!("Content-Type: application/octet-stream; name=\"SMIME.{}\"\r\n", suffix.to_uppercase()),
        format!("Content-Type: application/octet-stream\r\nContent-Disposition: attachment; filename=smime.{suffix}\r\n"),
        format!(
            "Content-Type: application/octet-stream\r\nContent-Disposition: attachment;\r\n filename*0=\"smime\"; filename*1=\".{suffix}\"\r\n"
        ),
        format!(
            "Content-Type: application/octet-stream\r\nContent-Disposition: attachment; filename*=utf-8''vertrag%20.{suffix}\r\n"
        ),
        // encoded words have no place in a parameter (RFC 2047 5), and stand there
        format!(
            "Content-Type: application/octet-stream\r\nContent-Disposition: attachment; filename=\"=?utf-8?q?smime=2E{suffix}?=\"\r\n"
        ),
    ]
}

/// The types that the name of a file, and its bytes, outweigh.
fn other_types(suffix: &str) -> Vec<String> {
    let types = [
        "application/binary",
        "application/x-anything",
        "application/mime",
        "application/octet-stream",
        "application/pkcs7-signature",
        "text/plain; charset=utf-8",
        "image/png",
    ];
    let name = |suffix: &str| format!("Content-Disposition: attachment; filename=\"the contract.{suffix}\"\r\n");
    let mut found: Vec<String> = types.iter().map(|kind| format!("Content-Type: {kind}\r\n{}", name(suffix))).collect();
    found.extend([
        name(suffix),
        format!("Content-Type: application/octet-stream\r\n{}", name("p7s")),
        "Content-Type: application/x-pkcs7-signature\r\n".to_owned(),
        "Content-Type: application/cms\r\n".to_owned(),
    ]);
    found
}

/// The transfer encodings: the field, the body.
fn encodings(structure: &[u8]) -> Vec<(&'static str, &'static str, Vec<u8>)> {
    let base64 = transfer::encode_base64(structure);
    let one_line: Vec<u8> = base64.iter().copied().filter(|byte| !byte.is_ascii_whitespace()).collect();
    let quoted: String =
        structure.chunks(20).map(|line| line.iter().map(|byte| format!("={byte:02X}")).collect::<String>() + "=\r\n").collect();
    let lower = quoted.to_lowercase().replace("=\r\n", "=\n");
    let lines = String::from_utf8(base64.clone()).expect("ASCII");
    let pem = format!("-----BEGIN PKCS7-----\r\n{lines}-----END PKCS7-----\r\n").into_bytes();
    let broken_base64: Vec<u8> = base64.split(|byte| *byte == b'\n').flat_map(|line| [b" ", line, b"\t\n"].concat()).collect();
    vec![
        ("base64", "Content-Transfer-Encoding: base64\r\n", base64.clone()),
        ("base64 in one line", "Content-Transfer-Encoding: BASE64\r\n", [&one_line[..], b"\r\n"].concat()),
        ("base64 with blanks", "Content-Transfer-Encoding: base64\r\n", broken_base64),
        ("base64 without an end", "Content-Transfer-Encoding: base64\r\n", one_line),
        ("base64 with text after", "Content-Transfer-Encoding: base64\r\n", [&base64[..], b"\r\n"].concat()),
        ("quoted-printable", "Content-Transfer-Encoding: quoted-printable\r\n", quoted.into_bytes()),
        ("quoted-printable, small", "Content-Transfer-Encoding: Quoted-Printable\r\n", lower.into_bytes()),
        ("binary", "Content-Transfer-Encoding: binary\r\n", structure.to_vec()),
        ("8bit", "Content-Transfer-Encoding: 8bit\r\n", structure.to_vec()),
        ("8bit, line end after", "Content-Transfer-Encoding: 8bit\r\n", [structure, b"\r\n"].concat()),
        ("no encoding said", "", structure.to_vec()),
        ("base64 that is not said", "", base64.clone()),
        ("base64 said to be 7bit", "Content-Transfer-Encoding: 7bit\r\n", base64),
        ("PEM", "Content-Transfer-Encoding: 7bit\r\n", pem.clone()),
        ("PEM after an empty line", "", [b"\r\n", &pem[..]].concat()),
        ("PEM in base64", "Content-Transfer-Encoding: base64\r\n", transfer::encode_base64(&pem)),
    ]
}

/// As the body of a message: each type in base64 and the usual type in each encoding, or each type in each encoding.
pub(super) fn messages(structure: &[u8], smime_type: &str, suffix: &str, pairs: Pairs) -> Vec<Wrapped> {
    let mut found = Vec::new();
    for (at, content_type) in types(smime_type, suffix).into_iter().chain(other_types(suffix)).enumerate() {
        for (encoding, field, body) in encodings(structure) {
            if pairs == Pairs::Some && at != 0 && encoding != "base64" {
                continue;
            }
            let said = content_type.lines().collect::<Vec<_>>().join(" ");
            let is_usual = at == 0 && matches!(encoding, "base64" | "base64 that is not said");
            found.push(Wrapped {
                form: format!("{said} as {encoding}"),
                bytes: [OUTER.as_bytes(), content_type.as_bytes(), field.as_bytes(), b"\r\n", &body].concat(),
                openssl: is_usual.then_some("SMIME"),
            });
        }
    }
    // a message as it lies in a file: line feeds alone
    let text = String::from_utf8(transfer::encode_base64(structure)).expect("ASCII");
    let fields = format!("{}Content-Transfer-Encoding: base64\r\n\r\n", types(smime_type, suffix)[0]);
    let bytes = format!("{OUTER}{fields}{text}").replace("\r\n", "\n").into_bytes();
    found.push(Wrapped { form: "line feeds alone".to_owned(), bytes, openssl: Some("SMIME") });
    found
}

/// As the signature part of multipart/signed, beside content that is signed.
pub(super) fn clear_signed(content: &[u8], signature: &[u8], pairs: Pairs) -> Vec<Wrapped> {
    let said = [
        "protocol=\"application/pkcs7-signature\"; micalg=\"sha-256\"",
        "micalg=sha256; protocol=\"application/x-pkcs7-signature\"",
        "protocol=\"APPLICATION/PKCS7-SIGNATURE\"",
        "protocol=\"application/pkcs7-signature\"; micalg=sha1",
        "protocol=\"application/pkcs7-signature\"; micalg=\"sha-512, x-new\"",
        "micalg=x-unknown",
    ];
    let types = [
        "Content-Type: application/pkcs7-signature; name=smime.p7s\r\n",
        "Content-Type: application/x-pkcs7-signature\r\n",
        "Content-Type: application/octet-stream; name=\"SMIME.P7S\"\r\n",
        "Content-Type: application/octet-stream\r\nContent-Disposition: attachment; filename=smime.p7s\r\n",
    ];
    let encodings = encodings(signature);
    let mut found = Vec::new();
    for (at, parameters) in said.into_iter().enumerate() {
        for (nth, content_type) in types.into_iter().enumerate() {
            for (encoding, field, body) in &encodings {
                let differing = [at != 0, nth != 0, *encoding != "base64"].into_iter().filter(|is| *is).count();
                if pairs == Pairs::Some && differing > 1 {
                    continue;
                }
                let head = format!("{OUTER}Content-Type: multipart/signed; {parameters};\r\n boundary=\"=-=\"\r\n\r\n--=-=\r\n");
                let between = format!("\r\n--=-=\r\n{content_type}{field}\r\n");
                let bytes = [head.as_bytes(), content, between.as_bytes(), body, b"\r\n--=-=--\r\n"].concat();
                // OpenSSL wants both types as they ought to be, and base64
                let is_usual = at < 2 && nth < 2 && matches!(*encoding, "base64" | "base64 that is not said");
                found.push(Wrapped {
                    form: format!("{parameters} {} as {encoding}", content_type.trim_end()),
                    bytes,
                    openssl: is_usual.then_some("SMIME"),
                });
            }
        }
    }
    found
}

/// As a file beside the content: bare, or as the MIME part that a mail program saved.
pub(super) fn signature_files(signature: &[u8]) -> Vec<Wrapped> {
    let mut found = bare(signature);
    for (encoding, field, body) in encodings(signature) {
        let head = format!("Content-Type: application/pkcs7-signature; name=smime.p7s\r\n{field}\r\n");
        let bytes = [head.as_bytes(), &body].concat();
        found.push(Wrapped { form: format!("a MIME part in {encoding}"), bytes, openssl: None });
    }
    found
}

/// What stands in the first lines of each message.
pub(super) const OUTER: &str =
    "From: Alice <alice@example.com>\r\nTo: bob@example.org\r\nSubject: forms\r\nMIME-Version: 1.0\r\n";
