//! Marks of messages (RFC 5232 2): lists of flags in strings.

/// The flags of IMAP that a script may set; `\Recent` is the server's.
const SYSTEM: [&str; 5] = ["\\answered", "\\flagged", "\\deleted", "\\seen", "\\draft"];

/// Flags that a string holds; what is none is passed over.
pub(super) fn of(text: &str) -> impl Iterator<Item = &str> {
    text.split_ascii_whitespace().filter(|flag| is_flag(flag))
}

fn is_flag(flag: &str) -> bool {
    if flag.starts_with('\\') {
        return SYSTEM.iter().any(|known| known.eq_ignore_ascii_case(flag));
    }
    // an atom (RFC 9051): what stands in lists and patterns is none of it
    flag.len() <= 100 && flag.bytes().all(|byte| byte.is_ascii_graphic() && !b"(){%*\"\\]".contains(&byte))
}

/// Whether a list has a flag, whatever the case.
pub(super) fn has(list: &[String], flag: &str) -> bool {
    list.iter().any(|known| known.eq_ignore_ascii_case(flag))
}

/// Adds the flags of a string that are not there, as far as `most` go.
pub(super) fn add(list: &mut Vec<String>, text: &str, most: usize) {
    for flag in of(text) {
        if list.len() < most && !has(list, flag) {
            list.push(flag.to_owned());
        }
    }
}

/// Takes the flags of a string away.
pub(super) fn remove(list: &mut Vec<String>, text: &str) {
    for flag in of(text) {
        list.retain(|known| !known.eq_ignore_ascii_case(flag));
    }
}
