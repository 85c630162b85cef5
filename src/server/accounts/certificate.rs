//! Client certificates: whom one names, where our own judgement trusts it.
//!
//! TLS asks for a certificate and takes any, or none: mail programs show what they have, and are not turned away for it. Whether it opens
//! a mailbox (AUTH EXTERNAL) is judged after the handshake, as a certificate that signs mail, with what is known of revocation.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, UnixTime};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::{DigitallySignedStruct, DistinguishedName, SignatureScheme};

use crate::limits::Limits;
use crate::pki::{self, Certificate, ChainStatus, Judgement, Purpose, Revocation, TrustAnchors};
use crate::time::Timestamp;

/// The authority whose certificates open mailboxes.
#[derive(Debug)]
pub(in crate::server) struct ClientAuthority {
    anchors: TrustAnchors,
    /// Certificates that may stand between.
    pool: Vec<Certificate>,
    /// Where its revocation lists lie.
    lists: Option<PathBuf>,
    limits: Limits,
}

/// Bytes of the chain that a client shows; TLS would take 16 MiB.
const CHAIN: usize = 64 << 10;

impl ClientAuthority {
    /// The authority of this file: its first certificate that issued itself is trusted, and others stand between. `lists` is a file of
    /// revocation lists, or a folder of them.
    pub(in crate::server) fn open(authority: &Path, lists: Option<&Path>) -> Result<Self, String> {
        let bytes = std::fs::read(authority).map_err(|error| format!("{} cannot be read – {error}", authority.display()))?;
        let all =
            pki::load::certificates(&bytes).map_err(|error| format!("{} holds no certificate – {error}", authority.display()))?;
        let (own, pool): (Vec<_>, Vec<_>) = all.into_iter().partition(Certificate::is_self_issued);
        if own.is_empty() {
            return Err(format!("{} holds no root – export it with: sealpost ca export root", authority.display()));
        }
        Ok(Self { anchors: own.into_iter().collect(), pool, lists: lists.map(Path::to_owned), limits: Limits::default() })
    }

    /// The mail address in a chain that a client proved to own, where it is trusted at this moment.
    pub(in crate::server) fn address(&self, chain: &[Vec<u8>], at: Timestamp) -> Option<String> {
        if chain.iter().map(Vec::len).sum::<usize>() > CHAIN {
            return None;
        }
        let mut shown = chain.iter().filter_map(|der| Certificate::from_der(der).ok());
        let leaf = shown.next()?;
        let pool: Vec<Certificate> = shown.chain(self.pool.iter().cloned()).collect();
        let judge = |crls: &[pki::Crl], revocation| {
            let (anchors, limits) = (&self.anchors, &self.limits);
            let question = Judgement {
                leaf: &leaf,
                pool: &pool,
                anchors,
                crls,
                ocsp: &[],
                purpose: Purpose::MailSign,
                at,
                revocation,
                limits,
            };
            pki::judge(&question).status == ChainStatus::Trusted
        };
        // lists are read for those alone who would be let in without them
        if !judge(&[], Revocation::Off) {
            return None;
        }
        let is_good = match &self.lists {
            None => true,
            // what is configured and cannot be read opens nothing
            Some(path) => judge(&lists(path)?, Revocation::Hard),
        };
        match leaf.addresses().as_slice() {
            [address] if is_good => Some(address.to_lowercase()),
            _ => None,
        }
    }
}

/// The lists of a file, or of all files of a folder whose names end as lists' do.
fn lists(path: &Path) -> Option<Vec<pki::Crl>> {
    let files: Vec<PathBuf> = if path.is_dir() {
        let entries = std::fs::read_dir(path).ok()?.filter_map(|entry| Some(entry.ok()?.path()));
        entries.filter(|path| path.extension().is_some_and(|end| end == "crl" || end == "pem")).collect()
    } else {
        vec![path.to_owned()]
    };
    let mut found = Vec::new();
    for file in files {
        found.extend(pki::load::crls(std::fs::read(file).ok()?).ok()?);
    }
    Some(found)
}

/// Asks for a certificate, and takes every one whose key the client has.
#[derive(Debug)]
pub(in crate::server) struct AnyCertificate {
    provider: Arc<CryptoProvider>,
    hints: Vec<DistinguishedName>,
}

impl AnyCertificate {
    /// Names the authority to clients, so that they choose the right certificate.
    pub(in crate::server) fn new(provider: Arc<CryptoProvider>, authority: &ClientAuthority) -> Self {
        let all = authority.anchors.iter().chain(&authority.pool);
        Self { provider, hints: all.map(|ca| DistinguishedName::from(ca.subject().der().to_vec())).collect() }
    }
}

impl ClientCertVerifier for AnyCertificate {
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &self.hints
    }

    fn client_auth_mandatory(&self) -> bool {
        false
    }

    fn verify_client_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _now: UnixTime,
    ) -> Result<ClientCertVerified, rustls::Error> {
        Ok(ClientCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<rustls::client::danger::HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, certificate, signature, &self.provider.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<rustls::client::danger::HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, certificate, signature, &self.provider.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cast(name: &str) -> PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("certs").join(name)
    }

    fn chain(names: &[&str]) -> Vec<Vec<u8>> {
        let read = |name: &&str| pki::load::certificates(&std::fs::read(cast(name)).expect("read")).expect("certificates");
        names.iter().flat_map(read).map(|certificate| certificate.der().to_vec()).collect()
    }

    fn june() -> Timestamp {
        Timestamp::from_unix(1_780_000_000)
    }

    #[test]
    fn a_certificate_of_the_authority_names_its_user_while_it_is_good() {
        let authority = ClientAuthority::open(&cast("root.pem"), None).expect("a root");
        assert_eq!(authority.address(&chain(&["alice.pem", "issuing.pem"]), june()).as_deref(), Some("alice@example.com"));
        assert_eq!(authority.address(&chain(&["alice.pem"]), june()), None, "the issuer is missing");
        assert_eq!(
            authority.address(&chain(&["alice.pem", "issuing.pem"]), Timestamp::from_unix(4_000_000_000)),
            None,
            "expired"
        );
        assert_eq!(authority.address(&[b"no certificate".to_vec()], june()), None);
        assert_eq!(authority.address(&[], june()), None);
        assert_eq!(authority.address(&vec![chain(&["issuing.pem"]).remove(0); 200], june()), None, "too long");
    }

    #[test]
    fn what_is_said_of_revocation_is_asked_where_it_is_configured() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let open = |lists: &Path| ClientAuthority::open(&cast("root.pem"), Some(lists)).expect("a root");
        let alice = chain(&["alice.pem", "issuing.pem"]);
        assert_eq!(open(folder.path()).address(&alice, june()), None, "nothing is known");
        std::fs::copy(cast("issuing.crl"), folder.path().join("issuing.crl")).expect("copied");
        assert_eq!(open(folder.path()).address(&alice, june()), None, "of the issuer nothing is known");
        assert_eq!(open(&folder.path().join("none.crl")).address(&alice, june()), None, "what is configured cannot be read");
    }
}
