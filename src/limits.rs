//! Every bound on hostile input, with its reason.
//!
//! Uses: nothing. Holds always: a bound that is reached is an error that names the bound; nothing is cut silently.

use std::fmt;

/// The bounds that reading a message, a certificate or a protocol line spends from.
///
/// The defaults admit every message that real clients make; change a field to tighten or widen one bound.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Limits {
    /// Nesting of MIME multiparts and attached messages. 100: far over real mail (forwards of forwards reach 20), far under any stack.
    pub mime_depth: usize,
    /// MIME entities in one message. 10 000: a digest of a busy list has hundreds.
    pub mime_parts: usize,
    /// Bytes of one header section. 1 MiB: postfix refuses at 100 KiB, Exchange at 256 KiB.
    pub header_bytes: usize,
    /// Bytes of all header sections of one message, together. 64 MiB: what is told of each part is held.
    pub all_header_bytes: usize,
    /// Fields of one header section. 5 000: long relay paths have some hundreds.
    pub header_fields: usize,
    /// Bytes of one message. 64 GiB: messages stream, and no file system of mail holds larger ones.
    pub message_bytes: u64,
    /// Bytes of all contents held in memory at once, where signatures are over the content itself (EdDSA without attributes). 32 MiB: the
    /// content of the largest messages that mail servers take; who signs large files so has attributes.
    pub held_bytes: usize,
    /// S/MIME layers around one another. 10: triple wrapping is 3, gateways on both sides make 6.
    pub smime_layers: usize,
    /// Nesting of BER elements. 64: CMS inside a certificate inside CMS stays under 30; constructed strings may add some.
    pub ber_depth: usize,
    /// Bytes of one ASN.1 value that must be held whole (a certificate, an attribute). 8 MiB: a large CRL.
    pub ber_value_bytes: usize,
    /// Bytes of the certificates, revocation lists, signers and recipients of one structure, together. 64 MiB: they are held; 5 000
    /// recipients take 3 MiB, the largest revocation lists some MiB each.
    pub structure_bytes: usize,
    /// Signers of one SignedData; and countersigners, time-stamps, and certificates that signers may want to be written to, of one message. 64:
    /// each costs a public-key operation and a chain.
    pub signers: usize,
    /// Recipients of one EnvelopedData. 5 000: a large distribution list.
    pub recipients: usize,
    /// Recipients of one message that are tried with our keys. 64: each costs a private-key operation; a password counts for
    /// 16, since its derivation may take seconds.
    pub recipient_trials: usize,
    /// Passes over one message. 256: one for each recipient that is tried, in each of some layers, and some for what layers ask for.
    pub passes: usize,
    /// Bytes that passes over one message read after the first four, together. 16 GiB: four are what an odd message needs (a digest
    /// that nobody announced, content that is held, attributes behind the content); more are trials of keys, which cost a large
    /// message minutes and not days.
    pub reread_bytes: u64,
    /// Bytes that the layers of one message take in all passes over it, beyond [`layer_ratio`](Self::layer_ratio): each is counted when it is
    /// decompressed, decrypted (eight times under DES and RC2), or signed content, and once more for each digest of it. 512 MiB: some
    /// seconds, with the slowest digests.
    pub layer_bytes: u64,
    /// How many of these bytes a message may take for each that it has itself. 1 000: three layers of two digests take 10, a trial of 64 keys
    /// 64, and a signed file that was compressed to a hundredth 300 in each pass.
    pub layer_ratio: u64,
    /// Addresses in the certificates of all signers of one message. 10 000: a certificate has 1 to some dozens; each is told and compared
    /// for every signer.
    pub signer_addresses: usize,
    /// Certificates that one signer's identifier names. 16: each costs a public-key operation; renewals with the same key are few.
    pub signer_certificates: usize,
    /// Certificates in one message. 256.
    pub certificates: usize,
    /// Bytes of one CMS attribute set. 1 MiB.
    pub attribute_bytes: usize,
    /// Attributes of one CMS attribute set and their values, together. 512: signers write 4 to 15, archives some dozens of time-stamps.
    pub attributes: usize,
    /// Length of a certification path. 16: Go and OpenSSL allow far more, real chains have 2 to 5.
    pub path_length: usize,
    /// Signature checks in one path building. 200: Go's limit of 100 after CVE-2018-16875 refuses some bridges.
    pub path_signature_checks: usize,
    /// Comparisons of a name with a name constraint in one path. 250 000: the bound of Go and webpki; real paths need some hundreds.
    pub name_checks: usize,
    /// Keys, certificates and other things in one key file. 512: each may cost the arithmetic of a curve, and is compared with the others;
    /// a trust store of Java holds some 150.
    pub key_file_entries: usize,
    /// Names of certificate policies, mappings and qualifiers that are looked at in one path. 50 000: real paths have some dozens, and the
    /// longest ones of test suites some hundreds.
    pub policy_checks: usize,
    /// Bytes of reasons that are kept of the paths to an anchor that were tried in vain. 256 KiB: a path has some hundred bytes of them.
    pub rejection_bytes: usize,
    /// Distribution points of one certificate, and the names of each and of one issuing distribution point. 64: certificates have 1 to
    /// 4; every name of one is compared with every name of the other.
    pub distribution_points: usize,
    /// What is tried to learn whether the certificates of one question are revoked, together: signatures of lists and of OCSP
    /// responses, and paths of those who signed them. 500: a bridge of 6 authorities with lists in shards needs some dozens.
    pub revocation_checks: usize,
    /// How far the certificates of those who sign lists and responses are themselves asked about. 4: an indirect list by an issuer
    /// whose own list is indirect is 2.
    pub revocation_depth: usize,
    /// What one judgement of a certificate says that it lacks. 64: a path of 4 certificates, each with a responder and lists in 10 places.
    pub wanted: usize,
    /// How often a command asks for what is still lacking after what it got. 12: the issuers of a path of 5 one after another, then for each
    /// certificate a responder that fails, lists in some places, and what changed since.
    pub fetch_rounds: usize,
    /// URLs that one command asks, those that it is sent on to among them. 32: what a path of 5 needs, with half of them in vain.
    pub fetched_urls: usize,
    /// URLs of issuers' certificates that one command asks. 8: whoever made a message or a certificate chose them freely; real paths lack 1
    /// to 3.
    pub fetched_issuer_urls: usize,
    /// How often one URL may send on to another. 3: from a name to a mirror, and from there to a file.
    pub fetch_redirects: usize,
    /// Bytes of one revocation list that is fetched. 32 MiB: 200 000 entries take 8; the largest public ones some 30.
    pub fetched_list_bytes: usize,
    /// Bytes of one OCSP response that is fetched. 256 KiB: 2 with elliptic curves, some 40 with post-quantum signatures and certificates.
    pub fetched_response_bytes: usize,
    /// Bytes of one file of issuers' certificates that is fetched. 256 KiB: a bundle of a dozen, with post-quantum signatures.
    pub fetched_issuer_bytes: usize,
    /// Bytes that one command fetches. 128 MiB: some of the largest lists.
    pub fetched_bytes: usize,
    /// Certificates that are taken from one file of issuers. 16: cross certificates of one authority are some.
    pub fetched_issuers: usize,
    /// Bytes of the header section of one HTTP answer. 32 KiB: servers give some hundred; what programs accept is 8 to 64 KiB.
    pub http_header_bytes: usize,
    /// Bytes that the home's cache may take. 256 MiB: dozens of large lists; the oldest go first.
    pub cache_bytes: u64,
    /// Bytes of the revocation lists of one issuer that are taken from the home's cache at once. 40 MiB: one of the largest, and what
    /// changed since; all 16 that are looked at could be 512 MiB.
    pub cached_list_bytes: u64,
    /// Files that the home's cache may hold. 4 096: each is looked at when the cache is tidied.
    pub cache_files: usize,
    /// Certificates that one OCSP response tells about. 1 000: responders give 1, those that answer in bulk some hundreds.
    pub ocsp_answers: usize,
    /// Certificates that one OCSP request asks about. 32: clients ask about 1, those that check a chain about 3; each is looked up.
    pub ocsp_questions: usize,
    /// Rounds that the keys derived from passphrases take for one key file or one message, together; each block of a digest takes all of
    /// its key's, a round of SHA-384 and SHA-512 counts twice, one of SHA-3 three times, and scrypt takes 2·N·r·p. 12 000 000: some
    /// seconds; 600 000 for each of twenty keys, or one of ten million.
    pub kdf_iterations: u64,
    /// Bytes of memory that one key derivation may take. 256 MiB: `openssl pkcs8 -scrypt` takes 16 MiB, OWASP's figure for scrypt (N = 2^17,
    /// r = 8) is 128 MiB.
    pub kdf_memory_bytes: u64,
    /// Bytes that decompression may give, of one layer and of all layers of a message. 16 GiB: what is given streams to disk; messages of
    /// some GiB are compressed, too.
    pub decompressed_bytes: u64,
    /// Bytes that decompression may give before its ratio is looked at. 8 MiB: what is small harms nobody, and short content may well be all
    /// blanks.
    pub decompression_free_bytes: u64,
    /// How many bytes decompression may give for each that it took, and all layers of a message for each byte of it. 200: text gives 3
    /// to 10, tables and logs up to 100; zlib can reach 1 032, which only long runs of one byte come near to.
    pub decompression_ratio: u64,
    /// Entries that one search in a directory may give. 64: one person has one or some few.
    pub directory_entries: usize,
    /// Bytes that a directory may send for one search. 4 MiB: a certificate takes 2 KiB, an entry with a photograph some dozens.
    pub directory_bytes: usize,
    /// What all judgements of one command's question try together, those in which what was fetched is asked again, too: a judgement is one,
    /// and each signature of a certificate, a list or a response is one more. 10 000: 64 certificates of one authority take some 2 500 when
    /// their lists are fetched; some seconds with the slowest keys.
    pub question_checks: usize,
    /// Certificates for one address that are taken from directories. 64: each costs some chains.
    pub directory_certificates: usize,
    /// Bytes of one Sieve script. 1 MiB: Pigeonhole's bound; people write some KiB, programs that make scripts some dozens.
    pub sieve_script_bytes: usize,
    /// Nesting of blocks, and of tests in tests, of one Sieve script. 32: what people write stays under 8.
    pub sieve_nesting: usize,
    /// Actions of one run of a Sieve script. 32: each stores or sends the message once; Pigeonhole's bound.
    pub sieve_actions: usize,
    /// Addresses that one run of a Sieve script sends the message on to. 4: each makes a message of ours; Pigeonhole's bound.
    pub sieve_redirects: usize,
    /// Steps that one run of a Sieve script may take, of a byte or a comparison each. 50 000 000: half a second; a hundred searches of a
    /// body of 100 KiB take a fifth of it.
    pub sieve_steps: u64,
    /// Variables of one run of a Sieve script. 255: RFC 5229 6 asks for 128.
    pub sieve_variables: usize,
    /// Bytes of one variable of a Sieve script. 4 096: RFC 5229 6 asks for 4 000; what is longer is cut, as it says.
    pub sieve_variable_bytes: usize,
    /// Flags of one message that a Sieve script sets. 64: each is kept with the message.
    pub sieve_flags: usize,
    /// Bytes of text that a `body` test looks at, after decoding. 8 MiB: the text of nearly every message; what is longer is not looked at.
    pub sieve_body_bytes: usize,
    /// Bytes of one packet of a milter. 64 MiB: a scanner may give a whole new body; sendmail's own library takes 1 MiB, and 16 MiB once asked.
    pub milter_packet_bytes: usize,
    /// Changes that one milter may ask for. 1 000: scanners make some dozens.
    pub milter_changes: usize,
    /// Bytes of all changes that one milter may ask for. 128 MiB: a body anew, whatever its pieces.
    pub milter_change_bytes: usize,
    /// Bytes of one message that a server holds in memory while it comes in; what is larger goes to a private file. 256 KiB: most mail is
    /// smaller, and 2 000 connections that are all in the middle of one take 512 MiB.
    pub coming_bytes: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            mime_depth: 100,
            mime_parts: 10_000,
            header_bytes: 1 << 20,
            all_header_bytes: 64 << 20,
            header_fields: 5_000,
            message_bytes: 64 << 30,
            held_bytes: 32 << 20,
            smime_layers: 10,
            ber_depth: 64,
            ber_value_bytes: 8 << 20,
            structure_bytes: 64 << 20,
            signers: 64,
            recipients: 5_000,
            recipient_trials: 64,
            passes: 256,
            reread_bytes: 16 << 30,
            layer_bytes: 512 << 20,
            layer_ratio: 1_000,
            signer_addresses: 10_000,
            signer_certificates: 16,
            certificates: 256,
            attribute_bytes: 1 << 20,
            attributes: 512,
            path_length: 16,
            path_signature_checks: 200,
            name_checks: 250_000,
            key_file_entries: 512,
            policy_checks: 50_000,
            rejection_bytes: 256 << 10,
            distribution_points: 64,
            revocation_checks: 500,
            revocation_depth: 4,
            wanted: 64,
            fetch_rounds: 12,
            fetched_urls: 32,
            fetched_issuer_urls: 8,
            fetch_redirects: 3,
            fetched_list_bytes: 32 << 20,
            fetched_response_bytes: 256 << 10,
            fetched_issuer_bytes: 256 << 10,
            fetched_bytes: 128 << 20,
            fetched_issuers: 16,
            http_header_bytes: 32 << 10,
            cache_bytes: 256 << 20,
            cached_list_bytes: 40 << 20,
            cache_files: 4_096,
            ocsp_answers: 1_000,
            ocsp_questions: 32,
            kdf_iterations: 12_000_000,
            kdf_memory_bytes: 256 << 20,
            decompressed_bytes: 16 << 30,
            decompression_free_bytes: 8 << 20,
            decompression_ratio: 200,
            directory_entries: 64,
            directory_bytes: 4 << 20,
            question_checks: 10_000,
            directory_certificates: 64,
            sieve_script_bytes: 1 << 20,
            sieve_nesting: 32,
            sieve_actions: 32,
            sieve_redirects: 4,
            sieve_steps: 50_000_000,
            sieve_variables: 255,
            sieve_variable_bytes: 4_096,
            sieve_flags: 64,
            sieve_body_bytes: 8 << 20,
            milter_packet_bytes: 64 << 20,
            milter_changes: 1_000,
            milter_change_bytes: 128 << 20,
            coming_bytes: 256 << 10,
        }
    }
}

