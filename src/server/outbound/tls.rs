//! TLS towards other servers: whoever it is (RFC 7435), as the authorities say, or as the DNS says (RFC 7672).

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{CertificateError, ClientConfig, DigitallySignedStruct, Error, RootCertStore, SignatureScheme};
use tokio_rustls::TlsConnector;

use crate::keys::directory::smimea::{Record, Usage};
use crate::pki::Certificate;
use crate::proto::sasl::{self, Channel};

/// What binds a login to a connection (RFC 9266, 5929).
pub(in crate::server::outbound) fn channel(connection: &rustls::ClientConnection) -> Channel {
    let is_exported = connection.protocol_version() == Some(rustls::ProtocolVersion::TLSv1_3);
    let export = || connection.export_keying_material(vec![0; 32], sasl::EXPORTER_LABEL, None).ok();
    let shown = connection.peer_certificates().and_then(|chain| chain.first());
    let end_point = shown.and_then(|der| Certificate::from_der(der).ok()).and_then(|certificate| certificate.end_point());
    Channel { exporter: is_exported.then(export).flatten(), end_point, certificate: None }
}

/// What connections are made with.
pub(in crate::server::outbound) struct Tls {
    provider: Arc<CryptoProvider>,
    /// Shared, so that sessions are resumed.
    opportunistic: TlsConnector,
    roots: Arc<RootCertStore>,
}

impl std::fmt::Debug for Tls {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Tls")
    }
}

impl Tls {
    /// Trusts the system's certificates and those of a file.
    pub(in crate::server::outbound) fn new(trust: Option<&Path>) -> Result<Self, String> {
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let mut roots = RootCertStore::empty();
        roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        if let Some(path) = trust {
            let read: Result<Vec<_>, _> = CertificateDer::pem_file_iter(path).and_then(Iterator::collect);
            let read = read.map_err(|error| format!("{} holds no certificate – {error}", path.display()))?;
            if roots.add_parsable_certificates(read).0 == 0 {
                return Err(format!("{} holds no certificate that TLS can trust", path.display()));
            }
        }
        let opportunistic = connector(&provider, Check::Any)?;
        Ok(Self { provider, opportunistic, roots: Arc::new(roots) })
    }

    /// TLS with whoever it is.
    pub(in crate::server::outbound) fn opportunistic(&self) -> TlsConnector {
        self.opportunistic.clone()
    }

    /// TLS with a certificate of an authority for one of these names.
    pub(in crate::server::outbound) fn verified(&self, names: &[String]) -> Result<TlsConnector, String> {
        connector(&self.provider, Check::Roots(Arc::clone(&self.roots), self::names(names)))
    }

    /// TLS with whoever it is; what would have been wrong with his certificate is told.
    pub(in crate::server::outbound) fn watched(&self, names: &[String]) -> Result<(TlsConnector, Seen), String> {
        let seen = Seen::default();
        let check = Check::Watched(Arc::clone(&self.roots), self::names(names), seen.clone());
        Ok((connector(&self.provider, check)?, seen))
    }

    /// TLS with a certificate that a record is about; below an authority of the domain's own, it is for one of these names.
    pub(in crate::server::outbound) fn dane(&self, records: Vec<Record>, names: &[String]) -> Result<TlsConnector, String> {
        connector(&self.provider, Check::Dane(records, self::names(names)))
    }
}

/// What would have been wrong with a certificate.
#[derive(Debug, Clone, Default)]
pub(in crate::server::outbound) struct Seen(Arc<Mutex<Option<&'static str>>>);

impl Seen {
    /// As it is told (RFC 8460 4.3).
    pub(in crate::server::outbound) fn wrong(&self) -> Option<&'static str> {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The name that the server is asked for; what has none gets a name that says nothing.
pub(in crate::server::outbound) fn server_name(name: &str) -> ServerName<'static> {
    let fallback = || ServerName::IpAddress(std::net::IpAddr::from([127, 0, 0, 1]).into());
    ServerName::try_from(name.to_owned()).unwrap_or_else(|_| fallback())
}

/// What is told of a handshake that failed (RFC 8460 4.3).
pub(in crate::server::outbound) fn result_of(error: &std::io::Error) -> &'static str {
    error.get_ref().and_then(|inner| inner.downcast_ref::<Error>()).map_or("validation-failure", named)
}

