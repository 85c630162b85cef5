-- A store as version 6 of the schema had it (quotas): the tables as they were made then, and what was in them.
CREATE TABLE domains (name TEXT PRIMARY KEY) STRICT;
CREATE TABLE users (address TEXT PRIMARY KEY, password_hash TEXT NOT NULL, next_uid INTEGER NOT NULL DEFAULT 1) STRICT;
CREATE TABLE aliases (alias TEXT NOT NULL, target TEXT NOT NULL, PRIMARY KEY (alias, target)) STRICT;
CREATE TABLE bodies (id INTEGER PRIMARY KEY, size INTEGER NOT NULL, inline BLOB, file TEXT) STRICT;
CREATE TABLE messages (
    mailbox TEXT NOT NULL, uid INTEGER NOT NULL, body INTEGER NOT NULL REFERENCES bodies(id), received_at INTEGER NOT NULL,
    PRIMARY KEY (mailbox, uid)) STRICT;
CREATE INDEX messages_by_body ON messages (body);
CREATE TABLE queue (id INTEGER PRIMARY KEY AUTOINCREMENT, sender TEXT NOT NULL, body INTEGER NOT NULL REFERENCES bodies(id), created_at INTEGER NOT NULL) STRICT;
CREATE INDEX queue_by_body ON queue (body);
CREATE TABLE queue_recipients (
    id INTEGER NOT NULL REFERENCES queue(id), address TEXT NOT NULL, attempts INTEGER NOT NULL DEFAULT 0, next_at INTEGER NOT NULL,
    error TEXT NOT NULL DEFAULT '', PRIMARY KEY (id, address)) STRICT;
CREATE INDEX queue_recipients_by_time ON queue_recipients (next_at);
CREATE TABLE retired (address TEXT PRIMARY KEY, next_uid INTEGER NOT NULL) STRICT;
ALTER TABLE bodies ADD COLUMN version INTEGER NOT NULL DEFAULT 1;
ALTER TABLE bodies ADD COLUMN fields BLOB;
ALTER TABLE bodies ADD COLUMN digest BLOB;
ALTER TABLE messages ADD COLUMN version INTEGER NOT NULL DEFAULT 1;
ALTER TABLE messages ADD COLUMN fields BLOB;
ALTER TABLE queue ADD COLUMN version INTEGER NOT NULL DEFAULT 1;
ALTER TABLE queue ADD COLUMN ret TEXT NOT NULL DEFAULT '';
ALTER TABLE queue ADD COLUMN envid TEXT NOT NULL DEFAULT '';
ALTER TABLE queue ADD COLUMN content INTEGER NOT NULL DEFAULT 0;
ALTER TABLE queue ADD COLUMN requires_tls INTEGER NOT NULL DEFAULT 0;
ALTER TABLE queue_recipients ADD COLUMN domain TEXT NOT NULL DEFAULT '';
ALTER TABLE queue_recipients ADD COLUMN priority INTEGER NOT NULL DEFAULT 1;
ALTER TABLE queue_recipients ADD COLUMN notify TEXT NOT NULL DEFAULT '';
ALTER TABLE queue_recipients ADD COLUMN original TEXT NOT NULL DEFAULT '';
ALTER TABLE queue_recipients ADD COLUMN told INTEGER NOT NULL DEFAULT 0;
UPDATE queue_recipients SET domain = lower(substr(address, instr(address, '@') + 1));
DROP INDEX queue_recipients_by_time;
CREATE INDEX queue_recipients_by_domain ON queue_recipients (domain, priority, next_at);
CREATE TABLE policies (domain TEXT PRIMARY KEY, version TEXT NOT NULL, text TEXT NOT NULL, fetched_at INTEGER NOT NULL) STRICT;
CREATE TABLE tls_results (
    day INTEGER NOT NULL, domain TEXT NOT NULL, policy TEXT NOT NULL, mx TEXT NOT NULL, result TEXT NOT NULL,
    count INTEGER NOT NULL, PRIMARY KEY (day, domain, policy, mx, result)) STRICT;
ALTER TABLE domains ADD COLUMN quota INTEGER NOT NULL DEFAULT 0;
ALTER TABLE users ADD COLUMN quota INTEGER NOT NULL DEFAULT 0;
ALTER TABLE users ADD COLUMN used INTEGER NOT NULL DEFAULT 0;
UPDATE users SET used = (
    SELECT coalesce(sum(b.size + coalesce(length(m.fields), 0)), 0) FROM messages m JOIN bodies b ON b.id = m.body
    WHERE m.mailbox = users.address);

INSERT INTO domains (name) VALUES ('a.example');
INSERT INTO users (address, password_hash, next_uid) VALUES ('jane@a.example', 'a hash', 4), ('joe@a.example', 'another', 1);
UPDATE users SET used = 20076, quota = 50000 WHERE address = 'jane@a.example';
UPDATE domains SET quota = 90000;
INSERT INTO aliases VALUES ('info@a.example', 'jane@a.example'), ('info@a.example', 'p@c.example');
INSERT INTO bodies (id, size, inline, file, fields, digest, version) VALUES
    (1, 48, X'46726F6D3A207840622E6578616D706C650D0A5375626A6563743A20736D616C6C0D0A0D0A41206C65747465722E0D0A', NULL, X'', X'CB6519364E81F094935B8781CFAE9E2C0C2BDF6F5A20DE1A2D20A70D4226ACEC', 2),
    (2, 20000, NULL, 'ab0123', X'', X'42E8BC96B8EEC8C4E5D503483BA0CB843CE95243C8CA8575FFC69CD25D12C61C', 2),
    (3, 48, X'46726F6D3A207840622E6578616D706C650D0A5375626A6563743A20736D616C6C0D0A0D0A41206C65747465722E0D0A', NULL, X'', X'CB6519364E81F094935B8781CFAE9E2C0C2BDF6F5A20DE1A2D20A70D4226ACEC', 2);
INSERT INTO messages (mailbox, uid, body, received_at, fields, version) VALUES
    ('jane@a.example', 2, 1, 1750000000, X'', 2),
    ('jane@a.example', 3, 2, 1750000001, X'52657475726E2D506174683A203C7840622E6578616D706C653E0D0A', 2);
INSERT INTO queue (id, sender, body, created_at, version, ret, envid, content, requires_tls) VALUES
    (7, 'jane@a.example', 3, 1750000002, 2, 'HDRS', 'e1', 2, 1),
    (8, '', 2, 1750000003, 2, '', '', 0, 0);
INSERT INTO queue_recipients (id, address, attempts, next_at, error, domain, priority, notify, original, told) VALUES
    (7, 'p@c.example', 2, 1750000900, '450 busy', 'c.example', 0, 'FAILURE', '', 1),
    (7, 'Q@D.example', 0, 1750000002, '', 'd.example', 1, '', 'rfc822;q', 0),
    (8, 'r@c.example', 0, 9223372036854775807, '', 'c.example', 2, 'NEVER', '', 0);
INSERT INTO policies VALUES ('c.example', '1', 'mode: enforce', 1750000000);
INSERT INTO retired VALUES ('gone@a.example', 12);
PRAGMA user_version = 6;
