//! The files that everyone may have, held in memory until others take their place.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::SystemTime;

use hyper::body::Bytes;

use crate::ca::publish::{self, FILES, Kind};
use crate::pki::{Certificate, Crl};
use crate::server::web::headers::{Age, Page};

/// The folder of what is published.
#[derive(Debug)]
pub(super) struct Files {
    folder: PathBuf,
    held: Mutex<HashMap<&'static str, (Mark, Page)>>,
}

/// How a file looked: its length, and when it was written.
type Mark = (u64, SystemTime);

impl Files {
    pub(super) fn new(folder: &Path) -> Self {
        Self { folder: folder.to_owned(), held: Mutex::default() }
    }

    /// The file of this name; none where it is not in the table of names, or not published. An error is for those who keep the server.
    pub(super) fn get(&self, name: &str) -> Result<Option<Page>, String> {
        let Some((name, kind)) = FILES.iter().find(|(known, _)| *known == name) else { return Ok(None) };
        let path = self.folder.join(name);
        let mark = match std::fs::metadata(&path).and_then(|file| Ok((file.len(), file.modified()?))) {
            Ok(mark) => mark,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(format!("{} cannot be read – {error}", path.display())),
        };
        if let Some((seen, page)) = self.held.lock().unwrap_or_else(PoisonError::into_inner).get(name)
            && *seen == mark
        {
            return Ok(Some(page.clone()));
        }
        let bytes = std::fs::read(&path).map_err(|error| format!("{} cannot be read – {error}", path.display()))?;
        let page = page(bytes, *kind).map_err(|error| format!("{} cannot be served – {error}", path.display()))?;
        self.held.lock().unwrap_or_else(PoisonError::into_inner).insert(name, (mark, page.clone()));
        Ok(Some(page))
    }
}

/// Media types of RFC 2585 4.
fn page(bytes: Vec<u8>, kind: Kind) -> Result<Page, crate::pki::Error> {
    let tag = publish::tag(&bytes);
    let (content_type, age) = match kind {
        Kind::Certificate => ("application/pkix-cert", Age::Since(Certificate::from_der(&bytes)?.not_before())),
        Kind::List => {
            let list = Crl::from_der(&bytes)?;
            let since = list.this_update();
            ("application/pkix-crl", list.next_update().map_or(Age::Since(since), |until| Age::Between(since, until)))
        }
    };
    Ok(Page { content_type, body: Bytes::from(bytes), tag, age })
}
