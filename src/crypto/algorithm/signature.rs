//! Signature algorithms.

use crate::asn1::{Cursor, Oid, encode, oid};
use crate::crypto::Error;
use crate::crypto::algorithm::{AlgorithmIdentifier, DigestAlgorithm, KeyAlgorithm, MlDsa, SlhDsa, Strength};

/// A signature algorithm with everything that it needs to know.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum SignatureAlgorithm {
    /// RSASSA-PKCS1-v1_5 (RFC 8017 8.2).
    RsaPkcs1(DigestAlgorithm),
    /// RSASSA-PSS (RFC 8017 8.1, RFC 4056).
    RsaPss {
        /// The digest of the message.
        digest: DigestAlgorithm,
        /// The digest of the mask.
        mgf_digest: DigestAlgorithm,
        /// Bytes of salt.
        salt_len: usize,
    },
    /// ECDSA (RFC 5758).
    Ecdsa(DigestAlgorithm),
    /// Ed25519 (RFC 8419).
    Ed25519,
    /// Ed448 (RFC 8419).
    Ed448,
    /// DSA (RFC 3370 3.1, RFC 5758 3.1): checked, never made.
    Dsa(DigestAlgorithm),
    /// ML-DSA, the pure one, in no context (RFC 9882): checked, never made.
    MlDsa(MlDsa),
    /// SLH-DSA, the pure one, in no context (RFC 9814): checked, never made.
    SlhDsa(SlhDsa),
}

use DigestAlgorithm as D;

const RSA: &[(D, Oid)] = &[
    (D::Md5, oid::MD5_WITH_RSA),
    (D::Sha1, oid::SHA1_WITH_RSA),
    (D::Sha224, oid::SHA224_WITH_RSA),
    (D::Sha256, oid::SHA256_WITH_RSA),
    (D::Sha384, oid::SHA384_WITH_RSA),
    (D::Sha512, oid::SHA512_WITH_RSA),
    (D::Sha512_256, oid::SHA512_256_WITH_RSA),
    (D::Sha3_224, oid::SHA3_224_WITH_RSA),
    (D::Sha3_256, oid::SHA3_256_WITH_RSA),
    (D::Sha3_384, oid::SHA3_384_WITH_RSA),
    (D::Sha3_512, oid::SHA3_512_WITH_RSA),
];

const ECDSA: &[(D, Oid)] = &[
    (D::Sha1, oid::ECDSA_SHA1),
    (D::Sha224, oid::ECDSA_SHA224),
    (D::Sha256, oid::ECDSA_SHA256),
    (D::Sha384, oid::ECDSA_SHA384),
    (D::Sha512, oid::ECDSA_SHA512),
    (D::Sha3_224, oid::ECDSA_SHA3_224),
    (D::Sha3_256, oid::ECDSA_SHA3_256),
    (D::Sha3_384, oid::ECDSA_SHA3_384),
    (D::Sha3_512, oid::ECDSA_SHA3_512),
    (D::Shake128, oid::ECDSA_SHAKE128),
    (D::Shake256, oid::ECDSA_SHAKE256),
];

/// RSASSA-PSS whose mask is SHAKE itself (RFC 8702 3.2.1).
const PSS_SHAKE: &[(D, Oid)] = &[(D::Shake128, oid::RSA_PSS_SHAKE128), (D::Shake256, oid::RSA_PSS_SHAKE256)];

const DSA: &[(D, Oid)] = &[(D::Sha1, oid::SHA1_WITH_DSA), (D::Sha224, oid::SHA224_WITH_DSA), (D::Sha256, oid::SHA256_WITH_DSA)];

