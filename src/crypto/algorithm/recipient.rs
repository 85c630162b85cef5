//! How a recipient gets the content key: transport, agreement, wrap.

use crate::asn1::{Cursor, Oid, Tag, encode, oid};
use crate::crypto::Error;
use crate::crypto::algorithm::signature::mgf1_digest;
use crate::crypto::algorithm::{AlgorithmIdentifier, DigestAlgorithm, KeyAlgorithm};

use DigestAlgorithm as D;

/// RSA key transport.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KeyTransport {
    /// RSAES-PKCS1-v1_5 (RFC 8017 7.2).
    RsaPkcs1,
    /// RSAES-OAEP (RFC 8017 7.1, RFC 3560).
    RsaOaep {
        /// The digest of the label.
        digest: DigestAlgorithm,
        /// The digest of the mask.
        mgf_digest: DigestAlgorithm,
        /// The label; empty as a rule.
        label: Vec<u8>,
    },
}

impl KeyTransport {
    /// OAEP with one digest and no label.
    pub fn oaep(digest: DigestAlgorithm) -> Self {
        Self::RsaOaep { digest, mgf_digest: digest, label: Vec::new() }
    }

    /// The transport of an identifier.
    pub fn from_identifier(identifier: &AlgorithmIdentifier) -> Result<Self, Error> {
        match identifier.oid {
            oid::RSA_ENCRYPTION => Ok(Self::RsaPkcs1),
            oid::RSA_OAEP => oaep_from_parameters(identifier.real_parameters()),
            _ => Err(Error::Unsupported { what: "key transport", name: identifier.name() }),
        }
    }

    /// The identifier.
    pub fn identifier(&self) -> AlgorithmIdentifier {
        match self {
            Self::RsaPkcs1 => AlgorithmIdentifier::with_null(oid::RSA_ENCRYPTION),
            Self::RsaOaep { digest, mgf_digest, label } => {
                let mut fields = Vec::new();
                if *digest != D::Sha1 {
                    fields.push(encode::explicit(0, &digest.identifier_with_null().to_der()));
                }
                if *mgf_digest != D::Sha1 {
                    let mgf = AlgorithmIdentifier::with(oid::MGF1, mgf_digest.identifier_with_null().to_der());
                    fields.push(encode::explicit(1, &mgf.to_der()));
                }
                if !label.is_empty() {
                    let source = AlgorithmIdentifier::with(oid::P_SPECIFIED, encode::octet_string(label));
                    fields.push(encode::explicit(2, &source.to_der()));
                }
                AlgorithmIdentifier::with(oid::RSA_OAEP, encode::sequence(&fields))
            }
        }
    }

    /// The name, as `rsa-oaep-sha256`.
    pub fn name(&self) -> String {
        match self {
            Self::RsaPkcs1 => "rsa-pkcs1".to_owned(),
            Self::RsaOaep { digest, .. } => format!("rsa-oaep-{}", digest.name()),
        }
    }
}

/// `RSAES-OAEP-params ::= SEQUENCE { hash [0] DEFAULT sha1, mgf [1] DEFAULT mgf1SHA1, source [2] DEFAULT empty }`
fn oaep_from_parameters(parameters: Option<&[u8]>) -> Result<KeyTransport, Error> {
    let (mut digest, mut mgf_digest, mut label) = (D::Sha1, D::Sha1, Vec::new());
    if let Some(bytes) = parameters {
        let mut outer = Cursor::new(bytes);
        let mut fields = outer.sequence()?;
        outer.finish()?;
        if let Some(mut hash) = fields.explicit(0)? {
            digest = D::from_identifier(&AlgorithmIdentifier::from_cursor(&mut hash)?)?;
        }
        if let Some(mut mgf) = fields.explicit(1)? {
            mgf_digest = mgf1_digest(&AlgorithmIdentifier::from_cursor(&mut mgf)?)?;
        }
        if let Some(mut source) = fields.explicit(2)? {
            let source = AlgorithmIdentifier::from_cursor(&mut source)?;
            if source.oid != oid::P_SPECIFIED {
                return Err(Error::Unsupported { what: "OAEP label source", name: source.name() });
            }
            if let Some(bytes) = source.real_parameters() {
                label = Cursor::new(bytes).expect(Tag::OCTET_STRING)?.bytes()?.into_owned();
            }
        }
        fields.finish()?;
    }
    Ok(KeyTransport::RsaOaep { digest, mgf_digest, label })
}

/// A cipher that wraps keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[allow(missing_docs, reason = "each variant is the algorithm of its name")]
pub enum KeyWrap {
    Aes128,
    Aes192,
    Aes256,
    /// Triple DES (RFC 3217); read only.
    DesEde3,
    /// RC2 with keys of 128 bits (RFC 3217, RFC 3370 4.3.2); read only.
    Rc2,
}

const WRAPS: &[(KeyWrap, Oid, &str, usize)] = &[
    (KeyWrap::Aes128, oid::AES128_WRAP, "aes128-wrap", 16),
    (KeyWrap::Aes192, oid::AES192_WRAP, "aes192-wrap", 24),
    (KeyWrap::Aes256, oid::AES256_WRAP, "aes256-wrap", 32),
    (KeyWrap::DesEde3, oid::DES_EDE3_WRAP, "3des-wrap", 24),
    (KeyWrap::Rc2, oid::RC2_WRAP, "rc2-wrap", 16),
];

