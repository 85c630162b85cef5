//! The options of sendmail, as the programs that call it write them.

use std::ffi::OsString;

/// What a call asks for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Options {
    /// `-t`: the recipients stand in the message, too.
    pub(crate) reads_recipients: bool,
    /// `-f`, `-r`: the envelope's sender.
    pub(crate) sender: Option<String>,
    /// `-F`: his name.
    pub(crate) name: Option<String>,
    /// `-i`, `-oi`: a lone dot is no end.
    pub(crate) ignores_dots: bool,
    /// `-N`, in upper case.
    pub(crate) notify: String,
    /// `-R`, in upper case.
    pub(crate) ret: String,
    /// `-V`.
    pub(crate) envid: String,
    /// `-v`: say what is done.
    pub(crate) is_verbose: bool,
    /// `-q`, `-bi`: there is nothing to be done.
    pub(crate) is_idle: bool,
    /// The addresses.
    pub(crate) recipients: Vec<String>,
    /// Our own options, with their values.
    pub(crate) own: Vec<OsString>,
}

/// Letters without a value; those that have no meaning here are of old clients.
const FLAGS: &str = "GIUcimnstvx";
/// Letters whose value is the rest of the word, or the next one.
const VALUES: &str = "ABCFLNORVXbefhopr";
/// Letters whose value is the rest of the word, if anything.
const REST: &str = "dq";

/// Characters of an envelope id, as it is sent (RFC 3461 4.4).
const ENVID: usize = 100;

impl Options {
    /// Reads the words behind the name of the program; `takes_value` knows our own options. The error says which word makes no sense.
    pub(crate) fn parse(words: &[OsString], takes_value: impl Fn(&str) -> bool) -> Result<Self, String> {
        let mut options = Self::default();
        let mut words = words.iter();
        while let Some(word) = words.next() {
            let text = word.to_str().ok_or("an argument is not UTF-8")?;
            if text == "--" {
                for rest in words.by_ref() {
                    options.recipients.push(rest.to_str().ok_or("an address is not UTF-8")?.to_owned());
                }
            } else if let Some(long) = text.strip_prefix("--") {
                options.own.push(word.clone());
                if !long.contains('=') && takes_value(long) {
                    options.own.push(words.next().ok_or_else(|| format!("--{long} needs a value"))?.clone());
                }
            } else if let Some(letters) = text.strip_prefix('-').filter(|letters| !letters.is_empty()) {
                options.letters(letters, &mut words)?;
            } else {
                options.recipients.push(text.to_owned());
            }
        }
        Ok(options)
    }

    fn letters<'a>(&mut self, letters: &str, words: &mut impl Iterator<Item = &'a OsString>) -> Result<(), String> {
        for (at, letter) in letters.char_indices() {
            let rest = letters.get(at.saturating_add(letter.len_utf8())..).unwrap_or_default();
            if FLAGS.contains(letter) {
                self.flag(letter);
            } else if REST.contains(letter) {
                self.is_idle |= letter == 'q';
                return Ok(());
            } else if VALUES.contains(letter) {
                let value = match rest {
                    "" => words.next().and_then(|word| word.to_str()).ok_or_else(|| format!("-{letter} needs a value"))?,
                    rest => rest,
                };
                return self.value(letter, value);
            } else {
                return Err(format!("-{letter} is not known"));
            }
        }
        Ok(())
    }

    fn flag(&mut self, letter: char) {
        match letter {
            't' => self.reads_recipients = true,
            'i' => self.ignores_dots = true,
            'v' => self.is_verbose = true,
            _ => {}
        }
    }

    fn value(&mut self, letter: char, value: &str) -> Result<(), String> {
        let upper = value.to_ascii_uppercase();
        match (letter, value) {
            ('f' | 'r', _) => self.sender = Some(value.trim_start_matches('<').trim_end_matches('>').to_owned()),
            ('F', _) => self.name = Some(value.to_owned()),
            ('o', "i") => self.ignores_dots = true,
            ('O', _) if ["IGNOREDOTS", "IGNOREDOTS=TRUE"].contains(&upper.as_str()) => self.ignores_dots = true,
            ('N', _) => {
                let is_good = upper.split(',').all(|word| ["SUCCESS", "FAILURE", "DELAY"].contains(&word)) || upper == "NEVER";
                if !is_good {
                    return Err(format!("-N {value} is neither \"never\" nor some of \"success,failure,delay\""));
                }
                self.notify = upper;
            }
            ('R', _) if ["FULL", "HDRS"].contains(&upper.as_str()) => self.ret = upper,
            ('R', _) => return Err(format!("-R {value} is neither \"full\" nor \"hdrs\"")),
            ('V', _) => {
                self.envid = xtext(value);
                if self.envid.len() > ENVID {
                    return Err(format!("-V has {} characters as it is sent, and more than {ENVID} are not", self.envid.len()));
                }
            }
            ('b', "m") => {}
            ('b', "i") => self.is_idle = true,
            ('b', "s" | "S") => {
                return Err(
                    "-bs: SMTP is not spoken on standard input – talk to the port of the server (`sealpost serve`)".to_owned()
                );
            }
            ('b', "p") => return Err("-bp: the queue is shown by `sealpost queue list`".to_owned()),
            ('b', "d" | "D") => return Err("-bd: the server is started by `sealpost serve`".to_owned()),
            ('b', other) => return Err(format!("-b{other} is not done here – only mail is sent (-bm)")),
            _ => {}
        }
        Ok(())
    }
}