impl SignatureAlgorithm {
    /// The algorithm of an identifier. In a SignerInfo the identifier may name the key's kind only; then the digest comes from
    /// `digest` (RFC 3370 3.2, RFC 5753 2.1.1 as real programs write it).
    pub fn from_identifier(identifier: &AlgorithmIdentifier, digest: Option<DigestAlgorithm>) -> Result<Self, Error> {
        let oid = &identifier.oid;
        if let Some((digest, _)) = RSA.iter().find(|row| row.1 == *oid) {
            return Ok(Self::RsaPkcs1(*digest));
        }
        if let Some((digest, _)) = ECDSA.iter().find(|row| row.1 == *oid) {
            return Ok(Self::Ecdsa(*digest));
        }
        if let Some((digest, _)) = PSS_SHAKE.iter().find(|row| row.1 == *oid) {
            return Ok(Self::pss(*digest));
        }
        if let Some((digest, _)) = DSA.iter().find(|row| row.1 == *oid) {
            return Ok(Self::Dsa(*digest));
        }
        // RFC 9882 2, RFC 9814 3: there are no parameters; what some would mean is not known
        if identifier.real_parameters().is_none()
            && let Some(found) = MlDsa::from_oid(oid).map(Self::MlDsa).or_else(|| SlhDsa::from_oid(oid).map(Self::SlhDsa))
        {
            return Ok(found);
        }
        match (*oid, digest) {
            (oid::DSA, Some(digest)) => Ok(Self::Dsa(digest)),
            (oid::RSA_PSS, _) => pss_from_parameters(identifier.real_parameters()),
            (oid::ED25519, _) => Ok(Self::Ed25519),
            (oid::ED448, _) => Ok(Self::Ed448),
            (oid::RSA_ENCRYPTION, Some(digest)) => Ok(Self::RsaPkcs1(digest)),
            (oid::EC_PUBLIC_KEY, Some(digest)) => Ok(Self::Ecdsa(digest)),
            _ => Err(Error::Unsupported { what: "signature algorithm", name: identifier.name() }),
        }
    }

    /// The usual algorithm for a key and a digest.
    pub fn default_for(key: KeyAlgorithm, digest: DigestAlgorithm) -> Result<Self, Error> {
        match key {
            KeyAlgorithm::Rsa(_) => Ok(Self::RsaPkcs1(digest)),
            KeyAlgorithm::P256 | KeyAlgorithm::P384 | KeyAlgorithm::P521 => Ok(Self::Ecdsa(digest)),
            KeyAlgorithm::BrainpoolP256 | KeyAlgorithm::BrainpoolP384 => Ok(Self::Ecdsa(digest)),
            KeyAlgorithm::Ed25519 => Ok(Self::Ed25519),
            KeyAlgorithm::Ed448 => Ok(Self::Ed448),
            KeyAlgorithm::X25519 | KeyAlgorithm::X448 => Err(Error::KeyMismatch { what: "an X25519 or X448 key cannot sign" }),
            KeyAlgorithm::MlKem(_) => Err(Error::KeyMismatch { what: "an ML-KEM key cannot sign" }),
            KeyAlgorithm::Dsa(_) => Err(Error::Unsupported { what: "signing", name: "with DSA".to_owned() }),
            KeyAlgorithm::MlDsa(_) | KeyAlgorithm::SlhDsa(_) => {
                Err(Error::Unsupported { what: "signing", name: format!("with {key}, which is read only") })
            }
        }
    }

    /// RSASSA-PSS with one digest and a salt as long as it.
    pub fn pss(digest: DigestAlgorithm) -> Self {
        Self::RsaPss { digest, mgf_digest: digest, salt_len: digest.output_len() }
    }

    /// The identifier.
    pub fn identifier(&self) -> AlgorithmIdentifier {
        let of = |table: &[(D, Oid)], digest: D| table.iter().find(|row| row.0 == digest).map(|row| row.1);
        match *self {
            Self::RsaPkcs1(digest) => AlgorithmIdentifier::with_null(of(RSA, digest).unwrap_or(oid::SHA256_WITH_RSA)),
            Self::Ecdsa(digest) => AlgorithmIdentifier::bare(of(ECDSA, digest).unwrap_or(oid::ECDSA_SHA256)),
            Self::Ed25519 => AlgorithmIdentifier::bare(oid::ED25519),
            Self::Ed448 => AlgorithmIdentifier::bare(oid::ED448),
            Self::Dsa(digest) => AlgorithmIdentifier::bare(of(DSA, digest).unwrap_or(oid::SHA256_WITH_DSA)),
            Self::MlDsa(set) => AlgorithmIdentifier::bare(set.oid()),
            Self::SlhDsa(set) => AlgorithmIdentifier::bare(set.oid()),
            Self::RsaPss { digest: D::Shake128, .. } => AlgorithmIdentifier::bare(oid::RSA_PSS_SHAKE128),
            Self::RsaPss { digest: D::Shake256, .. } => AlgorithmIdentifier::bare(oid::RSA_PSS_SHAKE256),
            Self::RsaPss { digest, mgf_digest, salt_len } => {
                let mgf = AlgorithmIdentifier::with(oid::MGF1, mgf_digest.identifier_with_null().to_der());
                let parameters = encode::sequence(&[
                    encode::explicit(0, &digest.identifier_with_null().to_der()),
                    encode::explicit(1, &mgf.to_der()),
                    encode::explicit(2, &encode::integer_u64(u64::try_from(salt_len).unwrap_or(0))),
                ]);
                AlgorithmIdentifier::with(oid::RSA_PSS, parameters)
            }
        }
    }