impl KeyWrap {
    fn row(self) -> &'static (Self, Oid, &'static str, usize) {
        WRAPS.iter().find(|row| row.0 == self).unwrap_or(&WRAPS[0])
    }

    /// The wrap of an identifier.
    pub fn from_identifier(identifier: &AlgorithmIdentifier) -> Result<Self, Error> {
        let found = WRAPS.iter().find(|row| row.1 == identifier.oid).map(|row| row.0);
        let wrap = found.ok_or_else(|| Error::Unsupported { what: "key wrap", name: identifier.name() })?;
        if wrap == Self::Rc2 {
            // RC2ParameterVersion ::= INTEGER, 58 for 128 bits
            let version = identifier.real_parameters().ok_or(Error::Malformed { what: "an RC2 key wrap without parameters" })?;
            let version = Cursor::new(version).small_unsigned()?;
            if version != 58 {
                return Err(Error::Unsupported { what: "RC2 version", name: version.to_string() });
            }
        }
        Ok(wrap)
    }

    /// The AES wrap whose key is as long as the key it carries.
    pub fn for_key_len(key_len: usize) -> Self {
        match key_len {
            0..=16 => Self::Aes128,
            17..=24 => Self::Aes192,
            _ => Self::Aes256,
        }
    }

    /// The identifier (RFC 3565 2.3.2: AES wraps have no parameters).
    pub fn identifier(self) -> AlgorithmIdentifier {
        match self {
            Self::DesEde3 => AlgorithmIdentifier::with_null(self.row().1),
            Self::Rc2 => AlgorithmIdentifier::with(self.row().1, encode::integer_u64(58)),
            _ => AlgorithmIdentifier::bare(self.row().1),
        }
    }

    /// The name, as `aes256-wrap`.
    pub fn name(self) -> &'static str {
        self.row().2
    }

    /// Bytes of key-encryption key.
    pub fn key_len(self) -> usize {
        self.row().3
    }
}

/// Which shared secret the agreement uses, and how a key is derived from it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Scheme {
    /// Standard ECDH and the derivation of X9.63.
    Standard,
    /// Cofactor ECDH and the derivation of X9.63; all curves here have cofactor 1, or build theirs in, so it is the same.
    Cofactor,
    /// Standard ECDH and HKDF (RFC 8418 2.2).
    Hkdf,
}

/// Ephemeral-static ECDH (RFC 5753, RFC 8418).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct KeyAgreement {
    /// Which shared secret.
    pub scheme: Scheme,
    /// The digest of the key derivation.
    pub kdf_digest: DigestAlgorithm,
    /// The wrap of the content key.
    pub wrap: KeyWrap,
}

const AGREEMENTS: &[(Scheme, D, Oid)] = &[
    (Scheme::Standard, D::Sha1, oid::ECDH_STD_SHA1),
    (Scheme::Standard, D::Sha224, oid::ECDH_STD_SHA224),
    (Scheme::Standard, D::Sha256, oid::ECDH_STD_SHA256),
    (Scheme::Standard, D::Sha384, oid::ECDH_STD_SHA384),
    (Scheme::Standard, D::Sha512, oid::ECDH_STD_SHA512),
    (Scheme::Cofactor, D::Sha1, oid::ECDH_COFACTOR_SHA1),
    (Scheme::Cofactor, D::Sha224, oid::ECDH_COFACTOR_SHA224),
    (Scheme::Cofactor, D::Sha256, oid::ECDH_COFACTOR_SHA256),
    (Scheme::Cofactor, D::Sha384, oid::ECDH_COFACTOR_SHA384),
    (Scheme::Cofactor, D::Sha512, oid::ECDH_COFACTOR_SHA512),
    (Scheme::Hkdf, D::Sha256, oid::ECDH_HKDF_SHA256),
    (Scheme::Hkdf, D::Sha384, oid::ECDH_HKDF_SHA384),
    (Scheme::Hkdf, D::Sha512, oid::ECDH_HKDF_SHA512),
];

impl KeyAgreement {
    /// The usual one for a key of this kind and a content key of so many bytes: a digest as strong as the curve (RFC 5753 7.1.1).
    pub fn usual(key: KeyAlgorithm, content_key_len: usize) -> Self {
        let kdf_digest = match key {
            KeyAlgorithm::P384 => D::Sha384,
            KeyAlgorithm::P521 => D::Sha512,
            _ => D::Sha256,
        };
        Self { scheme: Scheme::Standard, kdf_digest, wrap: KeyWrap::for_key_len(content_key_len) }
    }

    /// The agreement of an identifier; its parameters name the wrap.
    pub fn from_identifier(identifier: &AlgorithmIdentifier) -> Result<Self, Error> {
        let row = AGREEMENTS.iter().find(|row| row.2 == identifier.oid);
        let (scheme, kdf_digest, _) = row.ok_or_else(|| Error::Unsupported { what: "key agreement", name: identifier.name() })?;
        let wrap = identifier.real_parameters().ok_or(Error::Malformed { what: "a key agreement without key wrap" })?;
        let wrap = KeyWrap::from_identifier(&AlgorithmIdentifier::from_der(wrap)?)?;
        Ok(Self { scheme: *scheme, kdf_digest: *kdf_digest, wrap })
    }

    /// The identifier.
    pub fn identifier(&self) -> AlgorithmIdentifier {
        let row = AGREEMENTS.iter().find(|row| row.0 == self.scheme && row.1 == self.kdf_digest);
        AlgorithmIdentifier::with(row.map_or(oid::ECDH_STD_SHA256, |row| row.2), self.wrap.identifier().to_der())
    }

    /// The name, as `ecdh-std-sha256-aes256-wrap`.
    pub fn name(&self) -> String {
        let scheme = match self.scheme {
            Scheme::Standard => "std",
            Scheme::Cofactor => "cofactor",
            Scheme::Hkdf => "hkdf",
        };
        format!("ecdh-{scheme}-{}-{}", self.kdf_digest.name(), self.wrap.name())
    }
}
