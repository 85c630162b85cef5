//! What commands and replies mean, in a sentence for people who learn, in English and Chinese.

use std::collections::{HashMap, VecDeque};

use crate::proto::Party;
use crate::server::trace::Event;

/// The language of an explanation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Language {
    /// English.
    English,
    /// Chinese.
    Chinese,
}

/// The beginning of a line, what it means in English, and in Chinese.
type Row = (&'static str, &'static str, &'static str);

/// Explains a trace, line by line: what a reply means depends on the command before it.
#[derive(Debug)]
pub struct Explainer {
    language: Language,
    said: HashMap<u64, Said>,
}

/// What was said in one conversation.
#[derive(Debug, Default)]
struct Said {
    /// Commands that no reply came to yet: who sends mail may send several at once (RFC 2920).
    waiting: VecDeque<String>,
    /// The reply to the first of them has begun, and has more lines.
    has_begun: bool,
    /// What the lines are that come until one that is a dot.
    listing: Option<&'static [Row]>,
}

/// Conversations that are remembered. Where there are more, replies whose commands were forgotten are explained without them.
const REMEMBERED: usize = 10_000;

/// Commands whose replies are awaited: those of a message with more recipients than one has.
const WAITING: usize = 2_000;

impl Explainer {
    /// In this language, from whatever line on.
    pub fn new(language: Language) -> Self {
        Self { language, said: HashMap::new() }
    }

    /// What the next line means; nothing for what is no command. Lines that nobody wants to see explained are handed in, too.
    pub fn explain(&mut self, event: &Event) -> Option<&'static str> {
        let row = match event.by {
            None => note(event),
            Some(by) => {
                if self.said.len() >= REMEMBERED && !self.said.contains_key(&event.conversation) {
                    self.said.clear();
                }
                let said = self.said.entry(event.conversation).or_default();
                let is_pop3 = event.service.starts_with("pop3");
                let row = match by {
                    Party::Client => said.command(&event.text, is_pop3),
                    Party::Server if event.text.starts_with('(') => aside(&event.text),
                    Party::Server if is_pop3 => said.pop3(&event.text),
                    Party::Server => said.smtp(&event.text),
                };
                if row.is_some_and(|(word, _, _)| matches!(*word, "221" | "QUIT +OK")) {
                    self.said.remove(&event.conversation);
                }
                row
            }
        };
        row.map(|(_, english, chinese)| match self.language {
            Language::English => *english,
            Language::Chinese => *chinese,
        })
    }
}

impl Said {
    fn command(&mut self, line: &str, is_pop3: bool) -> Option<&'static Row> {
        let mut words = line.split(' ');
        let first = words.next().unwrap_or_default();
        let verb = first.to_ascii_uppercase();
        if first == "(TLS" || self.waiting.len() >= WAITING {
            (self.waiting, self.listing) = (VecDeque::new(), None);
        }
        if first == "(a" {
            // a message after BDAT LAST has one reply with it
            if self.waiting.back().is_some_and(|last| last == "BDAT") {
                self.waiting.pop_back();
            }
            self.waiting.push_back(first.to_owned());
        } else if first == "(secret)" {
            self.waiting.push_back("AUTH".to_owned());
        } else if !first.starts_with('(') {
            let asks = matches!(verb.as_str(), "AUTH" | "LANG") && words.next().is_none();
            self.waiting.push_back(if asks { format!("{verb}?") } else { verb.clone() });
        }
        let own = if is_pop3 { POP3_COMMANDS } else { SMTP_COMMANDS };
        find(own, &verb).or_else(|| find(BOTH, &verb)).or_else(|| aside(line))
    }

    fn smtp(&mut self, line: &str) -> Option<&'static Row> {
        let (code, rest) = (line.get(..3)?, line.get(3..)?);
        let (is_first, command) = (!self.has_begun, self.waiting.front().cloned().unwrap_or_default());
        self.has_begun = rest.starts_with('-');
        if !self.has_begun {
            self.waiting.pop_front();
        }
        if command == "EHLO" && code == "250" && !is_first {
            let keyword = rest.get(1..).unwrap_or_default().split([' ', '=']).next().unwrap_or_default().to_ascii_uppercase();
            return find(EXTENSIONS, &keyword).or(Some(&OTHER_EXTENSION));
        }
        let after = find(SMTP_AFTER, &format!("{command} {code}"));
        after.or_else(|| find(SMTP_REPLIES, code)).or_else(|| find(SMTP_CLASSES, code.get(..1)?))
    }

    fn pop3(&mut self, line: &str) -> Option<&'static Row> {
        if let Some(rows) = self.listing {
            if line == "." {
                self.listing = None;
                return Some(&DOT);
            }
            let keyword = line.split(' ').next().unwrap_or_default().to_ascii_uppercase();
            return find(rows, &keyword).or_else(|| find(rows, ""));
        }
        let command = self.waiting.pop_front().unwrap_or_default();
        let is_good = line.starts_with("+OK");
        self.listing = match (is_good, command.as_str()) {
            (true, "CAPA") => Some(CAPABILITIES),
            (true, "AUTH?") => Some(MECHANISMS),
            (true, "LANG?") => Some(LANGUAGES),
            _ => None,
        };
        // without a command it is the greeting, or a reply to what was said before somebody listened
        let is_known = is_good && (!command.is_empty() || line.ends_with(" ready"));
        let after = if is_known { find(POP3_AFTER, &format!("{command} +OK")) } else { None };
        after.or_else(|| POP3_REPLIES.iter().find(|(begin, _, _)| line.starts_with(begin)))
    }
}

