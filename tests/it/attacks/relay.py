"""A relay that changes messages: `relay.py WHAT...` reads a message and writes it as the relay would.

Only what stands between the first `--sig` delimiter and the second is changed.
"""

import base64
import email
import email.policy
import quopri
import re
import sys


def header_and_body(part):
    header, _, body = part.partition(b"\r\n\r\n")
    return header, body


def with_encoding(header, label):
    field = b"Content-Transfer-Encoding: " + label
    if re.search(rb"(?im)^content-transfer-encoding:", header):
        return re.sub(rb"(?im)^content-transfer-encoding:[^\r\n]*", field, header)
    return header + b"\r\n" + field


def decoded(part):
    message = email.message_from_bytes(part)
    return message.get_payload(decode=True)


def crlf(text):
    return re.sub(rb"\r?\n", b"\r\n", text)


def encode(part, label, body):
    header, _ = header_and_body(part)
    return with_encoding(header, label) + b"\r\n\r\n" + body


def to_qp(part):
    return encode(part, b"quoted-printable", crlf(quopri.encodestring(decoded(part))))


def to_base64(part):
    return encode(part, b"base64", crlf(base64.encodebytes(decoded(part))))


def to_8bit(part):
    return encode(part, b"8bit", crlf(decoded(part)))


def rewrap(width):
    def change(part):
        header, body = header_and_body(part)
        flat = re.sub(rb"\s", b"", body)
        return header + b"\r\n\r\n" + b"".join(flat[i : i + width] + b"\r\n" for i in range(0, len(flat), width))

    return change


def lines(edit):
    def change(part):
        header, body = header_and_body(part)
        return header + b"\r\n\r\n" + b"\r\n".join(edit(line) for line in body.split(b"\r\n"))

    return change


def fields(edit):
    def change(part):
        header, body = header_and_body(part)
        found = re.split(rb"\r\n(?![ \t])", header)
        return b"\r\n".join(edit(found)) + b"\r\n\r\n" + body

    return change


def broken_at(width):
    def edit(line):
        return b"\r\n".join(line[i : i + width] for i in range(0, len(line), width)) if len(line) > width else line

    return lines(edit)


def latin1(part):
    header, body = header_and_body(part)
    return header.replace(b"utf-8", b"iso-8859-1") + b"\r\n\r\n" + body.decode("utf-8").encode("latin-1")


def utf8(part):
    header, body = header_and_body(part)
    return header.replace(b"iso-8859-1", b"UTF-8") + b"\r\n\r\n" + body.decode("latin-1").encode("utf-8")


def footer(part):
    return part + b"\r\n_______________________________________________\r\nlist mailing list\r\nhttp://lists.example/list\r\n"


def banner(part):
    header, body = header_and_body(part)
    return header + b"\r\n\r\n[EXTERNAL] Do not click.\r\n\r\n" + body


def footer_inside(part):
    """Decodes, adds, and encodes again, as lists do with quoted-printable and base64."""
    message = email.message_from_bytes(part)
    text = decoded(part) + b"-- \r\nlist footer\r\n"
    if message["Content-Transfer-Encoding"] == "base64":
        return encode(part, b"base64", crlf(base64.encodebytes(text)))
    return encode(part, b"quoted-printable", crlf(quopri.encodestring(text)))


def one_more_part(part):
    more = b"--in\r\nContent-Type: text/plain\r\n\r\nlist footer\r\n--in--"
    return part.replace(b"--in--", more)


def first_part_encoded(part):
    """The first text of a multipart in quoted-printable."""
    head, text, rest = re.match(rb"(?s)(.*?--in\r\n)(.*?)(\r\n--in.*)", part).groups()
    return head + to_qp(text) + rest


def texts_encoded(part):
    pieces = part.split(b"--in")
    done = [b"\r\n" + to_qp(piece[2:-2]) + b"\r\n" if b"text/" in piece and i else piece for i, piece in enumerate(pieces)]
    return b"--in".join(done)


def epilogue(part):
    return part + b"\r\n_____\r\nlist footer\r\n"


def preamble(part):
    return part.replace(b"\r\n\r\n--in", b"\r\n\r\nThis is a multi-part message in MIME format.\r\n--in", 1)


def wrapped(part):
    """As lists do with what is not text alone."""
    head = b"Content-Type: multipart/mixed; boundary=out\r\n\r\n--out\r\n"
    return head + part + b"\r\n--out\r\nContent-Type: text/plain\r\n\r\nlist footer\r\n--out--\r\n"


def both_texts(part):
    """As companies do: a line more in the plain text, an element more in HTML."""
    plain = part.replace(b"-- \r\nAlice\r\n", b"-- \r\nAlice\r\nCONFIDENTIAL\r\n", 1)
    return plain.replace(b"</body>", b"<p>CONFIDENTIAL</p></body>", 1)


