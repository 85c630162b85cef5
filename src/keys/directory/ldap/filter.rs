//! Search filters: their text (RFC 4515) and their encoding (RFC 4511 4.5.1.7).

use std::fmt;

use crate::asn1::{Tag, encode};
use crate::keys::directory::{Address, Error};

/// A search filter.
///
/// An address that is looked for stands in it as a value: whatever its characters mean in the text of a filter, here they mean nothing.
///
/// ```
/// use sealpost::keys::directory::{Address, ldap::Filter};
/// let address = Address::parse("jane*)(uid=*@a.example").unwrap();
/// let text = Filter::of_address(&address).to_string();
/// assert_eq!(text, r"(|(mail=jane\2a\29\28uid=\2a@a.example)(proxyAddresses=smtp:jane\2a\29\28uid=\2a@a.example))");
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Filter {
    /// All of them hold.
    And(Vec<Filter>),
    /// One of them holds.
    Or(Vec<Filter>),
    /// It does not hold.
    Not(Box<Filter>),
    /// An attribute has this value.
    Equal(String, Vec<u8>),
    /// It has one that is not below this value.
    AtLeast(String, Vec<u8>),
    /// It has one that is not above this value.
    AtMost(String, Vec<u8>),
    /// It has one that is like this value.
    Like(String, Vec<u8>),
    /// It has one with these pieces in this order; the first is its begin and the last its end, where they are not empty.
    Pieces(String, Vec<Vec<u8>>),
    /// The entry has the attribute.
    Present(String),
}

/// How deep filters may nest. 16: those that people write nest 3 or 4 deep.
const DEPTH: usize = 16;

impl Filter {
    /// Entries with this address, as directories on the Internet hold it (`mail`) and as Active Directory does (`proxyAddresses`).
    pub fn of_address(address: &Address) -> Self {
        let given = address.as_str();
        let mut forms = vec![given.to_owned()];
        // the domain may stand there in its other form
        if let Some((local, domain)) = given.rsplit_once('@')
            && !domain.eq_ignore_ascii_case(address.domain())
        {
            forms.push(format!("{local}@{}", address.domain()));
        }
        let both = |form: &String| {
            let mail = Self::Equal("mail".to_owned(), form.as_bytes().to_vec());
            [mail, Self::Equal("proxyAddresses".to_owned(), format!("smtp:{form}").into_bytes())]
        };
        Self::Or(forms.iter().flat_map(both).collect())
    }

    /// Reads the text of a filter. Refuses matching rules by name (`:=`), which no search for a mail address needs.
    pub fn parse(text: &str) -> Result<Self, Error> {
        let wrong = |why| Error::Filter { text: text.to_owned(), why };
        let (filter, rest) = Self::read(text.as_bytes(), DEPTH).map_err(wrong)?;
        if rest.is_empty() { Ok(filter) } else { Err(wrong("something stands behind its last parenthesis")) }
    }

