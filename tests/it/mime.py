"""What Python makes of mail; the tests of `mime` compare it with ours. The first argument selects, JSON goes in and out.

trees:   paths -> for each the entities in the order of the message, as [path, type, children, sha256]; a sha256 is null where
         Python cannot give the body's own bytes.
message: one message in hex -> its subject, addresses and leaves, as people see them (policy=default).
codecs:  payloads in hex -> for each what base64 and quopri encode, and what they decode of what is given beside.
"""

import base64
import email
import email.policy
import hashlib
import json
import quopri
import sys


def tree(part, path, found):
    content_type = part.get_content_type()
    payload = part.get_payload()
    # Python reads every message/* as a message; only these two hold one (RFC 2046 5.2.1, RFC 6532)
    is_entity = content_type in ("message/rfc822", "message/global") or part.get_content_maintype() == "multipart"
    children = payload if isinstance(payload, list) and is_entity else []
    sha256 = None if isinstance(payload, list) else hashlib.sha256(part.get_payload(decode=True) or b"").hexdigest()
    found.append([".".join(map(str, path)) or "0", content_type, len(children), sha256])
    for number, child in enumerate(children, 1):
        tree(child, path + [number], found)
    return found


def trees(paths):
    result = {}
    for path in paths:
        with open(path, "rb") as file:
            result[path] = tree(email.message_from_bytes(file.read()), [], [])
    return result


def message(text):
    root = email.message_from_bytes(bytes.fromhex(text), policy=email.policy.default)
    leaves = [part for part in root.walk() if not part.is_multipart()]
    return {
        "subject": root["subject"],
        "from": [[a.display_name, a.addr_spec] for a in root["from"].addresses],
        "to": [[a.display_name, a.addr_spec] for a in root["to"].addresses],
        "date": root["date"].datetime.timestamp(),
        "defects": [str(defect) for part in root.walk() for defect in part.defects],
        "texts": [leaf.get_content() for leaf in leaves if leaf.get_content_maintype() == "text"],
        "leaves": [
            [leaf.get_content_type(), leaf.get_filename(), leaf.get_content_charset(), leaf.get_payload(decode=True).hex()]
            for leaf in leaves
        ],
    }


def codecs(rows):
    result = []
    for payload, ours64, oursqp in rows:
        payload = bytes.fromhex(payload)
        result.append([
            base64.encodebytes(payload).hex(),
            quopri.encodestring(payload).hex(),
            base64.b64decode(bytes.fromhex(ours64)).hex(),
            quopri.decodestring(bytes.fromhex(oursqp)).hex(),
        ])
    return result


json.dump({"trees": trees, "message": message, "codecs": codecs}[sys.argv[1]](json.load(sys.stdin)), sys.stdout)
