//! URLs and filters of LDAP are read; a search does the same whatever the pieces its answers come in.

use sealpost::keys::directory::ldap::{Filter, Found, Login, Search, Step, Tls, Url};
use sealpost::limits::Limits;
use sealpost::secret::Secret;

/// Reads the first line as a URL, the second as a filter, and what follows as what the server says.
pub fn run(bytes: &[u8]) {
    let mut lines = bytes.splitn(3, |byte| *byte == b'\n');
    let mut line = || lines.next().unwrap_or_default();
    let (url, filter, said) = (line(), line(), line());
    let _ = Url::parse(&String::from_utf8_lossy(url));
    let filter = Filter::parse(&String::from_utf8_lossy(filter));
    let Ok(filter) = filter else { return };
    for (tls, has_login) in
        [(Tls::Begun, true), (Tls::Begun, false), (Tls::Never, false), (Tls::Demanded, true), (Tls::Wished, false)]
    {
        let search = || {
            let search = Search::new(tls, "dc=example", filter.clone(), &Limits::default());
            let login = Login { name: "cn=jane".to_owned(), password: Secret::new(b"secret".to_vec()) };
            if has_login { search.login(login).unwrap_or_else(|error| panic!("{error}")) } else { search }
        };
        let whole = talk(search(), tls, said, said.len().max(1));
        let pieces = [1, 7].map(|piece| talk(search(), tls, said, piece));
        // where TLS begins in mid-stream, pieces decide what came before it
        if matches!(tls, Tls::Begun | Tls::Never) {
            assert!(pieces.iter().all(|other| *other == whole));
        }
    }
}

/// What a conversation ends with; the server hangs up after its last byte.
fn talk(mut search: Search, tls: Tls, said: &[u8], piece: usize) -> String {
    let mut pieces = said.chunks(piece);
    let mut is_secure = tls == Tls::Begun;
    loop {
        match search.step() {
            Err(error) => return error.to_string(),
            Ok(Step::Send(bytes)) => {
                let has_password = bytes.expose().windows(6).any(|window| window == b"secret");
                assert!(!has_password || is_secure, "no password goes without TLS");
            }
            Ok(Step::StartTls) => {
                is_secure = true;
                search.secured();
            }
            Ok(Step::Done) => break,
            Ok(Step::Receive) => match pieces.next() {
                None => return "hung up".to_owned(),
                Some(piece) => {
                    if let Err(error) = search.receive(piece) {
                        return error.to_string();
                    }
                }
            },
        }
    }
    let Found { entries, references, incomplete, secure } = search.into_found();
    format!("{entries:?} {references} {incomplete:?} {secure}")
}