    /// `(…)`, and what stands behind it.
    fn read(text: &[u8], depth: usize) -> Result<(Self, &[u8]), &'static str> {
        let depth = depth.checked_sub(1).ok_or("it nests too deep")?;
        let inside = text.strip_prefix(b"(").ok_or("a parenthesis is missing")?;
        let (filter, rest) = match inside.split_first() {
            Some((b'&', list)) => Self::read_list(list, depth).map(|(all, rest)| (Self::And(all), rest))?,
            Some((b'|', list)) => Self::read_list(list, depth).map(|(all, rest)| (Self::Or(all), rest))?,
            Some((b'!', one)) => Self::read(one, depth).map(|(one, rest)| (Self::Not(Box::new(one)), rest))?,
            _ => {
                let end = inside.iter().position(|byte| *byte == b')').ok_or("a parenthesis is missing")?;
                let (item, rest) = inside.split_at_checked(end).ok_or("a parenthesis is missing")?;
                (Self::read_item(item)?, rest)
            }
        };
        let rest = rest.strip_prefix(b")").ok_or("a parenthesis is missing")?;
        Ok((filter, rest))
    }

    fn read_list(mut text: &[u8], depth: usize) -> Result<(Vec<Self>, &[u8]), &'static str> {
        let mut list = Vec::new();
        while text.first() == Some(&b'(') {
            let (filter, rest) = Self::read(text, depth)?;
            list.push(filter);
            text = rest;
        }
        if list.is_empty() { Err("nothing stands behind & or |") } else { Ok((list, text)) }
    }

    /// `attribute=value` and its like.
    fn read_item(item: &[u8]) -> Result<Self, &'static str> {
        let at = item.iter().position(|byte| *byte == b'=').ok_or("an = is missing")?;
        let (before, after) = item.split_at_checked(at).ok_or("an = is missing")?;
        let value = after.get(1..).unwrap_or_default();
        let (name, mark) = match before.split_last() {
            Some((mark @ (b'~' | b'<' | b'>' | b':'), name)) => (name, Some(*mark)),
            _ => (before, None),
        };
        let is_name = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b';' | b'.');
        if name.is_empty() || !name.iter().all(is_name) {
            return Err("it names an attribute that cannot be");
        }
        let name = String::from_utf8_lossy(name).into_owned();
        if mark == Some(b':') {
            return Err("matching rules by name are not supported");
        }
        let pieces: Vec<Vec<u8>> = value.split(|byte| *byte == b'*').map(unescaped).collect::<Result<_, _>>()?;
        let filter = match (mark, pieces.as_slice()) {
            (None, [value]) => Self::Equal(name, value.clone()),
            (Some(b'>'), [value]) => Self::AtLeast(name, value.clone()),
            (Some(b'<'), [value]) => Self::AtMost(name, value.clone()),
            (Some(_), [value]) => Self::Like(name, value.clone()),
            (None, [first, last]) if first.is_empty() && last.is_empty() => Self::Present(name),
            (None, [_, middle @ .., _]) if middle.iter().all(|piece| !piece.is_empty()) => Self::Pieces(name, pieces),
            (None, _) => return Err("two stars have nothing between them"),
            (Some(_), _) => return Err("a star stands where it has no meaning"),
        };
        Ok(filter)
    }

    /// The encoding.
    pub fn to_ber(&self) -> Vec<u8> {
        let list = |number, all: &[Self]| {
            encode::tlv(Tag::context_constructed(number), &all.iter().flat_map(Self::to_ber).collect::<Vec<_>>())
        };
        let compared = |number, name: &str, value: &[u8]| {
            let both = [encode::octet_string(name.as_bytes()), encode::octet_string(value)].concat();
            encode::tlv(Tag::context_constructed(number), &both)
        };
        match self {
            Self::And(all) => list(0, all),
            Self::Or(all) => list(1, all),
            Self::Not(one) => encode::explicit(2, &one.to_ber()),
            Self::Equal(name, value) => compared(3, name, value),
            Self::Pieces(name, pieces) => {
                let pieces = encode::sequence(&substrings(pieces));
                encode::tlv(Tag::context_constructed(4), &[encode::octet_string(name.as_bytes()), pieces].concat())
            }
            Self::AtLeast(name, value) => compared(5, name, value),
            Self::AtMost(name, value) => compared(6, name, value),
            Self::Present(name) => encode::tlv(Tag::context(7), name.as_bytes()),
            Self::Like(name, value) => compared(8, name, value),
        }
    }
}

/// `initial [0]`, `any [1]` and `final [2]`; what is empty is left out.
fn substrings(pieces: &[Vec<u8>]) -> Vec<Vec<u8>> {
    let last = pieces.len().saturating_sub(1);
    let number = |at: usize| match at {
        0 => 0,
        at if at == last => 2,
        _ => 1,
    };
    let filled = pieces.iter().enumerate().filter(|(_, piece)| !piece.is_empty());
    filled.map(|(at, piece)| encode::tlv(Tag::context(number(at)), piece)).collect()
}

/// A value without its escapes (RFC 4515 3).
fn unescaped(text: &[u8]) -> Result<Vec<u8>, &'static str> {
    let wrong = "a \\ is not followed by two hexadecimal digits";
    let digit = |byte: Option<&u8>| {
        byte.and_then(|b| char::from(*b).to_digit(16)).and_then(|digit| u8::try_from(digit).ok()).ok_or(wrong)
    };
    let (mut out, mut bytes) = (Vec::with_capacity(text.len()), text.iter());
    while let Some(byte) = bytes.next() {
        match byte {
            b'\\' => out.push(digit(bytes.next())? << 4 | digit(bytes.next())?),
            b'(' | 0 => return Err("a character stands bare that has to be escaped"),
            byte => out.push(*byte),
        }
    }
    Ok(out)
}

impl fmt::Display for Filter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let list = |f: &mut fmt::Formatter<'_>, mark, all: &[Self]| {
            write!(f, "({mark}")?;
            all.iter().try_for_each(|one| one.fmt(f))?;
            f.write_str(")")
        };
        match self {
            Self::And(all) => list(f, '&', all),
            Self::Or(all) => list(f, '|', all),
            Self::Not(one) => write!(f, "(!{one})"),
            Self::Equal(name, value) => write!(f, "({name}={})", escaped(value)),
            Self::AtLeast(name, value) => write!(f, "({name}>={})", escaped(value)),
            Self::AtMost(name, value) => write!(f, "({name}<={})", escaped(value)),
            Self::Like(name, value) => write!(f, "({name}~={})", escaped(value)),
            Self::Pieces(name, pieces) => {
                write!(f, "({name}={})", pieces.iter().map(|piece| escaped(piece)).collect::<Vec<_>>().join("*"))
            }
            Self::Present(name) => write!(f, "({name}=*)"),
        }
    }
}

