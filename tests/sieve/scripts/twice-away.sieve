require ["vacation"];
if header :contains "subject" "hello" { vacation :days 2 :subject "b" "later"; vacation "again"; }