/// A bound of [`Limits`] that the input reached.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LimitReached {
    /// The name of the bound: the field of [`Limits`], with blanks.
    pub name: &'static str,
    /// Its value.
    pub limit: u64,
}

impl fmt::Display for LimitReached {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "limit reached: {} – at most {}", self.name, self.limit)
    }
}

impl std::error::Error for LimitReached {}

/// What is left of one bound; every unit of work is spent from it.
///
/// ```
/// use sealpost::limits::Budget;
/// let mut parts = Budget::new("mime parts", 2);
/// assert!(parts.spend(2).is_ok());
/// assert_eq!(parts.spend(1).unwrap_err().to_string(), "limit reached: mime parts – at most 2");
/// ```
#[derive(Debug, Clone)]
pub struct Budget {
    name: &'static str,
    limit: u64,
    left: u64,
}

impl Budget {
    /// Makes a budget of `limit` units for the bound called `name`.
    pub fn new(name: &'static str, limit: impl TryInto<u64>) -> Self {
        let limit = limit.try_into().unwrap_or(u64::MAX);
        Self { name, limit, left: limit }
    }

    /// What was taken so far.
    pub fn spent(&self) -> u64 {
        self.limit.saturating_sub(self.left)
    }

    /// Whether nothing is left.
    pub fn is_spent(&self) -> bool {
        self.left == 0
    }

    /// Takes `units`, or says which bound was reached.
    pub fn spend(&mut self, units: impl TryInto<u64>) -> Result<(), LimitReached> {
        let units = units.try_into().unwrap_or(u64::MAX);
        match self.left.checked_sub(units) {
            Some(left) => {
                self.left = left;
                Ok(())
            }
            None => {
                self.left = 0;
                Err(LimitReached { name: self.name, limit: self.limit })
            }
        }
    }
}
