require ["vacation", "vacation-seconds"];
if header :contains "subject" "hello" { vacation :seconds 1800 :subject "away" "later"; }
else { stop; }
