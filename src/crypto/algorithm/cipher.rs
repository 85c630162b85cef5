//! Content ciphers and their parameters.

use crate::asn1::{Cursor, Oid, encode, oid};
use crate::crypto::Error;
use crate::crypto::algorithm::{AlgorithmIdentifier, Strength};
use crate::crypto::random::Random;

/// A cipher for content.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[allow(missing_docs, reason = "each variant is the algorithm of its name")]
pub enum ContentCipher {
    Aes128Cbc,
    Aes192Cbc,
    Aes256Cbc,
    Aes128Gcm,
    Aes192Gcm,
    Aes256Gcm,
    /// Counter with CBC-MAC; read only, for it needs the length of the content before it.
    Aes128Ccm,
    Aes192Ccm,
    Aes256Ccm,
    ChaCha20Poly1305,
    DesEde3Cbc,
    DesCbc,
    /// RC2 with so many effective bits.
    Rc2Cbc {
        effective_bits: u32,
    },
}

use ContentCipher as C;

/// Cipher, identifier, name, key bytes, IV bytes.
const TABLE: &[(C, Oid, &str, usize, usize)] = &[
    (C::Aes128Cbc, oid::AES128_CBC, "aes-128-cbc", 16, 16),
    (C::Aes192Cbc, oid::AES192_CBC, "aes-192-cbc", 24, 16),
    (C::Aes256Cbc, oid::AES256_CBC, "aes-256-cbc", 32, 16),
    (C::Aes128Gcm, oid::AES128_GCM, "aes-128-gcm", 16, 12),
    (C::Aes192Gcm, oid::AES192_GCM, "aes-192-gcm", 24, 12),
    (C::Aes256Gcm, oid::AES256_GCM, "aes-256-gcm", 32, 12),
    (C::Aes128Ccm, oid::AES128_CCM, "aes-128-ccm", 16, 12),
    (C::Aes192Ccm, oid::AES192_CCM, "aes-192-ccm", 24, 12),
    (C::Aes256Ccm, oid::AES256_CCM, "aes-256-ccm", 32, 12),
    (C::ChaCha20Poly1305, oid::CHACHA20_POLY1305, "chacha20-poly1305", 32, 12),
    (C::DesEde3Cbc, oid::DES_EDE3_CBC, "3des-cbc", 24, 8),
    (C::DesCbc, oid::DES_CBC, "des-cbc", 8, 8),
];

impl ContentCipher {
    fn row(self) -> Option<&'static (Self, Oid, &'static str, usize, usize)> {
        TABLE.iter().find(|row| row.0 == self)
    }

    /// The cipher called so, as `aes-256-gcm`.
    pub fn from_name(name: &str) -> Option<Self> {
        TABLE.iter().find(|row| row.2 == name).map(|row| row.0)
    }

    /// The cipher of an object identifier (RC2 needs its parameters: see [`CipherParameters`]).
    pub fn from_oid(oid: &Oid) -> Option<Self> {
        TABLE.iter().find(|row| row.1 == *oid).map(|row| row.0)
    }

    /// The object identifier.
    pub fn oid(self) -> Oid {
        self.row().map_or(oid::RC2_CBC, |row| row.1)
    }

    /// The name, as `aes-256-gcm`.
    pub fn name(self) -> String {
        match self {
            Self::Rc2Cbc { effective_bits } => format!("rc2-{effective_bits}-cbc"),
            _ => self.row().map_or_else(String::new, |row| row.2.to_owned()),
        }
    }

    /// Bytes of key.
    pub fn key_len(self) -> usize {
        match self {
            Self::Rc2Cbc { effective_bits } => usize::try_from(effective_bits / 8).unwrap_or(16),
            _ => self.row().map_or(16, |row| row.3),
        }
    }

    /// Bytes of initialization vector or nonce.
    pub fn iv_len(self) -> usize {
        self.row().map_or(8, |row| row.4)
    }

    /// Whether a tag proves that the ciphertext is whole.
    pub fn is_authenticated(self) -> bool {
        self.is_gcm() || self.is_ccm() || self == Self::ChaCha20Poly1305
    }

    fn is_gcm(self) -> bool {
        matches!(self, Self::Aes128Gcm | Self::Aes192Gcm | Self::Aes256Gcm)
    }

    fn is_ccm(self) -> bool {
        matches!(self, Self::Aes128Ccm | Self::Aes192Ccm | Self::Aes256Ccm)
    }

    /// How far it may be relied on.
    pub fn strength(self) -> Strength {
        match self {
            Self::DesEde3Cbc => Strength::Weak,
            Self::DesCbc | Self::Rc2Cbc { .. } => Strength::Weak,
            _ => Strength::Good,
        }
    }
}