/// A value with everything escaped that means something in a filter, and everything that is not visible.
fn escaped(value: &[u8]) -> String {
    let one = |byte: &u8| match byte {
        b'*' | b'(' | b')' | b'\\' => format!("\\{byte:02x}"),
        b' '..=b'~' => char::from(*byte).to_string(),
        _ => format!("\\{byte:02x}"),
    };
    value.iter().map(one).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn why(text: &str) -> String {
        Filter::parse(text).expect_err("refused").to_string()
    }

    #[test]
    fn examples_of_rfc_4515_are_read_and_written() {
        for text in [
            "(cn=Babs Jensen)",
            "(!(cn=Tim Howes))",
            "(&(objectClass=Person)(|(sn=Jensen)(cn=Babs J*)))",
            "(o=univ*of*mich*)",
            "(seeAlso=)",
            "(o=Parens R Us \\28for all your parenthetical needs\\29)",
            "(cn=*\\2a*)",
            "(filename=C:\\5cMyFile)",
            "(bin=\\00\\00\\00\\04)",
            "(sn=Lu\\c4\\8di\\c4\\87)",
            "(a>=5)",
            "(a<=5)",
            "(a~=b)",
            "(userCertificate;binary=*)",
        ] {
            assert_eq!(Filter::parse(text).expect("read").to_string(), text);
        }
    }

    #[test]
    fn encodings_are_those_of_rfc_4511() {
        // by hand, from the ASN.1 of 4.5.1.7
        let ber = |text: &str| Filter::parse(text).expect("read").to_ber();
        assert_eq!(ber("(a=b)"), [0xa3, 6, 4, 1, b'a', 4, 1, b'b']);
        assert_eq!(ber("(a=*)"), [0x87, 1, b'a']);
        assert_eq!(ber("(!(a=*))"), [0xa2, 3, 0x87, 1, b'a']);
        assert_eq!(ber("(&(a=*)(b=*))"), [0xa0, 6, 0x87, 1, b'a', 0x87, 1, b'b']);
        assert_eq!(ber("(a=x*y*z)"), [0xa4, 14, 4, 1, b'a', 0x30, 9, 0x80, 1, b'x', 0x81, 1, b'y', 0x82, 1, b'z']);
        assert_eq!(ber("(a=*y*)"), [0xa4, 8, 4, 1, b'a', 0x30, 3, 0x81, 1, b'y']);
    }

    #[test]
    fn refuses_what_is_no_filter() {
        for (text, reason) in [
            ("", "parenthesis"),
            ("a=b", "parenthesis"),
            ("(a=b", "parenthesis"),
            ("(a=b))", "behind"),
            ("(&)", "nothing stands"),
            ("(ab)", "an ="),
            ("(=b)", "attribute"),
            ("(a b=c)", "attribute"),
            ("(a=\\2)", "hexadecimal"),
            ("(a=(b)", "escaped"),
            ("(a=**)", "two stars"),
            ("(a>=b*)", "no meaning"),
            ("(a:=b)", "matching rules"),
        ] {
            assert!(why(text).contains(reason), "{text}: {}", why(text));
        }
        assert!(why(&format!("{}(a=b){}", "(!".repeat(50_000), ")".repeat(50_000))).contains("too deep"));
    }

    #[test]
    fn an_address_cannot_leave_its_value() {
        for local in ["*", "*)(objectClass=*", "a)(|(uid=*", "\\2a", "a&b|c!d", "\u{fc}"] {
            let address = Address::parse(&format!("{}@a.example", quoted(local))).expect("an address");
            let Filter::Or(all) = Filter::of_address(&address) else { panic!("a choice") };
            assert!(matches!(all.as_slice(), [Filter::Equal(a, _), Filter::Equal(b, _)] if a == "mail" && b == "proxyAddresses"));
            let text = Filter::Or(all.clone()).to_string();
            assert_eq!(Filter::parse(&text).expect("read again"), Filter::Or(all), "{text}");
        }
    }

    /// In quotes where bare it would be no address.
    fn quoted(local: &str) -> String {
        if local.contains('\\') { format!("\"{}\"", local.replace('\\', "\\\\")) } else { local.to_owned() }
    }

    #[test]
    fn a_domain_is_looked_for_in_both_ways_to_write_it() {
        let filter = Filter::of_address(&Address::parse("jane@b\u{fc}cher.example").expect("an address"));
        let text = filter.to_string();
        assert!(
            text.contains("(mail=jane@b\\c3\\bccher.example)") && text.contains("(mail=jane@xn--bcher-kva.example)"),
            "{text}"
        );
    }
}