/// Printable characters as they are, others as `+` and two digits (RFC 3461 4).
fn xtext(text: &str) -> String {
    let one = |byte: u8| match byte {
        b'+' | b'=' => format!("+{byte:02X}"),
        b'!'..=b'~' => char::from(byte).to_string(),
        _ => format!("+{byte:02X}"),
    };
    text.bytes().map(one).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Result<Options, String> {
        let words: Vec<OsString> = line.split(' ').filter(|word| !word.is_empty()).map(OsString::from).collect();
        Options::parse(&words, |long| long == "home" || long == "via")
    }

    #[test]
    fn calls_of_known_programs_are_read() {
        // cron, mutt, git send-email, PHP, bsd-mailx, s-nail
        let cron = parse("-FCronDaemon -i -B8BITMIME -oem root").expect("good");
        assert_eq!(
            (cron.name.as_deref(), cron.ignores_dots, cron.recipients),
            (Some("CronDaemon"), true, vec!["root".to_owned()])
        );
        let mutt = parse("-oem -oi -f jane@a.example -N failure,delay -R hdrs -- joe@b.example -x@b.example").expect("good");
        assert_eq!((mutt.notify.as_str(), mutt.ret.as_str()), ("FAILURE,DELAY", "HDRS"));
        assert_eq!((mutt.sender.as_deref(), mutt.recipients.len(), mutt.ignores_dots), (Some("jane@a.example"), 2, true));
        let git = parse("-i joe@b.example jane@b.example").expect("good");
        assert_eq!((git.recipients.len(), git.reads_recipients), (2, false));
        let php = parse("-t -i -f<jane@a.example>").expect("good");
        assert_eq!((php.sender.as_deref(), php.reads_recipients), (Some("jane@a.example"), true));
        assert!(parse("-it").expect("good").reads_recipients);
        assert_eq!(parse("-f <>").expect("good").sender.as_deref(), Some(""));
        for idle in ["-q", "-q30m", "-bi"] {
            assert!(parse(idle).expect("good").is_idle, "{idle}");
        }
        assert_eq!(parse("-V a+b=c").expect("good").envid, "a+2Bb+3Dc");
        let id = |c: &str, count| parse(&format!("-V {}", c.repeat(count)));
        assert!(id("x", 100).is_ok() && id("x", 101).is_err() && id("+", 33).is_ok() && id("+", 34).is_err());
    }

    #[test]
    fn our_own_options_go_along() {
        let mixed = parse("--home h -t --via=x:25 --batch joe@b.example").expect("good");
        assert_eq!(mixed.own, ["--home", "h", "--via=x:25", "--batch"]);
        assert_eq!(mixed.recipients, ["joe@b.example"]);
    }

    #[test]
    fn what_makes_no_sense_is_said() {
        for (line, why) in [
            ("-bs", "SMTP is not spoken"),
            ("-bp", "queue list"),
            ("-bv", "-bv is not done"),
            ("-f", "-f needs a value"),
            ("-N sometimes", "-N sometimes is neither"),
            ("-R all", "-R all is neither"),
            ("-Z", "-Z is not known"),
            ("--via", "--via needs a value"),
        ] {
            let told = parse(line).expect_err(line);
            assert!(told.contains(why), "{line}: {told}");
        }
    }
}
