//! Where actions send a message: names of folders, addresses, authors. Each reason is a sentence for whoever wrote the script.

use crate::mime::address;

/// Bytes of the name of a folder. 255: what file systems and IMAP servers take for one name.
const FOLDER_BYTES: usize = 255;

/// The name of a folder, parts of it joined by `/`; it may become the name of a file, so no part is `.` or `..`, and none is empty.
pub(super) fn folder(name: &str) -> Result<String, String> {
    let shown = name.escape_debug();
    if name.is_empty() || name.len() > FOLDER_BYTES {
        return Err(format!("\"{shown}\" is no name of a folder – one has 1 to {FOLDER_BYTES} bytes"));
    }
    if name.chars().any(char::is_control) {
        return Err(format!("\"{shown}\" is no name of a folder – it holds control characters"));
    }
    if name.split('/').any(|part| matches!(part, "" | "." | "..")) {
        return Err(format!("\"{shown}\" is no name of a folder – its parts between `/` are names, as in \"Lists/Gardening\""));
    }
    Ok(name.to_owned())
}

/// One address, `local@domain`, as the envelope takes it.
pub(super) fn address(written: &str) -> Result<String, String> {
    let wrong = || format!("\"{}\" is no address – write one as in \"jane@example.org\"", written.escape_debug());
    let list = address::parse(written);
    let [mailbox] = list.mailboxes.as_slice() else { return Err(wrong()) };
    // quoted local parts and address literals: what follows in an envelope is then not what it looks like
    let is_plain = |part: &str, more: &str| {
        !part.is_empty()
            && part.chars().all(|c| c.is_alphanumeric() || more.contains(c))
            && !part.starts_with('.')
            && !part.ends_with('.')
    };
    let fits = is_plain(&mailbox.local, "!#$%&'*+-/=?^_`{|}~.") && is_plain(&mailbox.domain, "-.") && !list.has_junk;
    if fits && written.len() <= 320 { Ok(mailbox.address()) } else { Err(wrong()) }
}

/// The author of a reply: an address, with or without a name.
pub(super) fn author(written: &str) -> Result<String, String> {
    let plain = address(written)?;
    Ok(match address::parse(written).mailboxes.into_iter().next().and_then(|mailbox| mailbox.display) {
        Some(display) if !display.chars().any(char::is_control) => {
            format!("\"{}\" <{plain}>", display.replace('\\', "\\\\").replace('"', "\\\""))
        }
        _ => plain,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folders_cannot_leave_their_place() {
        for name in ["../x", "a/../b", "/etc", "a//b", "", ".", "a\r\nb", "a/", "a\0"] {
            assert!(folder(name).expect_err(name).contains("is no name of a folder"), "{name}");
        }
        assert_eq!(folder("Lists/Rosen & Gärten").as_deref(), Ok("Lists/Rosen & Gärten"));
    }

    #[test]
    fn addresses_are_one_and_plain() {
        assert_eq!(address("Jane <jane+x@a.example>").as_deref(), Ok("jane+x@a.example"));
        for wrong in
            ["jane", "a@b, c@d", "", "a@b\r\nRCPT TO:<x@y>", "\"a b\"@c.example", "a@[1.2.3.4]", "@a.example", "a b@c", "a@b@c"]
        {
            assert!(address(wrong).is_err(), "{wrong}");
        }
        assert!(author("Doe, Jane <j@a.example>").is_err());
        assert_eq!(author("\"Doe, Jane\" <j@a.example>").as_deref(), Ok("\"Doe, Jane\" <j@a.example>"));
    }
}
