-- A store as version 4 of the schema had it (one body among all; digests): the tables as they were made then, and what was in them.
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

INSERT INTO domains (name) VALUES ('a.example');
INSERT INTO users (address, password_hash, next_uid) VALUES ('jane@a.example', 'a hash', 4), ('joe@a.example', 'another', 1);
INSERT INTO aliases VALUES ('info@a.example', 'jane@a.example'), ('info@a.example', 'p@c.example');
INSERT INTO bodies (id, size, inline, file, fields, digest, version) VALUES
    (1, 48, X'46726F6D3A207840622E6578616D706C650D0A5375626A6563743A20736D616C6C0D0A0D0A41206C65747465722E0D0A', NULL, X'', X'CB6519364E81F094935B8781CFAE9E2C0C2BDF6F5A20DE1A2D20A70D4226ACEC', 2),
    (2, 20000, NULL, 'ab0123', X'', X'42E8BC96B8EEC8C4E5D503483BA0CB843CE95243C8CA8575FFC69CD25D12C61C', 2),
    (3, 48, X'46726F6D3A207840622E6578616D706C650D0A5375626A6563743A20736D616C6C0D0A0D0A41206C65747465722E0D0A', NULL, X'', X'CB6519364E81F094935B8781CFAE9E2C0C2BDF6F5A20DE1A2D20A70D4226ACEC', 2);
INSERT INTO messages (mailbox, uid, body, received_at, fields, version) VALUES
    ('jane@a.example', 2, 1, 1750000000, X'', 2),
    ('jane@a.example', 3, 2, 1750000001, X'52657475726E2D506174683A203C7840622E6578616D706C653E0D0A', 2);
INSERT INTO queue (id, sender, body, created_at, version) VALUES (7, 'jane@a.example', 3, 1750000002, 2), (8, '', 2, 1750000003, 2);
INSERT INTO queue_recipients (id, address, attempts, next_at, error) VALUES
    (7, 'p@c.example', 2, 1750000900, '450 busy'),
    (7, 'Q@D.example', 0, 1750000002, ''),
    (8, 'r@c.example', 0, 9223372036854775807, '');
INSERT INTO retired VALUES ('gone@a.example', 12);
PRAGMA user_version = 4;
