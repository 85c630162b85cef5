//! Knocks at each port of a running server: is it the service, and which certificate does it show?

use std::io::{Read, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::Duration;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::CryptoProvider;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, ClientConnection, DigitallySignedStruct, Error, SignatureScheme};

use sealpost::pki::Certificate;
use sealpost::server::Service;
use sealpost::server::doctor::ports::{Answer, Knocked};

/// For a connection and for each reply: it is this machine.
const PATIENCE: Duration = Duration::from_secs(5);

/// Knocks at the services among these facts of `status`.
pub(super) fn all(facts: &[(&str, &str)]) -> Vec<Knocked> {
    let service = |name: &str| Service::ALL.iter().find(|(_, known, _)| *known == name).map(|(service, _, _)| *service);
    // of several servers, each may serve it
    let addresses = |all: &str| all.split(", ").filter_map(|address| address.parse().ok()).collect::<Vec<SocketAddr>>();
    let known = facts.iter().filter_map(|(name, all)| Some((service(name)?, addresses(all))));
    let found = known.flat_map(|(service, all)| all.into_iter().map(move |address| (service, address)));
    found.map(|(service, address)| Knocked { service, address, answer: knock(service, address) }).collect()
}

fn knock(service: Service, address: SocketAddr) -> Answer {
    let ip = match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        other => other,
    };
    let opened = TcpStream::connect_timeout(&SocketAddr::new(ip, address.port()), PATIENCE);
    let stream = opened.and_then(|stream| {
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_write_timeout(Some(PATIENCE))?;
        Ok(stream)
    });
    let mut stream = match stream {
        Ok(stream) => stream,
        Err(error) => return Answer::Closed(error.to_string()),
    };
    let asked: &[(&str, &str)] = match service {
        Service::Smtp | Service::Submission => &[("", "220"), ("EHLO localhost\r\n", "250"), ("STARTTLS\r\n", "220")],
        Service::Pop3 => &[("", "+OK"), ("STLS\r\n", "+OK")],
        Service::Submissions | Service::Pop3s => &[],
    };
    for (number, (line, wanted)) in asked.iter().enumerate() {
        match say(&mut stream, line) {
            Ok(reply) if reply.starts_with(wanted) => {}
            Ok(reply) if number == 0 => return Answer::Foreign(first_line(&reply)),
            Ok(reply) => return Answer::NoTls(format!("it answers {} with {}", line.trim_end(), first_line(&reply))),
            Err(error) if number == 0 => return Answer::Foreign(format!("nothing – {error}")),
            Err(error) => return Answer::NoTls(error.to_string()),
        }
    }
    match handshake(stream) {
        Ok(certificate) => Answer::Good(Box::new(certificate)),
        Err(why) => Answer::NoTls(why),
    }
}

/// Says a line and waits for the whole reply.
fn say(stream: &mut TcpStream, line: &str) -> std::io::Result<String> {
    stream.write_all(line.as_bytes())?;
    let (mut reply, mut buffer) = (String::new(), [0; 1024]);
    loop {
        let count = stream.read(&mut buffer)?;
        reply.push_str(&String::from_utf8_lossy(buffer.get(..count).unwrap_or_default()));
        let last = reply.trim_end().rsplit('\n').next().unwrap_or_default();
        let goes_on = !reply.ends_with('\n') || last.as_bytes().get(3) == Some(&b'-');
        if count == 0 || !goes_on || reply.len() > 16 << 10 {
            return Ok(reply);
        }
    }
}

fn first_line(text: &str) -> String {
    text.lines().next().unwrap_or_default().chars().take(100).collect()
}

/// The certificate that is shown, whoever issued it: whether it is good is judged where it lies.
fn handshake(mut stream: TcpStream) -> Result<Certificate, String> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder = ClientConfig::builder_with_provider(Arc::clone(&provider)).with_safe_default_protocol_versions();
    let config =
        builder.map_err(|error| error.to_string())?.dangerous().with_custom_certificate_verifier(Arc::new(Any(provider)));
    let name = ServerName::IpAddress(IpAddr::from(Ipv4Addr::LOCALHOST).into());
    let mut session = ClientConnection::new(Arc::new(config.with_no_client_auth()), name).map_err(|error| error.to_string())?;
    while session.is_handshaking() {
        session.complete_io(&mut stream).map_err(|error| error.to_string())?;
    }
    let shown = session.peer_certificates().and_then(|chain| chain.first()).map(|der| Certificate::from_der(der));
    let certificate = shown.ok_or("it shows no certificate")?.map_err(|error| error.to_string())?;
    session.send_close_notify();
    let _ = session.complete_io(&mut stream);
    Ok(certificate)
}

/// Takes every certificate whose key the server has.
#[derive(Debug)]
struct Any(Arc<CryptoProvider>);

impl ServerCertVerifier for Any {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        rustls::crypto::verify_tls12_signature(message, cert, dss, &self.0.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        rustls::crypto::verify_tls13_signature(message, cert, dss, &self.0.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
