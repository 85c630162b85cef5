//! What commands and replies mean, in a sentence for people who learn, in English and Chinese.

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

/// What a line means; nothing for notes, and for what is no command.
pub fn explain(event: &Event, language: Language) -> Option<&'static str> {
    let is_pop3 = event.service.starts_with("pop3");
    let row = match event.by? {
        Party::Client => {
            let first = event.text.split(' ').next().unwrap_or_default();
            let verb = first.to_ascii_uppercase();
            let own = if is_pop3 { POP3_COMMANDS } else { SMTP_COMMANDS };
            find(own, &verb).or_else(|| find(BOTH, &verb)).or_else(|| find(BOTH, first))
        }
        Party::Server if event.text.starts_with('(') => find(BOTH, event.text.split(' ').next().unwrap_or_default()),
        Party::Server if is_pop3 => POP3_REPLIES.iter().find(|(begin, _, _)| event.text.starts_with(begin)),
        Party::Server => {
            let code = event.text.get(..3)?;
            find(SMTP_REPLIES, code).or_else(|| find(SMTP_CLASSES, code.get(..1)?))
        }
    };
    row.map(|(_, english, chinese)| match language {
        Language::English => *english,
        Language::Chinese => *chinese,
    })
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

    #[test]
    fn every_command_and_class_of_reply_is_explained_in_both_languages() {
        for rows in [BOTH, SMTP_COMMANDS, POP3_COMMANDS, POP3_REPLIES, SMTP_REPLIES, SMTP_CLASSES] {
            for (word, english, chinese) in rows {
                assert!(english.is_ascii() && chinese.chars().any(|c| ('\u{4e00}'..='\u{9fff}').contains(&c)), "{word}");
            }
        }
        // what the sessions know
        for verb in ["EHLO", "MAIL", "RCPT", "DATA", "BDAT", "RSET", "NOOP", "QUIT", "STARTTLS", "AUTH", "VRFY"] {
            assert!(explain(&event("smtp", Party::Client, &format!("{verb} x")), Language::English).is_some(), "{verb}");
        }
        for verb in ["CAPA", "STLS", "USER", "PASS", "STAT", "LIST", "UIDL", "RETR", "TOP", "DELE", "UTF8", "LANG", "QUIT"] {
            assert!(explain(&event("pop3s", Party::Client, verb), Language::Chinese).is_some(), "{verb}");
        }
        for code in 200..600 {
            assert!(explain(&event("delivery", Party::Server, &format!("{code} x")), Language::English).is_some(), "{code}");
        }
    }

    #[test]
    fn the_nearest_explanation_is_given_and_none_for_notes() {
        let in_use = explain(&event("pop3", Party::Server, "-ERR [IN-USE] no"), Language::English).expect("explained");
        assert!(in_use.contains("another session"), "{in_use}");
        let refused = explain(&event("smtp", Party::Server, "550 5.1.1 no such user"), Language::Chinese).expect("explained");
        assert!(refused.starts_with("永久拒绝"), "{refused}");
        let note = Event::note(Timestamp::from_unix(0), Level::Info, "queue 3: later");
        assert_eq!(explain(&note, Language::English), None);
        assert_eq!(explain(&event("smtp", Party::Client, "(7 bytes that are no command)"), Language::English), None);
    }
}
