//! Certificate requests (PKCS#10, RFC 2986): proof that someone holds a key. What else they ask for decides nothing: it is what the
//! certificate has anyway, or the request is refused.

use crate::asn1::{Cursor, Oid, Tag, oid, pem};
use crate::ca::Error;
use crate::ca::RevocationReason;
use crate::ca::profile::signature_of;
use crate::ca::store::Issued;
use crate::crypto::algorithm::AlgorithmIdentifier;
use crate::crypto::key::PublicKey;
use crate::crypto::signature::{self, Input};
use crate::lint;
use crate::pki::{Certificate, Extension, GeneralName, Name, email};

/// A request whose signature was made by its own key.
#[derive(Debug, Clone)]
pub struct Request {
    key: PublicKey,
    subject: Name,
    extensions: Vec<Extension>,
    /// Attributes other than the extensions asked for.
    attributes: Vec<Oid>,
}

impl Request {
    /// Reads a request in PEM or DER and checks its signature.
    pub fn read(bytes: &[u8]) -> Result<Self, Error> {
        let refuse = |what: &str| Error::Refused(what.to_owned());
        let der = match pem::looks_like(bytes) {
            false => bytes.to_vec(),
            true => {
                let blocks = pem::parse_all(bytes).map_err(|error| refuse(&error.to_string()))?;
                let is_request = |block: &pem::Pem| block.label.ends_with("CERTIFICATE REQUEST");
                blocks.into_iter().find(is_request).ok_or_else(|| refuse("the file holds no certificate request"))?.der
            }
        };
        let mut whole = Cursor::new(&der).sequence()?;
        let info = whole.expect(Tag::SEQUENCE)?;
        let algorithm = signature_of(&AlgorithmIdentifier::from_cursor(&mut whole)?)?;
        let (_, signed) = whole.bit_string()?;
        whole.finish()?;
        let mut fields = info.cursor()?;
        fields.integer()?;
        let subject = Name::from_der(fields.expect(Tag::SEQUENCE)?.raw)?;
        let key = PublicKey::from_spki(fields.expect(Tag::SEQUENCE)?.raw)?;
        signature::verify(&key, algorithm, Input::Message(info.raw), &signed)
            .map_err(|_| refuse("the request is not signed with its own key"))?;
        let mut request = Self { key, subject, extensions: Vec::new(), attributes: Vec::new() };
        if let Some(attributes) = fields.explicit(0)? {
            request.read_attributes(attributes)?;
        }
        Ok(request)
    }

    /// `attributes [0] SET OF SEQUENCE { type OBJECT IDENTIFIER, values SET OF ANY }`; the tag of the SET is replaced.
    fn read_attributes(&mut self, mut attributes: Cursor<'_>) -> Result<(), Error> {
        while !attributes.is_empty() {
            let mut attribute = attributes.sequence()?;
            let kind = attribute.oid()?;
            let mut values = attribute.set()?;
            if kind != oid::EXTENSION_REQUEST && kind != MS_EXTENSION_REQUEST {
                self.attributes.push(kind);
                continue;
            }
            while !values.is_empty() {
                self.extensions.extend(Extension::list(&mut values)?);
            }
        }
        Ok(())
    }

    /// The key that its sender holds.
    pub fn key(&self) -> &PublicKey {
        &self.key
    }

    /// The name that it gives.
    pub fn subject(&self) -> &Name {
        &self.subject
    }

    /// The addresses that it asks for.
    pub fn addresses(&self) -> Vec<String> {
        let names = self.extensions.iter().find(|extension| extension.oid == oid::SUBJECT_ALT_NAME);
        let names = names.and_then(|extension| GeneralName::list(&extension.value).ok()).unwrap_or_default();
        let address = |name| match name {
            GeneralName::Rfc822(address) | GeneralName::SmtpUtf8(address) => Some(address),
            _ => None,
        };
        names.into_iter().filter_map(address).collect()
    }

    /// Refuses the request where it asks for something that the certificate would not have.
    pub(in crate::ca) fn check(&self, certificate: &Certificate) -> Result<(), Error> {
        let mut beyond = Vec::new();
        self.subject_beyond(certificate, &mut beyond);
        for extension in &self.extensions {
            if certificate.extension(&extension.oid).is_some_and(|issued| issued.value == extension.value) {
                continue;
            }
            extension_beyond(extension, certificate, &mut beyond);
        }
        let attributes = self.attributes.iter().filter(|kind| !DESCRIBING.contains(kind));
        beyond.extend(attributes.map(|kind| format!("the attribute {}", name(kind))));
        if beyond.is_empty() { Ok(()) } else { Err(Error::Beyond(beyond)) }
    }

