//! The object identifiers of mail security, each with its name.

use crate::asn1::Oid;

/// The name of an object identifier, where this table has it.
pub fn name(oid: &Oid) -> Option<&'static str> {
    let place = KNOWN.iter().position(|known| known == oid)?;
    NAMES.lines().nth(place)
}

macro_rules! table {
    ($($constant:ident = $dotted:literal, $name:literal;)*) => {
        $(
            #[doc = concat!("`", $dotted, "`: ", $name, ".")]
            pub const $constant: Oid = Oid::new($dotted);
        )*
        const KNOWN: &[Oid] = &[$($constant),*];
        /// Their names, a line each: without references, which every process would have to adjust when it starts.
        const NAMES: &str = concat!($($name, "\n"),*);
    };
}

table! {
    // content types (RFC 5652, 5083, 3274, 3161)
    ID_DATA = "1.2.840.113549.1.7.1", "data";
    ID_SIGNED_DATA = "1.2.840.113549.1.7.2", "signedData";
    ID_ENVELOPED_DATA = "1.2.840.113549.1.7.3", "envelopedData";
    ID_DIGESTED_DATA = "1.2.840.113549.1.7.5", "digestedData";
    ID_ENCRYPTED_DATA = "1.2.840.113549.1.7.6", "encryptedData";
    ID_AUTHENTICATED_DATA = "1.2.840.113549.1.9.16.1.2", "authenticatedData";
    ID_TST_INFO = "1.2.840.113549.1.9.16.1.4", "tstInfo";
    ID_CONTENT_INFO = "1.2.840.113549.1.9.16.1.6", "contentInfo";
    ID_COMPRESSED_DATA = "1.2.840.113549.1.9.16.1.9", "compressedData";
    ID_AUTH_ENVELOPED_DATA = "1.2.840.113549.1.9.16.1.23", "authEnvelopedData";
    ID_RECEIPT = "1.2.840.113549.1.9.16.1.1", "receipt";
    // attributes (RFC 5652, 8551, 5035, 6211, 2634)
    EMAIL_ADDRESS = "1.2.840.113549.1.9.1", "emailAddress";
    CONTENT_TYPE = "1.2.840.113549.1.9.3", "contentType";
    MESSAGE_DIGEST = "1.2.840.113549.1.9.4", "messageDigest";
    SIGNING_TIME = "1.2.840.113549.1.9.5", "signingTime";
    COUNTER_SIGNATURE = "1.2.840.113549.1.9.6", "countersignature";
    UNSTRUCTURED_NAME = "1.2.840.113549.1.9.2", "unstructuredName";
    CHALLENGE_PASSWORD = "1.2.840.113549.1.9.7", "challengePassword";
    MS_CERT_EXTENSIONS = "1.3.6.1.4.1.311.2.1.14", "microsoftCertExtensions";
    MS_OS_VERSION = "1.3.6.1.4.1.311.13.2.3", "microsoftOsVersion";
    MS_ENROLLMENT_CSP = "1.3.6.1.4.1.311.13.2.2", "microsoftEnrollmentCspProvider";
    MS_CLIENT_INFO = "1.3.6.1.4.1.311.21.20", "microsoftClientInfo";
    EXTENSION_REQUEST = "1.2.840.113549.1.9.14", "extensionRequest";
    SMIME_CAPABILITIES = "1.2.840.113549.1.9.15", "smimeCapabilities";
    PREFER_SIGNED_DATA = "1.2.840.113549.1.9.15.1", "preferSignedData";
    FRIENDLY_NAME = "1.2.840.113549.1.9.20", "friendlyName";
    LOCAL_KEY_ID = "1.2.840.113549.1.9.21", "localKeyId";
    CMS_ALGORITHM_PROTECTION = "1.2.840.113549.1.9.52", "cmsAlgorithmProtection";
    RECEIPT_REQUEST = "1.2.840.113549.1.9.16.2.1", "receiptRequest";
    SECURITY_LABEL = "1.2.840.113549.1.9.16.2.2", "securityLabel";
    ML_EXPANSION_HISTORY = "1.2.840.113549.1.9.16.2.3", "mlExpansionHistory";
    CONTENT_HINTS = "1.2.840.113549.1.9.16.2.4", "contentHints";
    ENCRYPTION_KEY_PREFERENCE = "1.2.840.113549.1.9.16.2.11", "encryptionKeyPreference";
    SIGNING_CERTIFICATE = "1.2.840.113549.1.9.16.2.12", "signingCertificate";
    TIME_STAMP_TOKEN = "1.2.840.113549.1.9.16.2.14", "timeStampToken";
    SIGNING_CERTIFICATE_V2 = "1.2.840.113549.1.9.16.2.47", "signingCertificateV2";
    MS_ENCRYPTION_KEY_PREFERENCE = "1.3.6.1.4.1.311.16.4", "microsoftEncryptionKeyPreference";
    CONTENT_IDENTIFIER = "1.2.840.113549.1.9.16.2.7", "contentIdentifier";
    MSG_SIG_DIGEST = "1.2.840.113549.1.9.16.2.5", "msgSigDigest";
    EQUIVALENT_LABELS = "1.2.840.113549.1.9.16.2.9", "equivalentLabels";
    CONTENT_REFERENCE = "1.2.840.113549.1.9.16.2.10", "contentReference";
    // other recipients (RFC 9629) and other revocation data (RFC 5940)
    ORI_KEM = "1.2.840.113549.1.9.16.13.3", "kemRecipient";
    RI_OCSP_RESPONSE = "1.3.6.1.5.5.7.16.2", "ocspResponse";
    RI_SCVP = "1.3.6.1.5.5.7.16.4", "scvp";
    // digests
    MD2 = "1.2.840.113549.2.2", "md2";
    MD4 = "1.2.840.113549.2.4", "md4";
    MD5 = "1.2.840.113549.2.5", "md5";
    SHA1 = "1.3.14.3.2.26", "sha1";
    SHA224 = "2.16.840.1.101.3.4.2.4", "sha224";
    SHA256 = "2.16.840.1.101.3.4.2.1", "sha256";
    SHA384 = "2.16.840.1.101.3.4.2.2", "sha384";
    SHA512 = "2.16.840.1.101.3.4.2.3", "sha512";
    SHA512_224 = "2.16.840.1.101.3.4.2.5", "sha512-224";
    SHA512_256 = "2.16.840.1.101.3.4.2.6", "sha512-256";
    SHA3_224 = "2.16.840.1.101.3.4.2.7", "sha3-224";
    SHA3_256 = "2.16.840.1.101.3.4.2.8", "sha3-256";
    SHA3_384 = "2.16.840.1.101.3.4.2.9", "sha3-384";
    SHA3_512 = "2.16.840.1.101.3.4.2.10", "sha3-512";
    SHAKE128 = "2.16.840.1.101.3.4.2.11", "shake128";
    SHAKE256 = "2.16.840.1.101.3.4.2.12", "shake256";
    SHAKE128_LEN = "2.16.840.1.101.3.4.2.17", "shake128-len";
    SHAKE256_LEN = "2.16.840.1.101.3.4.2.18", "shake256-len";
    // message authentication
    HMAC_MD5 = "1.2.840.113549.2.6", "hmacWithMD5";
    HMAC_SHA1 = "1.2.840.113549.2.7", "hmacWithSHA1";
    HMAC_SHA224 = "1.2.840.113549.2.8", "hmacWithSHA224";
    HMAC_SHA256 = "1.2.840.113549.2.9", "hmacWithSHA256";
    HMAC_SHA384 = "1.2.840.113549.2.10", "hmacWithSHA384";
    HMAC_SHA512 = "1.2.840.113549.2.11", "hmacWithSHA512";
    HMAC_SHA512_224 = "1.2.840.113549.2.12", "hmacWithSHA512-224";
    HMAC_SHA512_256 = "1.2.840.113549.2.13", "hmacWithSHA512-256";
    HMAC_SHA3_224 = "2.16.840.1.101.3.4.2.13", "hmacWithSHA3-224";
    HMAC_SHA3_256 = "2.16.840.1.101.3.4.2.14", "hmacWithSHA3-256";
    HMAC_SHA3_384 = "2.16.840.1.101.3.4.2.15", "hmacWithSHA3-384";
    HMAC_SHA3_512 = "2.16.840.1.101.3.4.2.16", "hmacWithSHA3-512";
    // RSA (RFC 8017)
    RSA_ENCRYPTION = "1.2.840.113549.1.1.1", "rsaEncryption";
    MD5_WITH_RSA = "1.2.840.113549.1.1.4", "md5WithRSAEncryption";
    SHA1_WITH_RSA = "1.2.840.113549.1.1.5", "sha1WithRSAEncryption";
    RSA_OAEP = "1.2.840.113549.1.1.7", "rsaOaep";
    MGF1 = "1.2.840.113549.1.1.8", "mgf1";
    P_SPECIFIED = "1.2.840.113549.1.1.9", "pSpecified";
    RSA_PSS = "1.2.840.113549.1.1.10", "rsaPss";
    SHA256_WITH_RSA = "1.2.840.113549.1.1.11", "sha256WithRSAEncryption";
    SHA384_WITH_RSA = "1.2.840.113549.1.1.12", "sha384WithRSAEncryption";
    SHA512_WITH_RSA = "1.2.840.113549.1.1.13", "sha512WithRSAEncryption";
    SHA224_WITH_RSA = "1.2.840.113549.1.1.14", "sha224WithRSAEncryption";
    SHA512_256_WITH_RSA = "1.2.840.113549.1.1.16", "sha512-256WithRSAEncryption";
    SHA3_224_WITH_RSA = "2.16.840.1.101.3.4.3.13", "sha3-224WithRSAEncryption";
    SHA3_256_WITH_RSA = "2.16.840.1.101.3.4.3.14", "sha3-256WithRSAEncryption";
    SHA3_384_WITH_RSA = "2.16.840.1.101.3.4.3.15", "sha3-384WithRSAEncryption";
    SHA3_512_WITH_RSA = "2.16.840.1.101.3.4.3.16", "sha3-512WithRSAEncryption";
    RSA_PSS_SHAKE128 = "1.3.6.1.5.5.7.6.30", "rsaPss-shake128";
    RSA_PSS_SHAKE256 = "1.3.6.1.5.5.7.6.31", "rsaPss-shake256";
    DSA = "1.2.840.10040.4.1", "dsa";
    SHA1_WITH_DSA = "1.2.840.10040.4.3", "sha1WithDSA";
    SHA224_WITH_DSA = "2.16.840.1.101.3.4.3.1", "sha224WithDSA";
    SHA256_WITH_DSA = "2.16.840.1.101.3.4.3.2", "sha256WithDSA";
    // elliptic curves (RFC 5480, 5753, 8410)
    EC_PUBLIC_KEY = "1.2.840.10045.2.1", "ecPublicKey";
    P256 = "1.2.840.10045.3.1.7", "p256";
    P384 = "1.3.132.0.34", "p384";
    P521 = "1.3.132.0.35", "p521";
    BRAINPOOL_P256R1 = "1.3.36.3.3.2.8.1.1.7", "brainpoolP256r1";
    BRAINPOOL_P384R1 = "1.3.36.3.3.2.8.1.1.11", "brainpoolP384r1";
    ECDSA_SHA1 = "1.2.840.10045.4.1", "ecdsaWithSHA1";
    ECDSA_SHA224 = "1.2.840.10045.4.3.1", "ecdsaWithSHA224";
    ECDSA_SHA256 = "1.2.840.10045.4.3.2", "ecdsaWithSHA256";
    ECDSA_SHA384 = "1.2.840.10045.4.3.3", "ecdsaWithSHA384";
    ECDSA_SHA512 = "1.2.840.10045.4.3.4", "ecdsaWithSHA512";
    ECDSA_SHA3_224 = "2.16.840.1.101.3.4.3.9", "ecdsaWithSHA3-224";
    ECDSA_SHA3_256 = "2.16.840.1.101.3.4.3.10", "ecdsaWithSHA3-256";
    ECDSA_SHA3_384 = "2.16.840.1.101.3.4.3.11", "ecdsaWithSHA3-384";
    ECDSA_SHA3_512 = "2.16.840.1.101.3.4.3.12", "ecdsaWithSHA3-512";
    ECDSA_SHAKE128 = "1.3.6.1.5.5.7.6.32", "ecdsaWithSHAKE128";
    ECDSA_SHAKE256 = "1.3.6.1.5.5.7.6.33", "ecdsaWithSHAKE256";
    X25519 = "1.3.101.110", "x25519";
    X448 = "1.3.101.111", "x448";
    ED25519 = "1.3.101.112", "ed25519";
    ED448 = "1.3.101.113", "ed448";
    ECDH_STD_SHA1 = "1.3.133.16.840.63.0.2", "dhSinglePass-stdDH-sha1kdf";
    ECDH_STD_SHA224 = "1.3.132.1.11.0", "dhSinglePass-stdDH-sha224kdf";
    ECDH_STD_SHA256 = "1.3.132.1.11.1", "dhSinglePass-stdDH-sha256kdf";
    ECDH_STD_SHA384 = "1.3.132.1.11.2", "dhSinglePass-stdDH-sha384kdf";
    ECDH_STD_SHA512 = "1.3.132.1.11.3", "dhSinglePass-stdDH-sha512kdf";
    ECDH_COFACTOR_SHA1 = "1.3.133.16.840.63.0.3", "dhSinglePass-cofactorDH-sha1kdf";
    ECDH_COFACTOR_SHA224 = "1.3.132.1.14.0", "dhSinglePass-cofactorDH-sha224kdf";
    ECDH_COFACTOR_SHA256 = "1.3.132.1.14.1", "dhSinglePass-cofactorDH-sha256kdf";
    ECDH_COFACTOR_SHA384 = "1.3.132.1.14.2", "dhSinglePass-cofactorDH-sha384kdf";
    ECDH_COFACTOR_SHA512 = "1.3.132.1.14.3", "dhSinglePass-cofactorDH-sha512kdf";
    ECDH_HKDF_SHA256 = "1.2.840.113549.1.9.16.3.19", "dhSinglePass-stdDH-hkdf-sha256";
    ECDH_HKDF_SHA384 = "1.2.840.113549.1.9.16.3.20", "dhSinglePass-stdDH-hkdf-sha384";
    ECDH_HKDF_SHA512 = "1.2.840.113549.1.9.16.3.21", "dhSinglePass-stdDH-hkdf-sha512";
    // post-quantum (RFC 9881, 9882, 9909, 9814, 9935, 9936) and the derivation of keys that are encapsulated (RFC 8619)
    ML_DSA_44 = "2.16.840.1.101.3.4.3.17", "ml-dsa-44";
    ML_DSA_65 = "2.16.840.1.101.3.4.3.18", "ml-dsa-65";
    ML_DSA_87 = "2.16.840.1.101.3.4.3.19", "ml-dsa-87";
    SLH_DSA_SHA2_128S = "2.16.840.1.101.3.4.3.20", "slh-dsa-sha2-128s";
    SLH_DSA_SHA2_128F = "2.16.840.1.101.3.4.3.21", "slh-dsa-sha2-128f";
    SLH_DSA_SHA2_192S = "2.16.840.1.101.3.4.3.22", "slh-dsa-sha2-192s";
    SLH_DSA_SHA2_192F = "2.16.840.1.101.3.4.3.23", "slh-dsa-sha2-192f";
    SLH_DSA_SHA2_256S = "2.16.840.1.101.3.4.3.24", "slh-dsa-sha2-256s";
    SLH_DSA_SHA2_256F = "2.16.840.1.101.3.4.3.25", "slh-dsa-sha2-256f";
    SLH_DSA_SHAKE_128S = "2.16.840.1.101.3.4.3.26", "slh-dsa-shake-128s";
    SLH_DSA_SHAKE_128F = "2.16.840.1.101.3.4.3.27", "slh-dsa-shake-128f";
    SLH_DSA_SHAKE_192S = "2.16.840.1.101.3.4.3.28", "slh-dsa-shake-192s";
    SLH_DSA_SHAKE_192F = "2.16.840.1.101.3.4.3.29", "slh-dsa-shake-192f";
    SLH_DSA_SHAKE_256S = "2.16.840.1.101.3.4.3.30", "slh-dsa-shake-256s";
    SLH_DSA_SHAKE_256F = "2.16.840.1.101.3.4.3.31", "slh-dsa-shake-256f";
    ML_KEM_512 = "2.16.840.1.101.3.4.4.1", "ml-kem-512";
    ML_KEM_768 = "2.16.840.1.101.3.4.4.2", "ml-kem-768";
    ML_KEM_1024 = "2.16.840.1.101.3.4.4.3", "ml-kem-1024";
    HKDF_SHA256 = "1.2.840.113549.1.9.16.3.28", "hkdf-sha256";
    HKDF_SHA384 = "1.2.840.113549.1.9.16.3.29", "hkdf-sha384";
    HKDF_SHA512 = "1.2.840.113549.1.9.16.3.30", "hkdf-sha512";
    // key wrap and password recipients
    DES_EDE3_WRAP = "1.2.840.113549.1.9.16.3.6", "3des-wrap";
    RC2_WRAP = "1.2.840.113549.1.9.16.3.7", "rc2-wrap";
    PWRI_KEK = "1.2.840.113549.1.9.16.3.9", "pwri-kek";
    AES128_WRAP = "2.16.840.1.101.3.4.1.5", "aes128-wrap";
    AES192_WRAP = "2.16.840.1.101.3.4.1.25", "aes192-wrap";
    AES256_WRAP = "2.16.840.1.101.3.4.1.45", "aes256-wrap";
    // ciphers
    AES128_CBC = "2.16.840.1.101.3.4.1.2", "aes128-cbc";
    AES192_CBC = "2.16.840.1.101.3.4.1.22", "aes192-cbc";
    AES256_CBC = "2.16.840.1.101.3.4.1.42", "aes256-cbc";
    AES128_GCM = "2.16.840.1.101.3.4.1.6", "aes128-gcm";
    AES192_GCM = "2.16.840.1.101.3.4.1.26", "aes192-gcm";
    AES256_GCM = "2.16.840.1.101.3.4.1.46", "aes256-gcm";
    AES128_CCM = "2.16.840.1.101.3.4.1.7", "aes128-ccm";
    AES192_CCM = "2.16.840.1.101.3.4.1.27", "aes192-ccm";
    AES256_CCM = "2.16.840.1.101.3.4.1.47", "aes256-ccm";
    CHACHA20_POLY1305 = "1.2.840.113549.1.9.16.3.18", "chacha20-poly1305";
    DES_CBC = "1.3.14.3.2.7", "des-cbc";
    DES_EDE3_CBC = "1.2.840.113549.3.7", "des-ede3-cbc";
    RC2_CBC = "1.2.840.113549.3.2", "rc2-cbc";
    // known by name only, so that a refusal says what it is
    CAMELLIA128_CBC = "1.2.392.200011.61.1.1.1.2", "camellia-128-cbc";
    CAMELLIA192_CBC = "1.2.392.200011.61.1.1.1.3", "camellia-192-cbc";
    CAMELLIA256_CBC = "1.2.392.200011.61.1.1.1.4", "camellia-256-cbc";
    ZLIB_COMPRESS = "1.2.840.113549.1.9.16.3.8", "zlib";
    // passwords (RFC 8018, 7292, 9579)
    PBKDF2 = "1.2.840.113549.1.5.12", "pbkdf2";
    PBES2 = "1.2.840.113549.1.5.13", "pbes2";
    PBMAC1 = "1.2.840.113549.1.5.14", "pbmac1";
    PBE_MD5_DES = "1.2.840.113549.1.5.3", "pbeWithMD5AndDES-CBC";
    PBE_SHA1_DES = "1.2.840.113549.1.5.10", "pbeWithSHA1AndDES-CBC";
    PBE_MD5_RC2 = "1.2.840.113549.1.5.6", "pbeWithMD5AndRC2-CBC";
    PBE_SHA1_RC2 = "1.2.840.113549.1.5.11", "pbeWithSHA1AndRC2-CBC";
    SCRYPT = "1.3.6.1.4.1.11591.4.11", "scrypt";
    PKCS12_RC4_128 = "1.2.840.113549.1.12.1.1", "pbeWithSHAAnd128BitRC4";
    PKCS12_RC4_40 = "1.2.840.113549.1.12.1.2", "pbeWithSHAAnd40BitRC4";
    PKCS12_DES_EDE3 = "1.2.840.113549.1.12.1.3", "pbeWithSHAAnd3-KeyTripleDES-CBC";
    PKCS12_DES_EDE2 = "1.2.840.113549.1.12.1.4", "pbeWithSHAAnd2-KeyTripleDES-CBC";
    PKCS12_RC2_128 = "1.2.840.113549.1.12.1.5", "pbeWithSHAAnd128BitRC2-CBC";
    PKCS12_RC2_40 = "1.2.840.113549.1.12.1.6", "pbeWithSHAAnd40BitRC2-CBC";
    // PKCS#12 bags
    KEY_BAG = "1.2.840.113549.1.12.10.1.1", "keyBag";
    SHROUDED_KEY_BAG = "1.2.840.113549.1.12.10.1.2", "pkcs8ShroudedKeyBag";
    CERT_BAG = "1.2.840.113549.1.12.10.1.3", "certBag";
    CRL_BAG = "1.2.840.113549.1.12.10.1.4", "crlBag";
    SECRET_BAG = "1.2.840.113549.1.12.10.1.5", "secretBag";
    SAFE_CONTENTS_BAG = "1.2.840.113549.1.12.10.1.6", "safeContentsBag";
    MS_KEY_PROVIDER = "1.3.6.1.4.1.311.17.1", "microsoftKeyProvider";
    X509_CERTIFICATE = "1.2.840.113549.1.9.22.1", "x509Certificate";
    // certificate extensions (RFC 5280, 4262, 3739; ISO 17442-2)
    SUBJECT_DIRECTORY_ATTRIBUTES = "2.5.29.9", "subjectDirectoryAttributes";
    QC_STATEMENTS = "1.3.6.1.5.5.7.1.3", "qcStatements";
    LEI = "1.3.6.1.4.1.52266.1", "lei";
    LEI_ROLE = "1.3.6.1.4.1.52266.2", "leiRole";
    ADOBE_TIME_STAMP = "1.2.840.113583.1.1.9.1", "adobeTimeStamp";
    ADOBE_ARCHIVE_REV_INFO = "1.2.840.113583.1.1.9.2", "adobeArchiveRevInfo";
    SUBJECT_KEY_IDENTIFIER = "2.5.29.14", "subjectKeyIdentifier";
    KEY_USAGE = "2.5.29.15", "keyUsage";
    SUBJECT_ALT_NAME = "2.5.29.17", "subjectAltName";
    ISSUER_ALT_NAME = "2.5.29.18", "issuerAltName";
    BASIC_CONSTRAINTS = "2.5.29.19", "basicConstraints";
    CRL_NUMBER = "2.5.29.20", "cRLNumber";
    CRL_REASON = "2.5.29.21", "cRLReason";
    INVALIDITY_DATE = "2.5.29.24", "invalidityDate";
    DELTA_CRL_INDICATOR = "2.5.29.27", "deltaCRLIndicator";
    ISSUING_DISTRIBUTION_POINT = "2.5.29.28", "issuingDistributionPoint";
    CERTIFICATE_ISSUER = "2.5.29.29", "certificateIssuer";
    NAME_CONSTRAINTS = "2.5.29.30", "nameConstraints";
    CRL_DISTRIBUTION_POINTS = "2.5.29.31", "cRLDistributionPoints";
    CERTIFICATE_POLICIES = "2.5.29.32", "certificatePolicies";
    ANY_POLICY = "2.5.29.32.0", "anyPolicy";
    ID_QT_CPS = "1.3.6.1.5.5.7.2.1", "cps";
    ID_QT_UNOTICE = "1.3.6.1.5.5.7.2.2", "unotice";
    POLICY_MAPPINGS = "2.5.29.33", "policyMappings";
    AUTHORITY_KEY_IDENTIFIER = "2.5.29.35", "authorityKeyIdentifier";
    POLICY_CONSTRAINTS = "2.5.29.36", "policyConstraints";
    EXTENDED_KEY_USAGE = "2.5.29.37", "extKeyUsage";
    ANY_EXTENDED_KEY_USAGE = "2.5.29.37.0", "anyExtendedKeyUsage";
    FRESHEST_CRL = "2.5.29.46", "freshestCRL";
    INHIBIT_ANY_POLICY = "2.5.29.54", "inhibitAnyPolicy";
    AUTHORITY_INFO_ACCESS = "1.3.6.1.5.5.7.1.1", "authorityInfoAccess";
    AD_OCSP = "1.3.6.1.5.5.7.48.1", "ocsp";
    AD_CA_ISSUERS = "1.3.6.1.5.5.7.48.2", "caIssuers";
    OCSP_BASIC = "1.3.6.1.5.5.7.48.1.1", "ocspBasic";
    OCSP_NONCE = "1.3.6.1.5.5.7.48.1.2", "ocspNonce";
    OCSP_NO_CHECK = "1.3.6.1.5.5.7.48.1.5", "ocspNoCheck";
    SMTP_UTF8_MAILBOX = "1.3.6.1.5.5.7.8.9", "smtpUTF8Mailbox";
    // policies of the CA/Browser Forum (S/MIME BR 7.1.6.1, TLS BR 7.1.6.1)
    SMIME_MAILBOX_LEGACY = "2.23.140.1.5.1.1", "mailboxValidatedLegacy";
    SMIME_MAILBOX_MULTIPURPOSE = "2.23.140.1.5.1.2", "mailboxValidatedMultipurpose";
    SMIME_MAILBOX_STRICT = "2.23.140.1.5.1.3", "mailboxValidatedStrict";
    SMIME_ORGANIZATION_LEGACY = "2.23.140.1.5.2.1", "organizationValidatedLegacy";
    SMIME_ORGANIZATION_MULTIPURPOSE = "2.23.140.1.5.2.2", "organizationValidatedMultipurpose";
    SMIME_ORGANIZATION_STRICT = "2.23.140.1.5.2.3", "organizationValidatedStrict";
    SMIME_SPONSOR_LEGACY = "2.23.140.1.5.3.1", "sponsorValidatedLegacy";
    SMIME_SPONSOR_MULTIPURPOSE = "2.23.140.1.5.3.2", "sponsorValidatedMultipurpose";
    SMIME_SPONSOR_STRICT = "2.23.140.1.5.3.3", "sponsorValidatedStrict";
    SMIME_INDIVIDUAL_LEGACY = "2.23.140.1.5.4.1", "individualValidatedLegacy";
    SMIME_INDIVIDUAL_MULTIPURPOSE = "2.23.140.1.5.4.2", "individualValidatedMultipurpose";
    SMIME_INDIVIDUAL_STRICT = "2.23.140.1.5.4.3", "individualValidatedStrict";
    TLS_DOMAIN = "2.23.140.1.2.1", "domainValidated";
    TLS_ORGANIZATION = "2.23.140.1.2.2", "organizationValidated";
    TLS_INDIVIDUAL = "2.23.140.1.2.3", "individualValidated";
    TLS_EXTENDED = "2.23.140.1.1", "extendedValidation";
    // extended key usages
    SERVER_AUTH = "1.3.6.1.5.5.7.3.1", "serverAuth";
    CLIENT_AUTH = "1.3.6.1.5.5.7.3.2", "clientAuth";
    CODE_SIGNING = "1.3.6.1.5.5.7.3.3", "codeSigning";
    EMAIL_PROTECTION = "1.3.6.1.5.5.7.3.4", "emailProtection";
    TIME_STAMPING = "1.3.6.1.5.5.7.3.8", "timeStamping";
    OCSP_SIGNING = "1.3.6.1.5.5.7.3.9", "OCSPSigning";
    // name attributes
    COMMON_NAME = "2.5.4.3", "CN";
    SURNAME = "2.5.4.4", "SN";
    SERIAL_NUMBER = "2.5.4.5", "serialNumber";
    COUNTRY = "2.5.4.6", "C";
    LOCALITY = "2.5.4.7", "L";
    STATE = "2.5.4.8", "ST";
    STREET = "2.5.4.9", "street";
    ORGANIZATION = "2.5.4.10", "O";
    ORGANIZATIONAL_UNIT = "2.5.4.11", "OU";
    TITLE = "2.5.4.12", "title";
    POSTAL_CODE = "2.5.4.17", "postalCode";
    GIVEN_NAME = "2.5.4.42", "GN";
    PSEUDONYM = "2.5.4.65", "pseudonym";
    ORGANIZATION_IDENTIFIER = "2.5.4.97", "organizationIdentifier";
    DOMAIN_COMPONENT = "0.9.2342.19200300.100.1.25", "DC";
    USER_ID = "0.9.2342.19200300.100.1.1", "UID";
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_identifier_has_its_own_name() {
        assert_eq!(NAMES.lines().count(), KNOWN.len());
        assert_eq!(name(&ID_DATA), Some("data"), "the first");
        assert_eq!(name(&SHA256), Some("sha256"));
        assert_eq!(name(&USER_ID), Some("UID"), "the last");
        assert_eq!(name(&Oid::new("1.2.3")), None);
    }
}
