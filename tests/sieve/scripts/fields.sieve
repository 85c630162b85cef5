require ["variables", "fileinto", "index", "date", "relational", "comparator-i;ascii-numeric"];
set "r" "";
if header :index 2 "x-many" "two" { set "r" "${r}a"; }
if header :index 1 :last "x-many" "three" { set "r" "${r}b"; }
if header :index 9 "x-many" "three" { set "r" "${r}c"; }
if header :count "eq" "x-many" "3" { set "r" "${r}d"; }
if header :count "ge" ["x-many", "subject"] "2" { set "r" "${r}e"; }
if header :contains "x-many" "" { set "r" "${r}f"; }
if header :is "x-absent" "" { set "r" "${r}g"; }
if header :contains "subject" "" { set "r" "${r}h"; }
if header :is "subject" "" { set "r" "${r}i"; }
if header :is "subject" "parts and folds" { set "r" "${r}j"; }
if header :is "subject" "Grüße von mir" { set "r" "${r}k"; }
if header :value "gt" :comparator "i;ascii-numeric" "x-number" "9" { set "r" "${r}l"; }
if header :value "lt" "x-number" "9" { set "r" "${r}m"; }
if exists ["from", "x-none"] { set "r" "${r}n"; }
if date :index 2 "received" "hour" "08" { set "r" "${r}o"; }
if date "received" "minute" "30" { set "r" "${r}p"; }
if date :originalzone "date" "zone" ["+0100", "-0500"] { set "r" "${r}q"; }
if date :value "ge" "date" "date" "2026-01-01" { set "r" "${r}s"; }
if currentdate :value "ge" "year" "2020" { set "r" "${r}t"; }
if currentdate :is "weekday" ["0", "1", "2", "3", "4", "5", "6"] { set "r" "${r}u"; }
if date "x-number" "year" "2026" { set "r" "${r}v"; }
if header :matches "x-spam-level" "\\*\\**" { set "r" "${r}w"; }
if header :is "X-NUMBER" "TWELVE" { set "r" "${r}x"; }
if header :comparator "i;octet" :is "X-NUMBER" "TWELVE" { set "r" "${r}y"; }
fileinto "r${r}";