    /// A subject may be empty, or say less than the certificate does; an address that the certificate has is nothing new.
    fn subject_beyond(&self, certificate: &Certificate, beyond: &mut Vec<String>) {
        let addresses = certificate.addresses();
        for asked in self.subject.attributes() {
            let one = Name::from_attributes(&[(asked.oid, &asked.value)]);
            let is_issued = |known: &crate::pki::Attribute| Name::from_attributes(&[(known.oid, &known.value)]).matches(&one);
            let is_address = [oid::EMAIL_ADDRESS, oid::COMMON_NAME].contains(&asked.oid) && email::find(&addresses, &asked.value);
            if !certificate.subject().attributes().any(is_issued) && !is_address {
                beyond.push(format!("the subject {one}"));
            }
        }
    }
}

/// Microsoft's number for the same (MS-WCCE 2.2.2.7.7).
const MS_EXTENSION_REQUEST: Oid = oid::MS_CERT_EXTENSIONS;

/// What `certreq` of Windows says of the machine that it runs on: it asks for nothing.
const DESCRIBING: [Oid; 3] = [oid::MS_OS_VERSION, oid::MS_ENROLLMENT_CSP, oid::MS_CLIENT_INFO];

fn name(oid: &Oid) -> String {
    oid::name(oid).map_or_else(|| oid.to_string(), str::to_owned)
}

/// What an extension asks for that the certificate would not have.
fn extension_beyond(asked: &Extension, certificate: &Certificate, beyond: &mut Vec<String>) {
    let whole = || format!("the extension {}", name(&asked.oid));
    match asked.oid {
        oid::SUBJECT_ALT_NAME => match GeneralName::list(&asked.value) {
            Ok(names) => {
                let addresses = certificate.addresses();
                let is_issued = |name: &GeneralName| match name {
                    GeneralName::Rfc822(address) | GeneralName::SmtpUtf8(address) => email::find(&addresses, address),
                    _ => false,
                };
                beyond.extend(names.iter().filter(|name| !is_issued(name)).map(|name| format!("the name {name}")));
            }
            Err(_) => beyond.push(whole()),
        },
        oid::KEY_USAGE => {
            let issued = certificate.extension(&oid::KEY_USAGE).map(|e| bits(&e.value)).unwrap_or_default();
            let more = bits(&asked.value).into_iter().filter(|bit| !issued.contains(bit));
            beyond.extend(more.map(|bit| format!("the key usage {}", lint::key_usage_name(bit))));
        }
        oid::EXTENDED_KEY_USAGE => match purposes(&asked.value) {
            Some(purposes) => {
                let issued = certificate.extended_key_usage().unwrap_or_default();
                let more = purposes.into_iter().filter(|purpose| !issued.contains(purpose));
                beyond.extend(more.map(|purpose| format!("the extended key usage {}", name(&purpose))));
            }
            None => beyond.push(whole()),
        },
        // whoever asks for no authority gets none
        oid::BASIC_CONSTRAINTS if asks_for_no_authority(&asked.value) => {}
        oid::BASIC_CONSTRAINTS => beyond.push("to be an authority (basicConstraints)".to_owned()),
        _ => beyond.push(whole()),
    }
}

/// Whether `BasicConstraints` is empty, or says FALSE and no more.
fn asks_for_no_authority(value: &[u8]) -> bool {
    let Ok(mut fields) = Cursor::new(value).sequence() else { return false };
    (fields.is_empty() || fields.boolean().is_ok_and(|is_ca| !is_ca)) && fields.is_empty()
}

/// The bits of a keyUsage.
fn bits(value: &[u8]) -> Vec<u8> {
    lint::key_usage_bits(value).unwrap_or_default()
}

fn purposes(value: &[u8]) -> Option<Vec<Oid>> {
    let mut list = Cursor::new(value).sequence().ok()?;
    let mut found = Vec::new();
    while !list.is_empty() {
        found.push(list.oid().ok()?);
    }
    Some(found)
}

/// Refuses a key that a certificate of this authority has: one of another person, and one that was compromised.
pub(in crate::ca) fn check_history(known: &Issued, addresses: &[String]) -> Result<(), Error> {
    let serial = known.certificate.serial_hex();
    if known.revoked.as_ref().is_some_and(|revoked| revoked.reason == RevocationReason::KeyCompromise) {
        return Err(Error::Refused(format!("the key was compromised: the certificate {serial} was revoked for that")));
    }
    let speaks = known.certificate.addresses();
    if !addresses.iter().any(|address| email::find(&speaks, address)) {
        let whose = if speaks.is_empty() { known.certificate.to_string() } else { speaks.join(", ") };
        return Err(Error::Refused(format!("the key is that of {whose}, who has the certificate {serial}")));
    }
    Ok(())
}