def by_email_package(part):
    """Through Python's parser and generator, as scripts do."""
    message = email.message_from_bytes(part, policy=email.policy.SMTP.clone(refold_source="all"))
    return message.as_bytes()


CHANGES = {
    "doubled-cr": lambda part: part.replace(b"\r\n", b"\r\r\n"),
    "lost-lf": lambda part: header_and_body(part)[0] + b"\r\n\r\n" + header_and_body(part)[1].replace(b"\r\n", b"\r"),
    "doubled-lines": lambda part: header_and_body(part)[0] + b"\r\n\r\n" + header_and_body(part)[1].replace(b"\r\n", b"\r\n\r\n"),
    "lf-to-crlf": lambda part: re.sub(rb"\r?\n", b"\r\n", part),
    "strip-blanks": lines(lambda line: line.rstrip(b" \t")),
    "pad": lines(lambda line: line.ljust(80)),
    "break-added": lambda part: part + b"\r\n",
    "breaks-added": lambda part: part + b"\r\n\r\n\r\n",
    "break-lost": lambda part: part.removesuffix(b"\r\n"),
    "from": lines(lambda line: b">" + line if re.match(rb">*From ", line) else line),
    "unfrom": lines(lambda line: line[1:] if re.match(rb">+From ", line) else line),
    "dots-doubled": lines(lambda line: b"." + line if line.startswith(b".") else line),
    "dots-lost": lines(lambda line: line[1:] if line.startswith(b".") else line),
    "broken": broken_at(990),
    "sendmail-broken": lines(lambda line: b"!\r\n ".join(line[i : i + 989] for i in range(0, len(line), 989))),
    "qp": to_qp,
    "base64": to_base64,
    "8bit": to_8bit,
    "base64-64": rewrap(64),
    "base64-72": rewrap(72),
    "autoconverted": lambda part: fields(lambda found: found + [b"X-MIME-Autoconverted: from 8bit to quoted-printable by relay"])(to_qp(part)),
    "latin1": latin1,
    "utf8": utf8,
    "footer": footer,
    "banner": banner,
    "footer-inside": footer_inside,
    "epilogue": epilogue,
    "preamble": preamble,
    "wrapped": wrapped,
    "both": both_texts,
    "plain-footer-line": lambda part: part + b"list footer\r\n",
    "utf8-label": lambda part: part.replace(b"us-ascii", b"utf-8", 1),
    "requoted": lambda part: re.sub(rb'charset="?([a-z0-9-]+)"?', lambda m: b'charset="' + m[1].upper() + b'"', part, count=1),
    "unrequoted": lambda part: re.sub(rb'charset="([a-z0-9-]+)"', lambda m: b"charset=" + m[1].upper(), part, count=1),
    "part": one_more_part,
    "first-qp": first_part_encoded,
    "texts-qp": texts_encoded,
    "scanned": fields(lambda found: found + [b"X-Virus-Scanned: by relay.example"]),
    "disposition": fields(lambda found: [b"Content-Disposition: inline"] + found),
    "no-disposition": fields(lambda found: [field for field in found if not field.startswith(b"Content-Disposition")]),
    "reordered": fields(lambda found: found[::-1]),
    "unfolded": fields(lambda found: [re.sub(rb"\r\n[ \t]+", b" ", field) for field in found]),
    "folded": fields(lambda found: [field.replace(b"; ", b";\r\n\t") for field in found]),
    "tabs": fields(lambda found: [re.sub(rb"\r\n[ \t]+", b"\r\n\t", field) for field in found]),
    "lower": fields(lambda found: [field.split(b":", 1)[0].lower() + b":" + field.split(b":", 1)[1] for field in found]),
    "canonical-case": fields(lambda found: [field.replace(b"Content-type", b"Content-Type") for field in found]),
    "unquoted": fields(lambda found: [field.replace(b'"', b"") for field in found]),
    "charset-case": fields(lambda found: [field.replace(b"utf-8", b"UTF-8") for field in found]),
    "email": by_email_package,
    # what no relay does
    "word": lambda part: part.replace(b"noon", b"nine"),
    "digit": lambda part: part.replace(b"100", b"900"),
    "line-lost": lambda part: re.sub(rb"Bring [^\r]*\r\n", b"", part),
    "line-moved": lambda part: re.sub(rb"(?s)(Lunch[^\r]*\r\n)(Bring[^\r]*\r\n)", rb"\2\1", part),
    "not": lambda part: part.replace(b"Bring", b"Do not bring"),
    "letter-case": lambda part: part.replace(b"Lunch", b"lunch"),
}


def main():
    message = sys.stdin.buffer.read()
    head, part, tail = re.match(rb"(?s)(.*?\r\n--sig\r\n)(.*?)(\r\n--sig\r\n.*)", message).groups()
    changed = part
    for what in sys.argv[1:]:
        changed = CHANGES[what](changed)
    if changed == part:
        sys.exit(f"{sys.argv[1:]} changes nothing")
    sys.stdout.buffer.write(head + changed + tail)


main()
