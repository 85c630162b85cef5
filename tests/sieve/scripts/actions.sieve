require ["fileinto", "copy", "imap4flags"];
fileinto :copy "A";
redirect :copy "x@y.example";
if exists "list-id" { discard; }
if header :is "x-number" "10" { addflag "\\Flagged"; fileinto "B"; addflag ["work", "\\Seen"]; keep; keep :flags "only"; }
if header :contains "x-spam-level" "*" { redirect "one@y.example"; redirect "ONE@y.example"; stop; }
setflag "$Label1 (bad \\Recent \\seen";
removeflag "$label1";
