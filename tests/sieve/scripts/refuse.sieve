require ["reject", "fileinto", "vacation"];
if exists "x-spam-flag" { reject "no spam here"; stop; }
if exists "list-id" { keep; reject "both"; }
if header :is "x-number" "10" { discard; reject text:
two
lines
.
; }
if header :contains "subject" "parts" { reject "x"; fileinto "y"; }