/// A cipher with its initialization vector and the length of its tag.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CipherParameters {
    /// The cipher.
    pub cipher: ContentCipher,
    /// The initialization vector or nonce.
    pub iv: Vec<u8>,
    /// Bytes of tag; 0 where the cipher has none.
    pub tag_len: usize,
}

impl CipherParameters {
    /// Fresh parameters.
    pub fn generate(cipher: ContentCipher, random: &mut dyn Random) -> Self {
        let mut iv = vec![0; cipher.iv_len()];
        random.fill(&mut iv);
        Self { cipher, iv, tag_len: if cipher.is_authenticated() { 16 } else { 0 } }
    }

    /// Reads the identifier of a content cipher. Tags of 12 to 16 bytes are read (RFC 5084: 12 is the default).
    pub fn from_identifier(identifier: &AlgorithmIdentifier) -> Result<Self, Error> {
        let unsupported = || Error::Unsupported { what: "content cipher", name: identifier.name() };
        let parameters = identifier.real_parameters().ok_or(Error::Malformed { what: "a content cipher without parameters" })?;
        let mut outer = Cursor::new(parameters);
        if identifier.oid == oid::RC2_CBC {
            return rc2(outer);
        }
        let cipher = ContentCipher::from_oid(&identifier.oid).ok_or_else(unsupported)?;
        let (iv, tag_len) = match cipher {
            // GCMParameters and CCMParameters are the same: SEQUENCE { nonce, ICVlen DEFAULT 12 }
            _ if cipher.is_gcm() || cipher.is_ccm() => {
                let mut fields = outer.sequence()?;
                let nonce = fields.octet_string()?.into_owned();
                let tag_len = if fields.is_empty() { 12 } else { fields.small_unsigned()? };
                fields.finish()?;
                (nonce, usize::try_from(tag_len).unwrap_or(usize::MAX))
            }
            C::ChaCha20Poly1305 => (outer.octet_string()?.into_owned(), 16),
            _ => (outer.octet_string()?.into_owned(), 0),
        };
        outer.finish()?;
        // SP 800-38C knows only even ones
        let odd = cipher.is_ccm() && tag_len % 2 == 1;
        if cipher.is_authenticated() && (odd || !(12..=16).contains(&tag_len)) {
            return Err(Error::Unsupported { what: "tag length", name: format!("{tag_len} bytes") });
        }
        let iv_fits = match cipher {
            // RFC 5084 recommends 12; other lengths are legal and hashed
            _ if cipher.is_gcm() => (1..=128).contains(&iv.len()),
            _ if cipher.is_ccm() => (7..=13).contains(&iv.len()),
            _ => iv.len() == cipher.iv_len(),
        };
        if !iv_fits {
            return Err(Error::Malformed { what: "an initialization vector of the wrong length" });
        }
        Ok(Self { cipher, iv, tag_len })
    }

    /// The identifier.
    pub fn identifier(&self) -> AlgorithmIdentifier {
        let iv = encode::octet_string(&self.iv);
        let parameters = match self.cipher {
            _ if self.cipher.is_gcm() || self.cipher.is_ccm() => {
                encode::sequence(&[iv, encode::integer_u64(u64::try_from(self.tag_len).unwrap_or(16))])
            }
            C::Rc2Cbc { effective_bits } => {
                let version = RC2_VERSIONS.iter().find(|row| row.1 == effective_bits).map_or(58, |row| row.0);
                encode::sequence(&[encode::integer_u64(version), iv])
            }
            _ => iv,
        };
        AlgorithmIdentifier::with(self.cipher.oid(), parameters)
    }
}

/// The odd numbers that RFC 2268 section 6 writes for effective bits.
const RC2_VERSIONS: &[(u64, u32)] = &[(160, 40), (120, 64), (58, 128)];

fn rc2(mut outer: Cursor<'_>) -> Result<CipherParameters, Error> {
    let mut fields = outer.sequence()?;
    let version = fields.small_unsigned()?;
    let iv = fields.octet_string()?.into_owned();
    fields.finish()?;
    let effective_bits = RC2_VERSIONS.iter().find(|row| row.0 == version).map(|row| row.1);
    let effective_bits = effective_bits.ok_or_else(|| Error::Unsupported { what: "RC2 version", name: version.to_string() })?;
    if iv.len() != 8 {
        return Err(Error::Malformed { what: "an initialization vector of the wrong length" });
    }
    Ok(CipherParameters { cipher: C::Rc2Cbc { effective_bits }, iv, tag_len: 0 })
}