/// What stands in place of what is not shown.
fn aside(text: &str) -> Option<&'static Row> {
    if text.ends_with(" lines)") { Some(&LINES) } else { find(BOTH, text.split(' ').next().unwrap_or_default()) }
}

/// What the server says of itself: what becomes of a message of the queue, and what a conversation came to.
fn note(event: &Event) -> Option<&'static Row> {
    let text = event.text.as_str();
    match text.strip_prefix("queue ").and_then(|rest| rest.split_once(": ")) {
        Some((_, rest)) => {
            // the reply that is told with it may hold the words of others
            let first = QUEUE_NOTES.iter().filter_map(|row| Some((rest.find(row.0)?, row))).min_by_key(|(at, _)| *at);
            Some(first.map_or(&QUEUE_TROUBLE, |(_, row)| row))
        }
        None => NOTES.iter().find(|(begin, _, _)| text.starts_with(begin)),
    }
}

fn find(rows: &'static [Row], word: &str) -> Option<&'static Row> {
    rows.iter().find(|(known, _, _)| *known == word)
}

const BOTH: &[Row] = &[
    (
        "AUTH",
        "the client wants to log in, by the mechanism that it names (RFC 4954, RFC 5034); what is secret in it is not shown",
        "客户端要登录,并说明所用的认证机制(RFC 4954、RFC 5034);其中的秘密不显示",
    ),
    ("QUIT", "the client takes leave; POP3 deletes what was marked only now", "客户端告别;POP3 到这时才真正删除已标记的邮件"),
    ("NOOP", "nothing is to be done: the client only keeps the connection alive", "空操作:客户端只是保持连接"),
    ("RSET", "all that was begun is forgotten, and the connection goes on", "放弃已经开始的操作,连接继续"),
    ("(secret)", "a step of a login: a password or a proof, which is not shown", "登录的一步:口令或证明,不显示"),
    (
        "(TLS",
        "from here on everything is encrypted; what was said before counts no more, since anybody could have changed it",
        "从此全部加密;之前说过的都作废,因为任何人都可能改动过",
    ),
    ("(a", "a whole message; only its size is shown", "一封完整的邮件;只显示大小"),
];

const LINES: Row = ("(lines)", "the list itself, a line for each message, which is not shown", "列表本身,每封邮件一行,不显示");

const DOT: Row = (".", "the list ends: a line that is one dot", "列表结束:只含一个点的行");

const SMTP_COMMANDS: &[Row] = &[
    (
        "EHLO",
        "the client says its name and asks what the server can do (RFC 5321 4.1.1.1)",
        "客户端报上名字,询问服务器支持哪些扩展(RFC 5321 4.1.1.1)",
    ),
    ("HELO", "the old greeting, without extensions", "旧式问候,没有扩展"),
    ("STARTTLS", "the client wants to encrypt the connection (RFC 3207)", "客户端要求加密连接(RFC 3207)"),
    (
        "MAIL",
        "a message begins: this is the envelope sender, to whom a bounce goes; it need not be the From that people see",
        "开始一封邮件:这是信封发件人,退信寄给他;不一定是人们看到的 From",
    ),
    (
        "RCPT",
        "one recipient of the envelope; there is one such line for each, and each is answered",
        "一个信封收件人;每个收件人一行,逐个应答",
    ),
    ("DATA", "now comes the message itself; it ends with a line that is one dot", "接下来是邮件本身;以只含一个点的行结束"),
    (
        "BDAT",
        "a piece of the message of so many bytes, without dots (RFC 3030); LAST ends it",
        "按字节数传送邮件的一段,不用点结束(RFC 3030);LAST 表示最后一段",
    ),
    ("VRFY", "asks whether an address exists; good servers do not say", "询问地址是否存在;好的服务器不回答"),
    ("EXPN", "asks who is on a list; good servers do not say", "询问邮件列表的成员;好的服务器不回答"),
    ("HELP", "asks for help", "请求帮助"),
];

const POP3_COMMANDS: &[Row] = &[
    ("CAPA", "asks what the server can do (RFC 2449)", "询问服务器的能力(RFC 2449)"),
    ("STLS", "the client wants to encrypt the connection (RFC 2595)", "客户端要求加密连接(RFC 2595)"),
    ("USER", "the name of the mailbox", "邮箱的用户名"),
    ("PASS", "the password, which is not shown", "口令,不显示"),
    ("APOP", "an old login by an MD5 digest, which is not safe any more", "旧式 MD5 摘要登录,已不安全"),
    ("STAT", "asks how many messages there are, and how large they are together", "询问邮件数量和总大小"),
    ("LIST", "asks for the number and the size of each message", "询问每封邮件的编号和大小"),
    (
        "UIDL",
        "asks for the names of messages that never change, so that none is fetched twice",
        "询问邮件的唯一标识,永不改变,避免重复下载",
    ),
    ("RETR", "fetches a message", "取回一封邮件"),
    ("TOP", "fetches the header of a message and some lines", "取回邮件头和正文的前几行"),
    ("DELE", "marks a message; it is deleted at QUIT", "标记删除;到 QUIT 时才真正删除"),
    ("UTF8", "names and headers may be UTF-8 from here on (RFC 6856)", "此后名字和邮件头可以用 UTF-8(RFC 6856)"),
    ("LANG", "asks for replies in a language (RFC 6856)", "选择应答的语言(RFC 6856)"),
];

const POP3_REPLIES: &[Row] = &[
    ("+OK", "it went well", "成功"),
    ("-ERR [AUTH]", "name or password are wrong; which of them is told to nobody", "用户名或口令错误;不透露是哪一个"),
    ("-ERR [IN-USE]", "another session has the mailbox: only one may change it", "邮箱正被另一会话占用:同一时间只允许一个"),
    ("-ERR [LOGIN-DELAY]", "it is too soon after the last login", "距上次登录太近"),
    ("-ERR [SYS/TEMP]", "the server fails now; the same may work later", "服务器暂时故障;稍后可重试"),
    ("-ERR", "it did not go", "失败"),
    ("+ ", "the server asks for the next step of a login", "服务器要求登录的下一步"),
];

/// Replies to CAPA (RFC 2449), a line each.
const CAPABILITIES: &[Row] = &[
    ("TOP", "TOP works: the header of a message, and some lines of it, can be had alone", "支持 TOP:可只取邮件头和前几行"),
    ("UIDL", "UIDL works: messages have names that never change", "支持 UIDL:邮件有永不改变的标识"),
    ("USER", "a login by USER and PASS is possible here", "可以用 USER 和 PASS 登录"),
    ("SASL", "the mechanisms of AUTH, the strongest first (RFC 5034)", "AUTH 可用的认证机制,最强的在前(RFC 5034)"),
    (
        "STLS",
        "the connection can be encrypted with STLS (RFC 2595); passwords are taken after it only",
        "可用 STLS 加密连接(RFC 2595);之后才接受口令",
    ),
    ("RESP-CODES", "refusals begin with a code in brackets that programs understand", "拒绝应答以方括号中的代码开头,供程序理解"),
    (
        "AUTH-RESP-CODE",
        "a refused login says whether the password is wrong or the server fails (RFC 3206)",
        "登录失败时说明是口令错误还是服务器故障(RFC 3206)",
    ),
    (
        "PIPELINING",
        "several commands may be sent at once, without waiting for each reply",
        "可以连续发送多个命令,不必逐个等待应答",
    ),
    ("EXPIRE", "how long messages are kept; NEVER: until somebody deletes them", "邮件保留多久;NEVER 表示直到有人删除"),
    ("LOGIN-DELAY", "so many seconds lie between two logins of one user", "同一用户两次登录之间须间隔的秒数"),
    ("LANG", "replies can be had in another language (RFC 6856)", "应答可以换一种语言(RFC 6856)"),
    ("UTF8", "names and headers may be UTF-8 (RFC 6856)", "名字和邮件头可以用 UTF-8(RFC 6856)"),
    ("IMPLEMENTATION", "which program this server is", "服务器所用的程序"),
    ("", "something that this server can do besides", "服务器的其他能力"),
];

const MECHANISMS: &[Row] = &[("", "a mechanism by which a login is possible here", "这里可用的一种认证机制")];

const LANGUAGES: &[Row] = &[("", "a language of replies: its tag and its name", "应答的一种语言:标签和名称")];

/// What `+OK` says after a command.
const POP3_AFTER: &[Row] = &[
    (" +OK", "the server greets, and waits for a login", "服务器问候,等待登录"),
    (
        "USER +OK",
        "the server waits for the password; it says the same where there is no such user",
        "服务器等待口令;即使没有该用户也同样应答",
    ),
    ("PASS +OK", "the login was good: the mailbox is open, and locked for others", "登录成功:邮箱已打开,并对其他会话锁定"),
    ("AUTH +OK", "the login was good: the mailbox is open, and locked for others", "登录成功:邮箱已打开,并对其他会话锁定"),
    ("AUTH? +OK", "the mechanisms follow, a line each", "下面逐行列出认证机制"),
    ("LANG? +OK", "the languages follow, a line each", "下面逐行列出语言"),
    ("LANG +OK", "replies are in that language from here on", "此后用该语言应答"),
    ("UTF8 +OK", "names and headers may be UTF-8 from here on", "此后名字和邮件头可以用 UTF-8"),
    ("CAPA +OK", "what the server can do follows, a line each", "下面逐行列出服务器的能力"),
    ("STLS +OK", "the TLS handshake begins now", "现在开始 TLS 握手"),
    ("STAT +OK", "how many messages there are, and how many bytes together", "邮件数量和总字节数"),
    ("LIST +OK", "numbers and sizes of messages", "邮件的编号和大小"),
    ("UIDL +OK", "numbers and names of messages", "邮件的编号和唯一标识"),
    ("RETR +OK", "the message follows, and ends with a line that is one dot", "下面是邮件,以只含一个点的行结束"),
    (
        "TOP +OK",
        "the header and the lines follow, and end with a line that is one dot",
        "下面是邮件头和所要的行,以只含一个点的行结束",
    ),
    ("DELE +OK", "the message is marked, and still there until QUIT", "邮件已标记,到 QUIT 前仍保留"),
    ("RSET +OK", "no message is marked any more", "已取消所有删除标记"),
    ("NOOP +OK", "the server is still there", "服务器仍在"),
    ("QUIT +OK", "what was marked is deleted now, and the mailbox is free for others", "已标记的邮件现在删除,邮箱对其他会话开放"),
];

/// Replies to EHLO behind the first line: what the server can do besides plain SMTP.
const EXTENSIONS: &[Row] = &[
    (
        "PIPELINING",
        "several commands may be sent at once, without waiting for each reply (RFC 2920)",
        "可以连续发送多个命令,不必逐个等待应答(RFC 2920)",
    ),
    (
        "8BITMIME",
        "messages may hold bytes above 127, and need not be encoded for it (RFC 6152)",
        "邮件可含 127 以上的字节,无需为此编码(RFC 6152)",
    ),
    ("SMTPUTF8", "addresses and headers may be UTF-8 (RFC 6531)", "地址和邮件头可以用 UTF-8(RFC 6531)"),
    (
        "CHUNKING",
        "BDAT works: a message may come in pieces whose size is said before (RFC 3030)",
        "支持 BDAT:邮件可按预先说明的字节数分段传送(RFC 3030)",
    ),
    ("BINARYMIME", "a message may hold any bytes, where it comes by BDAT (RFC 3030)", "用 BDAT 传送时邮件可含任意字节(RFC 3030)"),
    (
        "DSN",
        "the sender may ask to be told of a delivery, a delay or a failure (RFC 3461)",
        "发件人可要求投递、延迟或失败的通知(RFC 3461)",
    ),
    (
        "ENHANCEDSTATUSCODES",
        "replies have a second, finer code, as 5.1.1 (RFC 2034)",
        "应答带有更精细的第二个状态码,如 5.1.1(RFC 2034)",
    ),
    (
        "SIZE",
        "no message may have more bytes than this; the client may say the size in MAIL (RFC 1870)",
        "邮件字节数的上限;客户端可在 MAIL 中说明大小(RFC 1870)",
    ),
    (
        "LIMITS",
        "bounds of this server, as RCPTMAX: recipients of one message (RFC 9422)",
        "服务器的限制,如 RCPTMAX:一封邮件的收件人数(RFC 9422)",
    ),
    ("REQUIRETLS", "the sender may demand TLS on the whole way (RFC 8689)", "发件人可要求全程使用 TLS(RFC 8689)"),
    ("STARTTLS", "the connection can be encrypted with STARTTLS (RFC 3207)", "可用 STARTTLS 加密连接(RFC 3207)"),
    ("AUTH", "the mechanisms of AUTH, by which a user may log in (RFC 4954)", "AUTH 可用的认证机制,用户可以登录(RFC 4954)"),
    ("HELP", "HELP works: it lists the commands", "支持 HELP:列出命令"),
    ("VRFY", "VRFY is known; few servers say more to it than that they would try", "支持 VRFY;多数服务器只答会尝试投递"),
    ("EXPN", "EXPN is known; few servers answer it", "支持 EXPN;多数服务器不回答"),
    ("ETRN", "a client may ask to be sent the mail that waits for it (RFC 1985)", "客户端可要求发来等待它的邮件(RFC 1985)"),
    ("DELIVERBY", "the sender may say until when a message is of use (RFC 2852)", "发件人可说明邮件的投递期限(RFC 2852)"),
    ("FUTURERELEASE", "the sender may say that a message is to go later (RFC 4865)", "发件人可要求稍后再发送(RFC 4865)"),
    ("MT-PRIORITY", "the sender may say how urgent a message is (RFC 6710)", "发件人可说明邮件的紧急程度(RFC 6710)"),
];

const OTHER_EXTENSION: Row =
    ("", "an extension of this server; who does not know it lets it be", "服务器的一项扩展;不认识的客户端忽略它");

/// Replies that mean something else after one command than after another.
const SMTP_AFTER: &[Row] = &[
    (" 220", "the server greets: it says its name, and waits for EHLO", "服务器问候:报上名字,等待 EHLO"),
    ("STARTTLS 220", "the TLS handshake begins now", "现在开始 TLS 握手"),
    ("EHLO 250", "the server says its name; a line for each extension follows", "服务器报上名字;随后每行一项扩展"),
    ("HELO 250", "the server says its name", "服务器报上名字"),
    ("MAIL 250", "the sender is taken for now; recipients may follow", "暂时接受发件人;可以继续给出收件人"),
    (
        "RCPT 250",
        "this recipient is taken; others may follow, and then the message",
        "接受该收件人;可继续给出其他收件人,然后是邮件",
    ),
    ("RSET 250", "what was begun is forgotten", "已放弃开始的操作"),
    ("NOOP 250", "the server is still there", "服务器仍在"),
    ("BDAT 250", "this piece has come; the next one may follow", "这一段已收到;可以发送下一段"),
    ("(a 250", "the server has the message safely, and answers for it from now on", "服务器已安全保存邮件,并从此对它负责"),
    (
        "RCPT 550",
        "this recipient is refused for good: there is no such user, or mail for others is not taken from this client",
        "永久拒绝该收件人:没有该用户,或不接受此客户端发往别处的邮件",
    ),
    (
        "(a 550",
        "the message is refused for good, for what is in it or for all its recipients",
        "邮件被永久拒绝:因其内容,或因所有收件人",
    ),
];

/// Notes about a message of the queue, by words in them.
const QUEUE_NOTES: &[Row] = &[
    (
        "a message from <",
        "a message for others was taken, and waits in the queue until their server has it; this is its number",
        "已接受一封发往别处的邮件,在队列中等待对方服务器接收;这是它的编号",
    ),
    (
        " delivered \u{2013} ",
        "the server of this recipient has the message; what it said follows",
        "收件人的服务器已收下邮件;后面是它的应答",
    ),
    (
        " later, and the sender is told \u{2013} ",
        "it did not go for so long that the sender is told; it is tried again, with longer and longer pauses",
        "长时间未能投递,已通知发件人;仍会重试,间隔越来越长",
    ),
    (
        " later \u{2013} ",
        "it did not go now; it is tried again, with longer and longer pauses",
        "这次没有成功;会重试,间隔越来越长",
    ),
    (
        " failed \u{2013} ",
        "this recipient never gets it; the sender is told in a message of its own",
        "该收件人收不到这封邮件;另发一封邮件通知发件人",
    ),
    ("the sender ", "the one who should be told what became of his message is there no more", "本应得知结果的发件人已不存在"),
];

const QUEUE_TROUBLE: Row = (
    "queue",
    "this server could not do its work on a message of the queue; the message stays there",
    "本服务器处理队列中的邮件时出错;邮件仍在队列中",
);

/// Other notes, by their beginnings.
const NOTES: &[Row] = &[
    ("accepted a message", "the message is on disk here: its sender need not keep it", "邮件已写入磁盘:发送方不必再保留"),
    (
        "refused a message",
        "the message was not taken; the client keeps it, or tells its sender",
        "邮件未被接受;由客户端保留,或通知发件人",
    ),
    ("refused:", "what the client asked for was refused, for the reason that follows", "客户端的请求被拒绝,原因在后"),
    ("login by", "how a login ended", "登录的结果"),
];

const SMTP_REPLIES: &[Row] = &[
    ("220", "the server greets, or is ready for TLS", "服务器问候,或已准备好进行 TLS"),
    ("221", "the server takes leave", "服务器告别"),
    ("235", "the login was good", "登录成功"),
    (
        "250",
        "it is done; after a message: the server has it safely, and answers for it from now on",
        "完成;在邮件之后表示:服务器已安全保存,并从此对它负责",
    ),
    ("252", "the server does not say whether the address exists, and would try", "服务器不说明地址是否存在,但会尝试投递"),
    ("334", "the server asks for the next step of a login", "服务器要求登录的下一步"),
    ("354", "the message may come", "可以发送邮件内容"),
    ("421", "the server ends the connection; later it may go", "服务器结束连接;稍后可再试"),
    (
        "450",
        "the mailbox cannot be reached now, or who sends is not known yet (greylisting); a server tries again",
        "邮箱暂时不可用,或发送方尚不认识(灰名单);对方服务器会重试",
    ),
    ("451", "the server fails now; a server tries again", "服务器暂时出错;对方会重试"),
    ("452", "there is no room now; a server tries again", "空间暂时不足;对方会重试"),
    ("454", "TLS or the login does not work now", "TLS 或登录暂时不可用"),
    ("500", "no command of that name, or a line that is too long", "没有这个命令,或行太长"),
    ("501", "what follows the command is wrong", "命令的参数有错"),
    ("502", "the server does not do that", "服务器不支持该命令"),
    ("503", "commands in the wrong order", "命令顺序错误"),
    ("504", "the server does not do that in this way", "服务器不支持该参数"),
    ("530", "first log in, or encrypt", "必须先登录或加密"),
    ("535", "name or password are wrong; which of them is told to nobody", "用户名或口令错误;不透露是哪一个"),
    ("538", "that login needs encryption", "这种登录需要加密"),
    (
        "550",
        "refused for good: no such user, or a rule forbids it; the status after it says which",
        "永久拒绝:没有该用户,或规则不允许;后面的状态码说明原因",
    ),
    ("552", "the message or the mailbox is too large", "邮件太大或邮箱已满"),
    ("553", "that address may not be used", "不允许使用该地址"),
    ("554", "refused for good, or no service here", "永久拒绝,或这里不提供服务"),
    ("555", "a parameter that the server does not know", "服务器不认识的参数"),
];

const SMTP_CLASSES: &[Row] = &[
    ("2", "it went well", "成功"),
    ("3", "good so far; the server waits for more", "到目前为止正确;服务器等待后续内容"),
    ("4", "not now: the client keeps the message and tries again", "暂时失败:客户端保留邮件稍后再试"),
    ("5", "never: the client must not try the same again, and tells the sender", "永久失败:客户端不应重试,而应通知发件人"),
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::server::trace::Level;
    use crate::time::Timestamp;

    fn event(service: &'static str, by: Party, text: &str) -> Event {
        Event {
            service: service.into(),
            by: Some(by),
            text: text.to_owned(),
            ..Event::note(Timestamp::from_unix(0), Level::Debug, "")
        }
    }

    fn alone(service: &'static str, by: Party, text: &str, language: Language) -> Option<&'static str> {
        Explainer::new(language).explain(&event(service, by, text))
    }

    /// The explanations of a conversation: `C` before what the client says, `S` before what the server does.
    fn talk(service: &'static str, lines: &[&str], language: Language) -> Vec<&'static str> {
        let mut explainer = Explainer::new(language);
        let mut one = |line: &str| {
            let (by, text) = line.split_once(' ').expect("who, and what");
            let by = if by == "C" { Party::Client } else { Party::Server };
            explainer.explain(&event(service, by, text)).unwrap_or_else(|| panic!("{line} is not explained"))
        };
        lines.iter().map(|line| one(line)).collect()
    }

    fn distinct(all: &[&str]) -> usize {
        all.iter().collect::<std::collections::BTreeSet<_>>().len()
    }

    #[test]
    fn every_command_and_class_of_reply_is_explained_in_both_languages() {
        let tables = [BOTH, SMTP_COMMANDS, POP3_COMMANDS, POP3_REPLIES, POP3_AFTER, SMTP_REPLIES, SMTP_CLASSES, SMTP_AFTER];
        let lists =
            [EXTENSIONS, CAPABILITIES, MECHANISMS, LANGUAGES, QUEUE_NOTES, NOTES, &[OTHER_EXTENSION, QUEUE_TROUBLE, LINES, DOT]];
        for rows in tables.into_iter().chain(lists) {
            for (word, english, chinese) in rows {
                assert!(english.is_ascii() && chinese.chars().any(|c| ('\u{4e00}'..='\u{9fff}').contains(&c)), "{word}");
            }
        }
        // what the sessions know
        for verb in ["EHLO", "MAIL", "RCPT", "DATA", "BDAT", "RSET", "NOOP", "QUIT", "STARTTLS", "AUTH", "VRFY"] {
            assert!(alone("smtp", Party::Client, &format!("{verb} x"), Language::English).is_some(), "{verb}");
        }
        for verb in ["CAPA", "STLS", "USER", "PASS", "STAT", "LIST", "UIDL", "RETR", "TOP", "DELE", "UTF8", "LANG", "QUIT"] {
            assert!(alone("pop3s", Party::Client, verb, Language::Chinese).is_some(), "{verb}");
        }
        for code in 200..600 {
            assert!(alone("delivery", Party::Server, &format!("{code} x"), Language::English).is_some(), "{code}");
        }
    }

    #[test]
    fn the_nearest_explanation_is_given_and_none_for_what_is_no_command() {
        let in_use = alone("pop3", Party::Server, "-ERR [IN-USE] no", Language::English).expect("explained");
        assert!(in_use.contains("another session"), "{in_use}");
        let refused = alone("smtp", Party::Server, "550 5.1.1 no such user", Language::Chinese).expect("explained");
        assert!(refused.starts_with("永久拒绝"), "{refused}");
        assert_eq!(alone("smtp", Party::Client, "(7 bytes that are no command)", Language::English), None);
    }

    #[test]
    fn each_extension_has_its_sentence_and_what_250_means_is_said_by_the_command() {
        let lines = [
            "S 220 mail.a.example ESMTP",
            "C EHLO x",
            "S 250-mail.a.example",
            "S 250-PIPELINING",
            "S 250-8BITMIME",
            "S 250-SMTPUTF8",
            "S 250-CHUNKING",
            "S 250-BINARYMIME",
            "S 250-DSN",
            "S 250-ENHANCEDSTATUSCODES",
            "S 250-SIZE 52428800",
            "S 250-LIMITS RCPTMAX=1000",
            "S 250-REQUIRETLS",
            "S 250-STARTTLS",
            "S 250-AUTH PLAIN LOGIN",
            "S 250-X-OTHER",
            "S 250 HELP",
            "C MAIL FROM:<>",
            "S 250 2.1.0 go on",
            "C RCPT TO:<joe@a.example>",
            "S 250 2.1.5 go on",
            "C DATA",
            "S 354 go on",
            "C (a message of 7 bytes)",
            "S 250 2.0.0 it is kept",
        ];
        for language in [Language::English, Language::Chinese] {
            let told = talk("smtp", &lines, language);
            assert_eq!(distinct(&told), lines.len(), "{told:#?}");
        }
        // commands that were sent together
        let lines = ["C MAIL FROM:<>", "C RCPT TO:<a@b>", "C BDAT 3", "C BDAT 4 LAST", "C (a message of 7 bytes)"];
        let lines = [&lines[..], &["S 250 ok", "S 250 ok", "S 250 ok", "S 250 ok"]].concat();
        let told = talk("delivery", &lines, Language::English);
        let [mail, rcpt, piece, message] = &told[5..] else { panic!("{told:?}") };
        assert!(
            mail.contains("sender") && rcpt.contains("recipient") && piece.contains("piece") && message.contains("safely"),
            "{told:?}"
        );
        // who listens from the middle on hears what may be
        assert!(
            alone("smtp", Party::Server, "250 2.1.0 go on", Language::English)
                .is_some_and(|text| text.contains("after a message"))
        );
    }

    #[test]
    fn each_capability_has_its_sentence_and_so_has_what_ok_means() {
        let lines = [
            "S +OK mail.a.example POP3 ready",
            "C CAPA",
            "S +OK capabilities follow",
            "S TOP",
            "S UIDL",
            "S RESP-CODES",
            "S AUTH-RESP-CODE",
            "S PIPELINING",
            "S EXPIRE NEVER",
            "S LANG",
            "S LOGIN-DELAY 0",
            "S USER",
            "S SASL PLAIN",
            "S STLS",
            "S UTF8 USER",
            "S IMPLEMENTATION sealpost",
            "S .",
            "C USER joe@a.example",
            "S +OK and",
            "C PASS (secret)",
            "S +OK 1 messages",
            "C STAT",
            "S +OK 1 7",
            "C RETR 1",
            "S +OK follows",
            "S (a message of 7 bytes)",
            "C QUIT",
            "S +OK good bye",
        ];
        for language in [Language::English, Language::Chinese] {
            let told = talk("pop3", &lines, language);
            assert_eq!(distinct(&told), lines.len(), "{told:#?}");
        }
    }

    #[test]
    fn notes_of_the_queue_are_explained_by_what_became_of_the_message() {
        let told = |text: &str| {
            let note = Event::note(Timestamp::from_unix(0), Level::Info, text);
            Explainer::new(Language::English).explain(&note)
        };
        for (text, word) in [
            ("queue 3: a message from <x@a.example> for 2 elsewhere", "waits in the queue"),
            ("queue 3: x@b.example delivered \u{2013} 250 not later \u{2013} now", "has the message"),
            ("queue 3: x@b.example later \u{2013} 451 delivered \u{2013} no", "longer pauses"),
            ("queue 3: x@b.example later, and the sender is told \u{2013} 451", "so long"),
            ("queue 3: x@b.example failed \u{2013} 550 no", "never gets it"),
            ("queue 3: the sender x@a.example is gone, and is not told", "no more"),
            ("queue 3: the database is broken", "stays there"),
        ] {
            assert!(told(text).is_some_and(|meaning| meaning.contains(word)), "{text}: {:?}", told(text));
        }
        assert_eq!(told("something else"), None);
    }

    #[test]
    fn what_is_remembered_of_conversations_has_a_bound() {
        let mut explainer = Explainer::new(Language::English);
        for conversation in 0..3 * REMEMBERED {
            let conversation = u64::try_from(conversation).expect("a number");
            explainer.explain(&Event { conversation, ..event("smtp", Party::Client, "EHLO x") });
        }
        assert!(explainer.said.len() <= REMEMBERED);
        let before = explainer.said.len();
        let last = u64::try_from(3 * REMEMBERED - 1).expect("a number");
        explainer.explain(&Event { conversation: last, ..event("smtp", Party::Server, "221 bye") });
        assert_eq!(explainer.said.len(), before - 1, "who took leave is forgotten");
    }
}