/// Whether a handshake failed for the certificate that the server showed, and not for something on the way to one.
pub(in crate::server::outbound) fn is_certificate(error: &std::io::Error) -> bool {
    let inner = error.get_ref().and_then(|inner| inner.downcast_ref::<Error>());
    matches!(inner, Some(Error::InvalidCertificate(_) | Error::NoCertificatesPresented))
}

fn named(error: &Error) -> &'static str {
    match error {
        Error::InvalidCertificate(error) => match error {
            CertificateError::Expired | CertificateError::ExpiredContext { .. } => "certificate-expired",
            CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => "certificate-host-mismatch",
            CertificateError::UnknownIssuer => "certificate-not-trusted",
            _ => "validation-failure",
        },
        _ => "validation-failure",
    }
}

fn names(of: &[String]) -> Vec<ServerName<'static>> {
    of.iter().filter_map(|name| ServerName::try_from(name.clone()).ok()).collect()
}

fn connector(provider: &Arc<CryptoProvider>, check: Check) -> Result<TlsConnector, String> {
    let verifier = Verifier { provider: Arc::clone(provider), check };
    let config = ClientConfig::builder_with_provider(Arc::clone(provider))
        .with_safe_default_protocol_versions()
        .map_err(|error| error.to_string())?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(verifier))
        .with_no_client_auth();
    Ok(TlsConnector::from(Arc::new(config)))
}

/// What a certificate must be.
#[derive(Debug)]
enum Check {
    /// Anything.
    Any,
    /// Of one of these authorities, for one of these names.
    Roots(Arc<RootCertStore>, Vec<ServerName<'static>>),
    /// Anything; whether it is of one of these authorities, for one of these names, is told.
    Watched(Arc<RootCertStore>, Vec<ServerName<'static>>, Seen),
    /// One that a record is about; below an authority that one is about, for one of these names (RFC 7672 3.1.1, 3.1.2).
    Dane(Vec<Record>, Vec<ServerName<'static>>),
}

/// Judges certificates; the signatures of the handshake are checked in any case.
#[derive(Debug)]
struct Verifier {
    provider: Arc<CryptoProvider>,
    check: Check,
}

impl Verifier {
    /// Whether a certificate is of these authorities and for one of the names.
    fn chain(
        &self,
        roots: &Arc<RootCertStore>,
        names: &[ServerName<'static>],
        (leaf, rest): (&CertificateDer<'_>, &[CertificateDer<'_>]),
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let verifier = WebPkiServerVerifier::builder_with_provider(Arc::clone(roots), Arc::clone(&self.provider)).build();
        let verifier = verifier.map_err(|error| Error::General(error.to_string()))?;
        let mut result = Err(Error::InvalidCertificate(CertificateError::NotValidForName));
        for name in names {
            result = verifier.verify_server_cert(leaf, rest, name, &[], now);
            if result.is_ok() {
                break;
            }
        }
        result
    }
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        leaf: &CertificateDer<'_>,
        rest: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let (records, names) = match &self.check {
            Check::Any => return Ok(ServerCertVerified::assertion()),
            Check::Roots(roots, names) => return self.chain(roots, names, (leaf, rest), now),
            Check::Watched(roots, names, seen) => {
                let wrong = self.chain(roots, names, (leaf, rest), now).err();
                *seen.0.lock().unwrap_or_else(PoisonError::into_inner) = wrong.as_ref().map(named);
                return Ok(ServerCertVerified::assertion());
            }
            Check::Dane(records, names) => (records, names),
        };
        let of = |usage: Usage| records.iter().filter(move |record| record.usage() == usage);
        let fits = |record: &Record, der: &[u8]| Certificate::from_der(der).is_ok_and(|certificate| record.fits(&certificate));
        // RFC 7672 3.1.1: the key is the server's, and neither its names nor its times matter
        if of(Usage::DaneEe).any(|record| fits(record, leaf)) {
            return Ok(ServerCertVerified::assertion());
        }
        let mut roots = RootCertStore::empty();
        for record in of(Usage::DaneTa) {
            let own = record.certificate().map(|certificate| CertificateDer::from(certificate.der().to_vec()));
            let found = rest.iter().filter(|der| fits(record, der)).map(|der| der.clone().into_owned());
            roots.add_parsable_certificates(found.chain(own));
        }
        match roots.is_empty() {
            true => Err(Error::InvalidCertificate(CertificateError::ApplicationVerificationFailure)),
            false => self.chain(&Arc::new(roots), names, (leaf, rest), now),
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        rustls::crypto::verify_tls12_signature(message, certificate, signature, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        rustls::crypto::verify_tls13_signature(message, certificate, signature, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}
