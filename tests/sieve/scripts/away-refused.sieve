require ["vacation", "reject"];
if header :contains "subject" "hello" { vacation "later"; reject "no"; }