    /// The name, as `rsa-pkcs1-sha256`.
    pub fn name(&self) -> String {
        match self {
            Self::RsaPkcs1(digest) => format!("rsa-pkcs1-{}", digest.name()),
            Self::RsaPss { digest, .. } => format!("rsa-pss-{}", digest.name()),
            Self::Ecdsa(digest) => format!("ecdsa-{}", digest.name()),
            Self::Ed25519 => "ed25519".to_owned(),
            Self::Ed448 => "ed448".to_owned(),
            Self::Dsa(digest) => format!("dsa-{}", digest.name()),
            Self::MlDsa(set) => set.name().to_owned(),
            Self::SlhDsa(set) => set.name().to_owned(),
        }
    }

    /// The digest of the message; in CMS that of Ed25519 is SHA-512, that of Ed448 64 bytes of SHAKE256 (RFC 8419 2.3). To post-quantum
    /// signatures SHA-512 is one of several that suit.
    pub fn digest(&self) -> DigestAlgorithm {
        match self {
            Self::RsaPkcs1(digest) | Self::RsaPss { digest, .. } | Self::Ecdsa(digest) | Self::Dsa(digest) => *digest,
            Self::Ed25519 | Self::MlDsa(_) | Self::SlhDsa(_) => DigestAlgorithm::Sha512,
            Self::Ed448 => DigestAlgorithm::Shake256,
        }
    }

    /// Whether it goes with a content that was hashed so: its own digest, or, where it has none, one that is as strong as it (RFC 9882 3.3).
    pub fn suits(&self, digest: DigestAlgorithm) -> bool {
        match self {
            Self::MlDsa(set) => digest.output_len() >= set.least_digest_len(),
            Self::SlhDsa(set) => digest.output_len() >= set.least_digest_len(),
            _ => self.digest() == digest,
        }
    }

    /// Whether it signs messages and never their digests (as PureEdDSA does): without signed attributes, the content itself.
    pub fn signs_messages(&self) -> bool {
        matches!(self, Self::Ed25519 | Self::Ed448 | Self::MlDsa(_) | Self::SlhDsa(_))
    }

    /// How far it may be relied on.
    pub fn strength(&self) -> Strength {
        match self {
            // FIPS 186-5 took it out: nobody makes such signatures any more
            Self::Dsa(_) => Strength::Weak,
            _ => self.digest().strength(),
        }
    }
}

/// `RSASSA-PSS-params ::= SEQUENCE { hash [0] DEFAULT sha1, mgf [1] DEFAULT mgf1SHA1, salt [2] DEFAULT 20, trailer [3] DEFAULT 1 }`
pub(in crate::crypto) fn pss_from_parameters(parameters: Option<&[u8]>) -> Result<SignatureAlgorithm, Error> {
    let (mut digest, mut mgf_digest, mut salt_len) = (D::Sha1, D::Sha1, 20);
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
        if let Some(mut salt) = fields.explicit(2)? {
            salt_len = usize::try_from(salt.small_unsigned()?).unwrap_or(usize::MAX);
        }
        if let Some(mut trailer) = fields.explicit(3)?
            && trailer.small_unsigned()? != 1
        {
            return Err(Error::Unsupported { what: "PSS trailer", name: "other than 1".to_owned() });
        }
        fields.finish()?;
    }
    // RFC 8702 3.2.1 gives SHAKE identifiers without parameters
    if [digest, mgf_digest].iter().any(|digest| matches!(digest, D::Shake128 | D::Shake256)) {
        return Err(Error::Unsupported { what: "PSS digest", name: "SHAKE as a parameter".to_owned() });
    }
    // OpenSSL fills the modulus with salt by default (222 bytes at RSA-2048); no key is longer than 16384 bits
    if salt_len > 2048 {
        return Err(Error::Unsupported { what: "PSS salt length", name: salt_len.to_string() });
    }
    Ok(SignatureAlgorithm::RsaPss { digest, mgf_digest, salt_len })
}

/// The digest of an MGF1 identifier.
pub(in crate::crypto) fn mgf1_digest(mgf: &AlgorithmIdentifier) -> Result<DigestAlgorithm, Error> {
    if mgf.oid != oid::MGF1 {
        return Err(Error::Unsupported { what: "mask generation", name: mgf.name() });
    }
    match mgf.real_parameters() {
        Some(bytes) => D::from_identifier(&AlgorithmIdentifier::from_der(bytes)?),
        None => Ok(D::Sha1),
    }
}
